//! Who may ask.

use http::Request;
use serde_json::json;

use super::world::{World, job};
use crate::identity::{MemberCertificate, Peer};
use crate::listen::Connection;

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

fn connection(peer: Option<Peer>) -> Connection {
    Connection { peer }
}

fn user(name: &str, groups: &[&str]) -> Option<Peer> {
    Some(Peer::User {
        name: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    })
}

fn member() -> Option<Peer> {
    Some(Peer::Member(MemberCertificate::ageless("onprem-a")))
}

#[tokio::test]
async fn certificates_of_users_and_of_others() {
    let world = World::new().await;
    for (peer, path, code) in [
        (None, JOBS, 401),
        (None, "/api", 401),
        (None, "/nowhere", 401),
        (None, "/livez", 200),
        (None, "/readyz", 200),
        (None, "/healthz", 200),
        (None, "/version", 200),
        (member(), JOBS, 401),
        (Some(Peer::Replica("controller-1".to_owned())), JOBS, 401),
        (user("admin", &["system:masters"]), JOBS, 200),
        (user("dana", &["team"]), JOBS, 403),
        (user("dana", &["team"]), "/api", 200),
        (user("dana", &["team"]), "/apis/batch/v1", 200),
        (user("dana", &["team"]), "/openapi/v3", 200),
        (user("dana", &["team"]), "/nowhere", 403),
        (user("dana", &["team"]), "/apis/none/v1/things", 403),
        (user("dana", &["team"]), "/muster/v1/replicas", 403),
    ] {
        let request =
            Request::builder().uri(path).extension(connection(peer.clone())).body("".into()).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.code.as_u16(), code, "{peer:?} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_reads_as_the_real_one() {
    let world = World::new().await;
    let get = |path: &str| {
        Request::builder().uri(path).extension(connection(user("dana", &[]))).body("".into()).unwrap()
    };
    let refused = world.send(get(JOBS)).await;
    let want = "jobs.batch is forbidden: User \"dana\" cannot list resource \"jobs\" in API group \"batch\" in the namespace \"default\"";
    assert!(refused.text("/message").starts_with(want), "{refused:?}");
    let write = Request::builder()
        .method("POST")
        .uri(JOBS)
        .extension(connection(user("dana", &[])))
        .body(job("a").into())
        .unwrap();
    assert!(world.send(write).await.text("/message").contains("cannot create resource"));
    assert_eq!(world.get(JOBS).await.json()["items"], json!([]));
}

#[tokio::test]
async fn bearer_tokens() {
    let world = World::new().await;
    let made =
        world.ask("POST", "/muster/v1/credentials", r#"{"user":"ci","groups":["system:masters"]}"#).await;
    assert_eq!(made.code, 201, "{made:?}");
    let token = made.text("/token");
    assert_eq!(token.len(), 64);
    let with =
        |value: String| Request::builder().uri(JOBS).header("authorization", value).body("".into()).unwrap();
    assert_eq!(world.send(with(format!("Bearer {token}"))).await.code, 200);
    assert_eq!(world.send(with(format!("Bearer {token}0"))).await.code, 401);
    assert_eq!(world.send(with(format!("Basic {token}"))).await.code, 401);
    let mut as_member = with(format!("Bearer {token}"));
    as_member.extensions_mut().insert(connection(member()));
    assert_eq!(world.send(as_member).await.code, 401, "a member is never a user");
    let stored = world.hub.stale();
    let texts: Vec<String> = stored.objects().map(|object| format!("{object:?}")).collect();
    assert!(!texts.iter().any(|text| text.contains(&token)), "only the hash is stored");
    assert_eq!(world.get("/apis/muster.sh/v1alpha1/credentials").await.code, 404, "never served");
}

#[tokio::test]
async fn may_i_and_who_am_i() {
    let world = World::new().await;
    let review = |path: &str, peer| {
        Request::builder()
            .method("POST")
            .uri(path)
            .extension(connection(peer))
            .body("{\"spec\":{}}".into())
            .unwrap()
    };
    let access = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let yes = world.send(review(access, user("admin", &["system:masters"]))).await;
    assert_eq!((yes.code.as_u16(), &yes.json()["status"]["allowed"]), (201, &json!(true)));
    let no = world.send(review(access, user("dana", &[]))).await;
    assert_eq!(no.json()["status"]["allowed"], false);
    let rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let all = world.send(review(rules, user("admin", &["system:masters"]))).await;
    assert_eq!(all.json()["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    let few = world.send(review(rules, user("dana", &[]))).await;
    assert_eq!(few.json()["status"]["resourceRules"], json!([]));
    let whoami = world
        .send(review("/apis/authentication.k8s.io/v1/selfsubjectreviews", user("dana", &["team"])))
        .await;
    assert_eq!(
        whoami.json()["status"]["userInfo"],
        json!({"username": "dana", "groups": ["team", "system:authenticated"]})
    );
}

#[tokio::test]
async fn a_review_in_protobuf_is_read() {
    let world = World::new().await;
    // The envelope around `{apiVersion: authorization.k8s.io/v1, kind: SelfSubjectAccessReview}` and a spec that asks
    // for the verb `get` of `jobs` in the namespace `a`.
    let attributes = b"\x0a\x01a\x12\x03get\x1a\x05batch\x22\x02v1\x2a\x04jobs";
    let length = u8::try_from(attributes.len()).unwrap();
    let raw = [b"\x0a\x00\x12".as_slice(), &[length + 2], b"\x0a", &[length], attributes].concat();
    let meta = b"\x0a\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview";
    let [of_meta, of_raw] = [meta.len(), raw.len()].map(|length| [u8::try_from(length).unwrap()]);
    let body = [b"k8s\0\x0a".as_slice(), &of_meta, meta, b"\x12", &of_raw, &raw].concat();
    let request = Request::builder()
        .method("POST")
        .uri("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header("content-type", "application/vnd.kubernetes.protobuf")
        .extension(connection(user("admin", &["system:masters"])))
        .body(body.into())
        .unwrap();
    let answer = world.send(request).await.json();
    assert_eq!(answer["kind"], "SelfSubjectAccessReview");
    assert_eq!(answer["spec"]["resourceAttributes"]["resource"], "jobs");
    assert_eq!(answer["status"]["allowed"], true);
}
