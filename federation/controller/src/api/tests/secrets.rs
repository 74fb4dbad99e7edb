//! Secrets: whole to their readers, sealed in everything that is kept.

use muster_model::{Key, kinds};
use serde_json::json;

use super::world::World;
use crate::secrets::{Progress, add_key, choose, hub_principal};
use crate::terraform::{StateStore, sealed_with};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
/// `hunter2-plain` in base64.
const BASE64: &str = "aHVudGVyMi1wbGFpbg==";
const PLAIN: &str = "hunter2-plain";

fn secret(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": {"app": "hunter2-label"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLAIN}}, "stringData": {"k": PLAIN}})
    .to_string()
}

/// What is stored under a name, as the log and every snapshot have it.
fn stored(world: &World, name: &str) -> String {
    let state = world.hub.stale();
    let object = state.get(&Key::new(kinds::SECRET, "default", name)).expect("it is stored").clone();
    format!("{object:?}")
}

#[tokio::test]
async fn readers_see_it_whole_and_the_log_sees_none_of_it() {
    let world = World::new().await;
    let made = world.ask("POST", SECRETS, secret("a")).await;
    assert_eq!((made.code.as_u16(), made.text("/data/k").as_str()), (201, BASE64), "{made:?}");
    assert!(made.json().get("stringData").is_none());
    let one = format!("{SECRETS}/a");
    for (text, what) in [(PLAIN, "a value"), (BASE64, "its base64"), ("hunter2-label", "a label")] {
        assert!(!stored(&world, "a").contains(text), "{what}");
    }
    assert_eq!(world.get(&one).await.text("/data/k"), BASE64);
    let list =
        world.get(&format!("{SECRETS}?labelSelector=app%3Dhunter2-label&fieldSelector=type%3DOpaque")).await;
    assert_eq!(list.text("/items/0/data/k"), BASE64, "selectors read what is sealed: {list:?}");
    let none = world.get(&format!("{SECRETS}?labelSelector=app%3Dother")).await;
    assert_eq!(none.json()["items"], json!([]));
    let table = world.get_as(SECRETS, "application/json;as=Table;v=v1;g=meta.k8s.io").await.json();
    assert_eq!(
        table["rows"][0]["cells"].as_array().map(|cells| cells[..3].to_vec()),
        Some(vec![json!("a"), json!("Opaque"), json!("1")])
    );
    let merge = "application/merge-patch+json";
    let patched = world.patch(&one, merge, r#"{"stringData":{"other":"hunter2-plain-too"}}"#).await;
    assert_eq!((patched.code.as_u16(), patched.text("/data/k").as_str()), (200, BASE64), "{patched:?}");
    assert_eq!(patched.json()["data"].as_object().map(serde_json::Map::len), Some(2));
    assert!(!stored(&world, "a").contains("hunter2"));
    let again = world.patch(&one, merge, r#"{"stringData":{"k":"hunter2-plain"}}"#).await;
    assert_eq!(
        again.text("/metadata/resourceVersion"),
        patched.text("/metadata/resourceVersion"),
        "no change"
    );
    let dry = world.ask("POST", &format!("{SECRETS}?dryRun=All"), secret("b")).await;
    assert_eq!((dry.code.as_u16(), dry.text("/data/k").as_str()), (201, BASE64));
    let gone = world.ask("DELETE", &one, "").await;
    assert_eq!(gone.code, 200, "{gone:?}");
}

#[tokio::test]
async fn a_watch_opens_what_changes() {
    let world = World::new().await;
    let mut watch = world.watch(&format!("{SECRETS}?watch=true&labelSelector=app%3Dhunter2-label")).await;
    world.ask("POST", SECRETS, secret("a")).await;
    let added = watch.next().await.expect("an event");
    assert_eq!((&added["type"], &added["object"]["data"]["k"]), (&json!("ADDED"), &json!(BASE64)));
    let path = format!("{SECRETS}/a");
    world.patch(&path, "application/merge-patch+json", r#"{"metadata":{"labels":{"app":null}}}"#).await;
    let left = watch.next().await.expect("an event");
    assert_eq!((&left["type"], &left["object"]["data"]["k"]), (&json!("DELETED"), &json!(BASE64)));
}

#[tokio::test]
async fn no_message_repeats_a_value() {
    let world = World::new().await;
    world.ask("POST", SECRETS, secret("a")).await;
    let path = format!("{SECRETS}/a");
    for (kind, patch) in [
        ("application/merge-patch+json", r#"{"data":"hunter2"}"#),
        ("application/merge-patch+json", r#"{"data":{"k":"hunter2!"}}"#),
        ("application/strategic-merge-patch+json", r#"{"stringData":["hunter2"]}"#),
        ("application/json-patch+json", r#"[{"op":"test","path":"/data/k","value":"hunter2"}]"#),
    ] {
        let refused = world.patch(&path, kind, patch).await;
        let text = String::from_utf8_lossy(&refused.bytes).into_owned();
        assert!(
            refused.code.is_client_error() && !text.contains("hunter2") && !text.contains(BASE64),
            "{text}"
        );
    }
    for body in [r#"{"data":{"k":"hunter2!"}}"#, r#"{"data":{"k":["hunter2"]}}"#, r#"{"data":"hunter2"}"#] {
        let refused = world.ask("POST", SECRETS, body).await;
        let text = String::from_utf8_lossy(&refused.bytes).into_owned();
        assert!(refused.code.is_client_error() && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn without_the_key_the_answer_names_it_and_nothing_is_lost() {
    let world = World::new().await;
    world.ask("POST", SECRETS, secret("a")).await;
    let file = world.key_file();
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    add_key(&file).unwrap();
    let id = world.vault.first().to_string();
    world.vault.follow_file();
    assert_ne!(world.vault.first().to_string(), id);
    for path in [format!("{SECRETS}/a"), SECRETS.to_owned()] {
        let refused = world.get(&path).await;
        assert_eq!(refused.code, 500, "{refused:?}");
        assert!(refused.text("/message").contains(&id), "{refused:?}");
    }
    std::fs::write(&file, kept).unwrap();
    world.vault.follow_file();
    assert_eq!(world.get(&format!("{SECRETS}/a")).await.text("/data/k"), BASE64);
}

#[tokio::test]
async fn a_key_can_be_rotated_to_as_soon_as_it_is_in_the_file() {
    let world = World::new().await;
    world.ask("POST", SECRETS, secret("a")).await;
    add_key(&world.key_file()).unwrap();
    let rotated = world.ask("POST", "/muster/v1/secrets/rotate", "{}").await;
    assert_eq!(rotated.code, 200, "{rotated:?}");
    assert_eq!(rotated.text("/current"), world.vault.ids()[1].to_string());
}

#[tokio::test]
async fn terraform_states_are_sealed_anew_unless_a_run_holds_them() {
    let world = World::new().await;
    let states = StateStore::new(world.hub.clone(), world.vault.clone());
    let by = hub_principal();
    let large = [PLAIN.as_bytes(), &[7; 3 << 20]].concat();
    for (name, bytes) in [("small", PLAIN.as_bytes()), ("large", &large), ("held", PLAIN.as_bytes())] {
        states.write(name, None, bytes, &by).await.unwrap();
    }
    states.lock("held", br#"{"ID":"1"}"#, "somebody").await.unwrap();
    let old = world.vault.first();
    add_key(&world.key_file()).unwrap();
    world.vault.follow_file();
    let new = world.vault.ids()[1];
    world.hub.propose(choose(&world.hub.stale(), new, by.clone())).await.unwrap();
    states.reseal().await.unwrap();
    let state = world.hub.linearizable().await.unwrap();
    let of = |name: &str| sealed_with(state.get(&Key::new(kinds::TERRAFORM_STATE, "", name)).unwrap());
    assert_eq!([of("small"), of("large"), of("held")], [Some(new), Some(new), Some(old)]);
    assert_eq!(Progress::of(&world.vault, &state).sealed_with.get(&old), Some(&1), "it is counted");
    let kept = state.list(&muster_model::Kind::new(kinds::TERRAFORM_STATE), None, None);
    let pieces = kept.filter(|object| object.key.name.starts_with("large.")).count();
    assert_eq!(pieces, 2, "the pieces of before are gone");
    assert_eq!(states.read("large").await.unwrap().as_deref(), Some(&large[..]));
    assert_eq!(states.read("held").await.unwrap().as_deref(), Some(PLAIN.as_bytes()));
    states.unlock("held", b"", "somebody").await.unwrap();
    states.reseal().await.unwrap();
    assert!(!Progress::of(&world.vault, &world.hub.stale()).sealed_with.contains_key(&old));
    states.remove("small", &by).await.unwrap();
    states.reseal().await.unwrap();
    assert_eq!(states.read("small").await.unwrap(), None, "what is removed stays so");
}
