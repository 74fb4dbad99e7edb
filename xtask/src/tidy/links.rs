//! Links in our own pages: relative files exist, anchors name a heading.

use std::collections::BTreeSet;

use super::modules;
use super::problem::Problem;
use super::tree::Tree;

/// All Markdown files of the clone.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.texts
        .iter()
        .filter(|(path, _)| path.ends_with(".md"))
        .flat_map(|(path, text)| {
            links(text).into_iter().filter_map(move |(line, link)| broken(tree, path, line, &link))
        })
        .collect()
}

fn broken(tree: &Tree, path: &str, line: usize, link: &str) -> Option<Problem> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { path.to_owned() } else { modules::join(modules::parent(path), file) };
    if !exists(tree, &target) {
        return Some(Problem::line(path, line, format!("link to {link}: no such file in the clone")));
    }
    let anchor = anchor?;
    let headings = anchors(tree.texts.get(&target)?);
    let text = || format!("link to {link}: no heading of that name");
    (!headings.contains(anchor)).then(|| Problem::line(path, line, text()))
}

/// A file of the clone, or a folder that holds one.
fn exists(tree: &Tree, target: &str) -> bool {
    let folder = format!("{target}/");
    let first_inside = tree.files.range(folder.clone()..).next();
    target.is_empty()
        || tree.files.contains(target)
        || first_inside.is_some_and(|file| file.starts_with(&folder))
}

/// Lines and targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        found.extend(targets.map(|target| (number, target.trim_matches(['<', '>']).to_owned())));
    }
    found
}

/// Lines outside fenced blocks, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Anchors of a page, as GitHub makes them: lower case, spaces to hyphens, punctuation gone, repeats numbered.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let slug = slug(title.trim());
        let numbered = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

fn slug(title: &str) -> String {
    title
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_and_anchors() {
        let page = "[a](docs/b.md) [b](docs/b.md#two) [c](docs) [d](#here) [e](https://x.org/y)\n# Here";
        let other = "# Two\n[up](../a.md) [gone](c.md)\n[no](#one) [out](../../a.md)";
        let found = check(&Tree::of(&[("a.md", page), ("docs/b.md", other)]));
        let shown: Vec<String> = found.iter().map(Problem::to_string).collect();
        let expected = [
            "docs/b.md:2: link to c.md: no such file in the clone",
            "docs/b.md:3: link to #one: no heading of that name",
            "docs/b.md:3: link to ../../a.md: no such file in the clone",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn links_outside_code() {
        let page = "[a](b.md) and [c](d.md#e \"t\")\n`[x](y)`\n```\n[x](y)\n```\n![p](<q r.png>)\n[z](#s)";
        let found: Vec<String> =
            links(page).into_iter().map(|(line, link)| format!("{line} {link}")).collect();
        assert_eq!(found, ["1 b.md", "1 d.md#e", "6 q", "7 #s"]);
    }

    #[test]
    fn anchors_as_github_makes_them() {
        let page = "# The `muster up` command\n## A\n## A\n#not\n```\n# code\n```\n### What, why?";
        let expected = ["a", "a-1", "the-muster-up-command", "what-why"];
        assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), expected);
    }
}
