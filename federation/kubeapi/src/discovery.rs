//! Discovery: which groups, versions and kinds are served.

use serde_json::{Value, json};

use crate::resource::{Registry, Resource, Subresource, Verb};

/// The Kubernetes API version whose conventions are served; clients compare it with their own.
pub const KUBERNETES_MINOR: u32 = 34;

/// `/version`. `build` is Muster's own version.
pub fn version(build: &str) -> Value {
    json!({
        "major": "1",
        "minor": KUBERNETES_MINOR.to_string(),
        "gitVersion": format!("v1.{KUBERNETES_MINOR}.0+muster-{build}"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// `/api`: the versions of the core group. `address` is where clients reach this server (`host:port`).
pub fn core_versions(registry: &Registry, address: &str) -> Value {
    let versions: Vec<_> = versions_of(registry, "");
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`: every named group.
pub fn group_list(registry: &Registry) -> Value {
    let groups: Vec<_> = groups_of(registry).into_iter().map(|group| group_entry(registry, group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`; `None` for a group that is not served.
pub fn group(registry: &Registry, name: &str) -> Option<Value> {
    let known = groups_of(registry).into_iter().find(|group| *group == name)?;
    let mut entry = group_entry(registry, known);
    entry["kind"] = json!("APIGroup");
    entry["apiVersion"] = json!("v1");
    Some(entry)
}

/// `/api/v1` or `/apis/GROUP/VERSION`; `None` for what is not served.
pub fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<_> = of(registry, group, version).flat_map(resource_entries).collect();
    if resources.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }))
}

/// The aggregated form of `/api` (`core: true`) or `/apis`, of `apidiscovery.k8s.io/VERSION`.
pub fn aggregated(registry: &Registry, core: bool, version: &str) -> Value {
    let groups = if core { vec![""] } else { groups_of(registry) };
    let items: Vec<_> = groups.into_iter().map(|group| aggregated_group(registry, group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn of<'a>(
    registry: &'a Registry,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'static Resource> + 'a {
    registry.resources().filter(move |r| r.group == group && r.version == version)
}

fn groups_of(registry: &Registry) -> Vec<&'static str> {
    let mut groups: Vec<_> = registry
        .group_versions()
        .into_iter()
        .map(|(group, _)| group)
        .filter(|group| !group.is_empty())
        .collect();
    groups.dedup();
    groups
}

fn versions_of(registry: &Registry, group: &str) -> Vec<&'static str> {
    registry.group_versions().into_iter().filter(|(g, _)| *g == group).map(|(_, version)| version).collect()
}

fn group_entry(registry: &Registry, group: &str) -> Value {
    let versions: Vec<_> = versions_of(registry, group)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

fn resource_entries(resource: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs(resource.verbs),
    });
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let below = resource.subresources.iter().map(|sub| {
        json!({
            "name": format!("{}/{}", resource.plural, sub.name),
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": sub.kind,
            "verbs": verbs(sub.verbs),
        })
    });
    std::iter::once(main).chain(below).collect()
}

fn aggregated_group(registry: &Registry, group: &str) -> Value {
    let versions: Vec<_> = versions_of(registry, group)
        .into_iter()
        .map(|version| {
            let resources: Vec<_> = of(registry, group, version).map(aggregated_resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &'static Resource) -> Value {
    let mut out = json!({
        "resource": resource.plural,
        "responseKind": kind_of(resource, resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource.verbs),
    });
    if !resource.short_names.is_empty() {
        out["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        out["categories"] = json!(resource.categories);
    }
    if !resource.subresources.is_empty() {
        out["subresources"] =
            resource.subresources.iter().map(|sub| aggregated_subresource(resource, sub)).collect();
    }
    out
}

fn aggregated_subresource(resource: &Resource, sub: &Subresource) -> Value {
    json!({
        "subresource": sub.name,
        "responseKind": kind_of(resource, sub.kind),
        "verbs": verbs(sub.verbs),
    })
}

fn kind_of(resource: &Resource, kind: &str) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": kind})
}

fn verbs(verbs: &[Verb]) -> Vec<&'static str> {
    let mut words: Vec<_> = verbs.iter().map(|verb| verb.as_str()).collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::REGISTRY;

    #[test]
    fn every_form_lists_the_same_kinds() {
        assert_eq!(core_versions(&REGISTRY, "127.0.0.1:7440")["versions"], json!(["v1"]));
        let groups = group_list(&REGISTRY);
        assert_eq!(groups["groups"][0]["name"], "batch");
        assert_eq!(groups["groups"][1]["preferredVersion"]["groupVersion"], "muster.sh/v1alpha1");
        assert_eq!(group(&REGISTRY, "batch").unwrap()["kind"], "APIGroup");
        assert_eq!(group(&REGISTRY, "apps"), None);
        let list = resource_list(&REGISTRY, "batch", "v1").unwrap();
        assert_eq!(list["groupVersion"], "batch/v1");
        assert_eq!(list["resources"][1]["name"], "jobs/status");
        assert_eq!(resource_list(&REGISTRY, "batch", "v2"), None);
        let core = aggregated(&REGISTRY, true, "v2");
        assert_eq!(core["items"][0]["versions"][0]["resources"][0]["resource"], "namespaces");
        let named = aggregated(&REGISTRY, false, "v2");
        assert_eq!(
            named["items"][0]["versions"][0]["resources"][0]["subresources"][0]["subresource"],
            "status"
        );
    }
}
