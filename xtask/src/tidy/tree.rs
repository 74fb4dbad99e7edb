//! Everything the checks look at, read once: files, packages, and Rust sources with their masked text.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{self, Role};
use super::scan;
use crate::workspace::{Package, Workspace};

/// The checkout in memory.
pub struct Tree {
    /// Relative paths of all files git tracks or would add.
    pub files: BTreeSet<String>,
    /// Content of those that are text.
    pub texts: BTreeMap<String, String>,
    /// Size in bytes of each file.
    pub sizes: BTreeMap<String, u64>,
    /// Rust files by path.
    pub sources: BTreeMap<String, Source>,
    /// The workspace's packages.
    pub packages: Vec<Package>,
    /// Folder of each package, by name.
    pub folders: BTreeMap<String, String>,
}

/// One Rust file.
pub struct Source {
    /// The text without comments and string contents, same length.
    pub masked: String,
    /// Name of the package it lies in, `None` outside all.
    pub package: Option<String>,
    /// Whether some crate root reaches it.
    pub reached: bool,
    /// Whether it is compiled for tests only.
    pub test: bool,
    /// Whether a program wrote it: it says `@generated` in its first lines.
    pub generated: bool,
}

impl Tree {
    /// Reads the checkout.
    pub fn read(workspace: &Workspace) -> anyhow::Result<Self> {
        let files: BTreeSet<String> = workspace.files()?.into_iter().collect();
        let packages = workspace.packages()?;
        let folders =
            packages.iter().map(|package| (package.name.clone(), package.folder(workspace))).collect();
        let (mut texts, mut sizes) = (BTreeMap::new(), BTreeMap::new());
        for path in &files {
            let bytes = std::fs::read(workspace.root().join(path))?;
            sizes.insert(path.clone(), bytes.len() as u64);
            if let Ok(text) = String::from_utf8(bytes) {
                texts.insert(path.clone(), text);
            }
        }
        let mut tree = Self { files, texts, sizes, sources: BTreeMap::new(), packages, folders };
        tree.sources = tree.read_sources(&tree.roots(workspace));
        Ok(tree)
    }

    /// Crate roots of all packages.
    fn roots(&self, workspace: &Workspace) -> Vec<(String, Role)> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        targets
            .map(|target| (workspace.relative(&target.src_path), Role { test: target.is_test() }))
            .collect()
    }

    fn read_sources(&self, roots: &[(String, Role)]) -> BTreeMap<String, Source> {
        let masked: BTreeMap<String, String> = self
            .texts
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.clone(), scan::mask(text)))
            .collect();
        let reach = modules::reach(roots, &self.texts, &masked);
        masked
            .into_iter()
            .map(|(path, masked)| {
                let source = Source {
                    package: self.package_of(&path),
                    reached: reach.contains_key(&path),
                    test: reach.get(&path).is_some_and(|role| role.test),
                    generated: is_generated(&self.texts[&path]),
                    masked,
                };
                (path, source)
            })
            .collect()
    }

    /// A tree of texts for tests of checks; `lib.rs` is its only crate root.
    #[cfg(test)]
    pub fn of(texts: &[(&str, &str)]) -> Self {
        let texts: BTreeMap<String, String> =
            texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let mut tree = Self {
            files: texts.keys().cloned().collect(),
            sizes: texts.iter().map(|(path, text)| (path.clone(), text.len() as u64)).collect(),
            texts,
            sources: BTreeMap::new(),
            packages: Vec::new(),
            folders: BTreeMap::new(),
        };
        tree.sources = tree.read_sources(&[("lib.rs".to_owned(), Role { test: false })]);
        tree
    }

    /// The package whose folder is the longest prefix of `path`.
    fn package_of(&self, path: &str) -> Option<String> {
        self.folders
            .iter()
            .filter(|(_, folder)| {
                path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
            })
            .max_by_key(|(_, folder)| folder.len())
            .map(|(name, _)| name.clone())
    }
}

/// Whether a text says in its first lines that a program wrote it.
pub fn is_generated(text: &str) -> bool {
    text.lines().take(6).any(|line| line.contains("@generated"))
}
