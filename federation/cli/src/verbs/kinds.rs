//! The kinds that the hub serves, and the words that mean them.

use http::Method;
use serde_json::Value;

use super::url::escape;
use crate::client::Api;
use crate::exit::Failure;

/// Both halves of discovery in one answer each (KEP-3352).
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A kind that the hub serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServedKind {
    /// Group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// `Job`.
    pub kind: String,
    /// `jobs`.
    pub plural: String,
    /// `job`.
    pub singular: String,
    /// `cm` for ConfigMap.
    pub short_names: Vec<String>,
    /// Words for several kinds, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects are in namespaces.
    pub namespaced: bool,
    /// What can be done.
    pub verbs: Vec<String>,
}

impl ServedKind {
    /// `batch/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `job.batch`, as messages name the kind.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.singular.clone()
        } else {
            format!("{}.{}", self.singular, self.group)
        }
    }

    /// Path of all objects: of one namespace, or of all.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let base = format!("{root}/{}", self.api_version());
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{base}/namespaces/{}/{}", escape(namespace), self.plural),
            None => format!("{base}/{}", self.plural),
        }
    }

    /// Path of one object.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.collection(Some(namespace)), escape(name))
    }

    /// Whether a word means this kind: kind, plural, singular or short name, perhaps with the group behind a dot.
    fn is_meant(&self, word: &str) -> bool {
        let (name, group) = word.split_once('.').map_or((word, None), |(name, group)| (name, Some(group)));
        let versioned = format!("{}.{}", self.version, self.group);
        let group_fits =
            group.is_none_or(|group| group == self.group || group == versioned.trim_end_matches('.'));
        group_fits && self.words().any(|own| own == name)
    }

    fn words(&self) -> impl Iterator<Item = String> + '_ {
        let names = [&self.plural, &self.singular].into_iter().chain(&self.short_names);
        names.cloned().chain([self.kind.to_lowercase()])
    }
}

/// All kinds that the hub serves.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Vec<ServedKind>);

impl Kinds {
    /// Asks the hub.
    pub async fn ask(api: &Api) -> Result<Kinds, Failure> {
        let (core, named) = tokio::try_join!(discover(api, "/api"), discover(api, "/apis"))?;
        Ok(Kinds(read(&core).chain(read(&named)).collect()))
    }

    /// The kind that a word means.
    pub fn named(&self, word: &str) -> Result<&ServedKind, Failure> {
        let lower = word.to_lowercase();
        self.0.iter().find(|kind| kind.is_meant(&lower)).ok_or_else(|| self.unknown(word))
    }

    /// The kinds that a list of words means, categories too: `jobs,pods`, `all`.
    pub fn all_named(&self, words: &str) -> Result<Vec<&ServedKind>, Failure> {
        let mut found: Vec<&ServedKind> = Vec::new();
        for word in words.split(',').filter(|word| !word.is_empty()) {
            let of_category: Vec<_> =
                self.0.iter().filter(|kind| kind.categories.iter().any(|c| c == word)).collect();
            let meant = if of_category.is_empty() { vec![self.named(word)?] } else { of_category };
            for kind in meant {
                if !found.contains(&kind) {
                    found.push(kind);
                }
            }
        }
        Ok(found)
    }

    /// The kind of an object.
    pub fn of(&self, object: &Value) -> Result<&ServedKind, Failure> {
        let (version, kind) =
            (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
        let found = self.0.iter().find(|served| served.kind == kind && served.api_version() == version);
        found.ok_or_else(|| {
            let other = self.0.iter().find(|served| served.kind == kind);
            match other {
                Some(other) => Failure::input(format!(
                    "apiVersion: {version:?} is not served for kind {kind}; write `apiVersion: {}`",
                    other.api_version()
                )),
                None => Failure::input(format!("kind: {}", self.unknown(kind))),
            }
        })
    }

    fn unknown(&self, word: &str) -> Failure {
        let lower = word.to_lowercase();
        let limit = (lower.chars().count() / 3).max(1);
        let distance =
            |kind: &ServedKind| kind.words().map(|own| edits(&lower, &own)).min().unwrap_or(usize::MAX);
        let mut near: Vec<(usize, &str)> =
            self.0.iter().map(|kind| (distance(kind), kind.plural.as_str())).collect();
        near.retain(|(distance, _)| *distance <= limit);
        near.sort_unstable();
        let names = |kinds: &[&str]| kinds.join(", ");
        let near: Vec<&str> = near.into_iter().map(|(_, plural)| plural).take(3).collect();
        let hint = if near.is_empty() {
            let all: Vec<&str> = self.0.iter().map(|kind| kind.plural.as_str()).collect();
            format!("there are: {}", names(&all))
        } else {
            format!("did you mean {}?", names(&near))
        };
        Failure::usage(format!("{word:?} is no kind that the hub serves; {hint}"))
    }
}

async fn discover(api: &Api, path: &str) -> Result<Value, Failure> {
    api.request_as(Method::GET, path, AGGREGATED, None).await?.json()
}

fn read(discovery: &Value) -> impl Iterator<Item = ServedKind> + '_ {
    list(&discovery["items"]).iter().flat_map(|group| {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        // The first version is the preferred one.
        list(&group["versions"]).iter().flat_map(move |version| {
            let word = version["version"].as_str().unwrap_or_default();
            list(&version["resources"]).iter().map(move |resource| served(name, word, resource))
        })
    })
}

fn served(group: &str, version: &str, resource: &Value) -> ServedKind {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| list(value).iter().map(text).collect();
    ServedKind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text(&resource["responseKind"]["kind"]),
        plural: text(&resource["resource"]),
        singular: text(&resource["singularResource"]),
        short_names: texts(&resource["shortNames"]),
        categories: texts(&resource["categories"]),
        namespaced: resource["scope"] == "Namespaced",
        verbs: texts(&resource["verbs"]),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many letters to insert, remove, replace or swap with their neighbour (optimal string alignment distance).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
#[path = "kinds_tests.rs"]
pub mod tests;
