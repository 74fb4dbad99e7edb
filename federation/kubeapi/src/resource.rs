//! What the API serves: one [`Resource`] per kind, listed in a [`Registry`].

use serde_json::Value;

use crate::field::FieldError;

/// A verb of the API, as discovery names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// POST of a new object.
    Create,
    /// DELETE of one object.
    Delete,
    /// DELETE of a collection.
    DeleteCollection,
    /// GET of one object.
    Get,
    /// GET of a collection.
    List,
    /// PATCH of one object.
    Patch,
    /// PUT of one object.
    Update,
    /// GET of a collection with `watch=true`.
    Watch,
}

impl Verb {
    /// The word discovery and RBAC use.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "update",
            Verb::Watch => "watch",
        }
    }
}

/// Every verb, for kinds that a user owns completely.
pub const ALL_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

/// The verbs of kinds that the hub writes and users only look at.
pub const READ_VERBS: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch];

/// A path below an object, such as `status` or `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subresource {
    /// Last path segment.
    pub name: &'static str,
    /// Kind that the subresource exchanges; the parent's kind for `status`.
    pub kind: &'static str,
    /// Verbs it answers.
    pub verbs: &'static [Verb],
}

/// One column of the Table a kind prints. Cells come in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Header, as kubectl prints it (`Completions`).
    pub name: &'static str,
    /// OpenAPI type: `string`, `integer`, `boolean`, `number`, `date`.
    pub kind: &'static str,
    /// OpenAPI format; `name` marks the column that holds the object's name.
    pub format: &'static str,
    /// 0 is always shown, anything larger only by `-o wide`.
    pub priority: u8,
    /// One sentence for people.
    pub description: &'static str,
}

/// A field selector that a kind supports beyond `metadata.name` and `metadata.namespace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLabel {
    /// What the user writes left of the operator (`involvedObject.name`).
    pub label: &'static str,
    /// JSON pointer of the value in the object (`/involvedObject/name`).
    pub pointer: &'static str,
    /// Used instead when the first pointer finds nothing (`/reportingComponent`); empty for none.
    pub fallback: &'static str,
}

/// Whether a kind behaves as one compiled into a Kubernetes API server or as one a CRD defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Strategic merge patch is served.
    BuiltIn,
    /// Strategic merge patch answers 415.
    Custom,
}

/// Which rule `metadata.name` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 label, at most 63 characters (Namespace).
    Label,
    /// RFC 1123 subdomain, at most 253 characters.
    Subdomain,
}

/// One served kind: identity, shape and the few functions that differ from kind to kind.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version (`v1`, `v1alpha1`).
    pub version: &'static str,
    /// Kind (`Job`); lists are `Kind` + `List`.
    pub kind: &'static str,
    /// Path segment (`jobs`).
    pub plural: &'static str,
    /// Lower-case singular (`job`).
    pub singular: &'static str,
    /// Abbreviations kubectl accepts.
    pub short_names: &'static [&'static str],
    /// Groups of kinds (`all`).
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs served on the main resource.
    pub verbs: &'static [Verb],
    /// Paths below an object.
    pub subresources: &'static [Subresource],
    /// Table columns.
    pub columns: &'static [Column],
    /// Name of the definition in [`crate::schema::Schemas`].
    pub schema: &'static str,
    /// Built in or as a CRD.
    pub origin: Origin,
    /// Rule of `metadata.name`.
    pub name_rule: NameRule,
    /// Further field selectors.
    pub field_labels: &'static [FieldLabel],
    /// Sets what the user left out. Called on create, update and after patches, with `metadata.name`, `namespace` and `uid`
    /// set; must be idempotent.
    pub default: fn(&mut Value),
    /// Kind-specific rules. The second argument is the stored object on update.
    pub validate: fn(&Value, Option<&Value>) -> Vec<FieldError>,
}

impl Resource {
    /// `group/version`, or just the version for the core group: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `jobs.batch`, or `configmaps` in the core group: how messages name the resource.
    pub fn qualified(&self) -> String {
        qualify(self.plural, self.group)
    }

    /// `Job.batch`, or `ConfigMap` in the core group: how validation messages name the kind.
    pub fn qualified_kind(&self) -> String {
        qualify(self.kind, self.group)
    }

    /// Kind of a list of these.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// The subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }
}

fn qualify(word: &str, group: &str) -> String {
    if group.is_empty() { word.to_owned() } else { format!("{word}.{group}") }
}

/// Every served kind. Small and built once; lookups walk it.
#[derive(Debug, Clone, Copy)]
pub struct Registry {
    resources: &'static [&'static Resource],
}

impl Registry {
    /// A registry of these kinds, in the order discovery lists them.
    pub const fn new(resources: &'static [&'static Resource]) -> Self {
        Self { resources }
    }

    /// All kinds, in order.
    pub fn resources(&self) -> impl Iterator<Item = &'static Resource> + use<> {
        self.resources.iter().copied()
    }

    /// The kind at `/apis/GROUP/VERSION/PLURAL`.
    pub fn by_plural(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        self.resources().find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// The kind of an object with this `apiVersion` and `kind`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&'static Resource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.resources().find(|r| r.group == group && r.version == version && r.kind == kind)
    }

    /// The served pairs of group and version: the core group first, then by name.
    pub fn group_versions(&self) -> Vec<(&'static str, &'static str)> {
        let mut pairs: Vec<_> = self.resources().map(|r| (r.group, r.version)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}
