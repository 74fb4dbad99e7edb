//! `paths` of a document: one entry per served collection, object and subresource.

use serde_json::{Map, Value, json};

use super::schemas::{DELETE_OPTIONS, PATCH, STATUS, reference};
use crate::patch;
use crate::resource::{Resource, Verb};

/// The paths of one kind.
pub(super) fn of(resource: &Resource) -> Map<String, Value> {
    let base = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let plural = resource.plural;
    let collection = match resource.namespaced {
        true => format!("{base}/namespaces/{{namespace}}/{plural}"),
        false => format!("{base}/{plural}"),
    };
    let object = format!("{collection}/{{name}}");
    let mut out = Map::new();
    if resource.namespaced && resource.verbs.contains(&Verb::List) {
        let item = json!({ "get": operation(resource, Verb::List, "ForAllNamespaces") });
        out.insert(format!("{base}/{plural}"), item);
    }
    let on_collection = [Verb::List, Verb::Create, Verb::DeleteCollection];
    let on_object = [Verb::Get, Verb::Update, Verb::Patch, Verb::Delete];
    let shared = |named: bool| path_parameters(resource, named);
    put(&mut out, collection, item(resource, &on_collection, resource.verbs, "", shared(false)));
    put(&mut out, object.clone(), item(resource, &on_object, resource.verbs, "", shared(true)));
    // Of these only what exchanges a kind; the others are connected to.
    for sub in resource.subresources.iter().filter(|sub| !sub.verbs.contains(&Verb::Create)) {
        let item = item(resource, &on_object, sub.verbs, sub.name, shared(true));
        put(&mut out, format!("{object}/{}", sub.name), item);
    }
    out
}

fn put(out: &mut Map<String, Value>, path: String, item: Option<Value>) {
    if let Some(item) = item {
        out.insert(path, item);
    }
}

fn item(
    resource: &Resource,
    here: &[Verb],
    served: &[Verb],
    part: &str,
    shared: Vec<Value>,
) -> Option<Value> {
    let verbs = here.iter().filter(|verb| served.contains(verb));
    let mut out: Map<_, _> =
        verbs.map(|verb| (method(*verb).to_owned(), operation(resource, *verb, part))).collect();
    if out.is_empty() {
        return None;
    }
    out.insert("parameters".to_owned(), Value::Array(shared));
    Some(Value::Object(out))
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::List | Verb::Watch => "get",
        Verb::Create => "post",
        Verb::Update => "put",
        Verb::Patch => "patch",
        Verb::Delete | Verb::DeleteCollection => "delete",
    }
}

/// The word in `x-kubernetes-action`.
fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "post",
        Verb::Update => "put",
        other => other.as_str(),
    }
}

fn operation(resource: &Resource, verb: Verb, part: &str) -> Value {
    let answer = match verb {
        Verb::List | Verb::Watch => format!("{}List", resource.schema),
        Verb::Delete | Verb::DeleteCollection => STATUS.to_owned(),
        _ => resource.schema.to_owned(),
    };
    let scope = if resource.namespaced { "Namespaced" } else { "" };
    let mut out = json!({
        "tags": [tag(resource)],
        "operationId": format!("{}{scope}{}{}", action(verb), resource.kind, capital(part)),
        "parameters": parameters(verb),
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": reference(&answer)}}},
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": action(verb),
        "x-kubernetes-group-version-kind":
            {"group": resource.group, "version": resource.version, "kind": resource.kind},
    });
    if let Some(body) = request_body(resource, verb) {
        out["requestBody"] = body;
    }
    out
}

fn tag(resource: &Resource) -> String {
    let group = if resource.group.is_empty() { "core" } else { resource.group };
    format!("{}_{}", group.replace('.', "_"), resource.version)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn request_body(resource: &Resource, verb: Verb) -> Option<Value> {
    let content: Map<_, _> = match verb {
        Verb::Create | Verb::Update => ["application/json", "application/yaml"]
            .iter()
            .map(|ty| schema_entry(ty, resource.schema))
            .collect(),
        Verb::Patch => patch::accepted(resource).iter().map(|ty| schema_entry(ty, PATCH)).collect(),
        Verb::Delete | Verb::DeleteCollection => {
            [schema_entry("application/json", DELETE_OPTIONS)].into_iter().collect()
        }
        Verb::Get | Verb::List | Verb::Watch => return None,
    };
    let required = matches!(verb, Verb::Create | Verb::Update | Verb::Patch);
    Some(json!({"content": content, "required": required}))
}

fn schema_entry(media_type: &str, schema: &str) -> (String, Value) {
    (media_type.to_owned(), json!({ "schema": reference(schema) }))
}

fn path_parameters(resource: &Resource, named: bool) -> Vec<Value> {
    let mut names = Vec::new();
    if named {
        names.push(("name", "name of the object"));
    }
    if resource.namespaced {
        names.push(("namespace", "namespace of the object"));
    }
    let path = names.into_iter().map(|(name, description)| {
        json!({"name": name, "in": "path", "required": true, "description": description,
            "schema": {"type": "string", "uniqueItems": true}})
    });
    path.chain([query("pretty", "string", "Indent the answer.")]).collect()
}

fn parameters(verb: Verb) -> Vec<Value> {
    let write = [
        query("dryRun", "string", "All: do everything but store."),
        query("fieldManager", "string", "Who changes the fields; at most 128 bytes."),
        query(
            "fieldValidation",
            "string",
            "Ignore, Warn (default) or Strict: what happens to unknown and duplicate fields.",
        ),
    ];
    let delete = [
        query("dryRun", "string", "All: do everything but store."),
        query("gracePeriodSeconds", "integer", "Seconds until the deletion is forced."),
        query("propagationPolicy", "string", "Orphan, Background or Foreground: what happens to dependents."),
    ];
    let list = [
        query("allowWatchBookmarks", "boolean", "Send bookmarks on a watch."),
        query("continue", "string", "Token of the last page."),
        query("fieldSelector", "string", "Fields to select by."),
        query("labelSelector", "string", "Labels to select by."),
        query("limit", "integer", "Most items of one page."),
        query("resourceVersion", "string", "Revision to read at, or to watch from."),
        query("resourceVersionMatch", "string", "Exact or NotOlderThan."),
        query("sendInitialEvents", "boolean", "Begin a watch with everything there is."),
        query("timeoutSeconds", "integer", "Longest time of the call."),
        query("watch", "boolean", "Stream changes instead of a list."),
    ];
    match verb {
        Verb::Get => Vec::new(),
        Verb::List | Verb::Watch => list.to_vec(),
        Verb::Create | Verb::Update | Verb::Patch => write.to_vec(),
        Verb::Delete => delete.to_vec(),
        Verb::DeleteCollection => list.into_iter().chain(delete).collect(),
    }
}

fn query(name: &str, ty: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": ty, "uniqueItems": true}})
}
