//! What the replicas say of themselves and of each other.

use http::Method;
use serde_json::Value;

use super::federation::Federation;
use super::wait::until_within;

/// Waits until all replicas have applied the same index and their states have the same digest. Panics at once if two
/// of the same index differ (S13).
pub async fn until_equal(federation: &Federation) {
    let limit = std::time::Duration::from_secs(60);
    until_within(limit, "equal replicas", || async {
        let reply =
            federation.api().request(Method::GET, "/muster/v1/replicas", None).await.ok()?.json().ok()?;
        let replicas = reply["replicas"].as_array()?;
        let first = replicas.first().filter(|first| first["digest"].is_string())?;
        let mut equal = true;
        for replica in replicas {
            if replica["applied"] == first["applied"] {
                assert_eq!(replica["digest"], first["digest"], "replicas differ: {reply}");
            }
            equal &= replica["applied"] == first["applied"];
        }
        equal.then_some(())
    })
    .await;
}

/// The names of all objects in a collection. None if the hub does not answer.
pub async fn names_in(federation: &Federation, path: &str) -> Option<Vec<String>> {
    let list = federation.get(path).await?;
    let items = list["items"].as_array()?;
    let name = |item: &Value| item["metadata"]["name"].as_str().map(str::to_owned);
    Some(items.iter().filter_map(name).collect())
}
