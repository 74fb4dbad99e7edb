use super::*;

/// As `kubectl config` writes it, with fields that are not needed here.
const KUBECTL: &str = r#"
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2E=
    extensions:
    - extension: {provider: x}
      name: cluster_info
    server: https://127.0.0.1:7440/
  name: muster
- cluster:
    certificate-authority: ca.crt
    server: https://[::1]:6443
  name: files
contexts:
- context:
    cluster: muster
    namespace: team-a
    user: admin
  name: muster
- context: {cluster: files, user: bearer}
  name: files
- context: {cluster: gone, user: admin}
  name: broken
current-context: muster
kind: Config
preferences: {}
users:
- name: admin
  user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
- name: bearer
  user:
    token: secret
"#;

#[test]
fn what_kubectl_writes_is_read() {
    let target = Kubeconfig::parse(KUBECTL).unwrap().target(None).unwrap();
    assert_eq!(target.server, "https://127.0.0.1:7440");
    assert_eq!(target.ca, b"ca");
    assert_eq!(target.identity, Some((b"cert".to_vec(), b"key".to_vec())));
    assert_eq!((target.token, target.namespace.as_str()), (None, "team-a"));
}

#[test]
fn relative_paths_start_at_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, KUBECTL).unwrap();
    std::fs::write(folder.path().join("ca.crt"), "authority").unwrap();
    let target = Kubeconfig::find(Some(path)).unwrap().target(Some("files")).unwrap();
    assert_eq!(target.ca, b"authority");
    assert_eq!((target.token.as_deref(), target.namespace.as_str()), (Some("secret"), "default"));
}

#[test]
fn errors_name_what_is_missing() {
    let check = |text: &str, context: Option<&str>, want: &str| {
        let error = Kubeconfig::parse(text).unwrap().target(context).unwrap_err();
        assert_eq!(error.to_string(), want);
    };
    check(KUBECTL, Some("x"), "kubeconfig: no context \"x\"; there are: muster, files, broken");
    check(KUBECTL, Some("broken"), "kubeconfig: no cluster \"gone\"; there are: muster, files");
    check(
        "clusters: null\ncontexts: null\nusers: null\n",
        None,
        "kubeconfig: current-context: missing; give --context",
    );
    assert!(Kubeconfig::parse("clusters: 1").is_err());
}

#[test]
fn what_muster_up_writes_is_read() {
    let text = r#"{"apiVersion":"v1","kind":"Config","current-context":"muster",
        "clusters":[{"name":"muster","cluster":{"server":"https://127.0.0.1:7440","certificate-authority-data":"Y2E="}}],
        "contexts":[{"name":"muster","context":{"cluster":"muster","user":"muster-admin","namespace":"default"}}],
        "users":[{"name":"muster-admin","user":{"client-certificate-data":"Y2VydA==","client-key-data":"a2V5","token":"t"}}]}"#;
    let target = Kubeconfig::parse(text).unwrap().target(None).unwrap();
    assert_eq!(target.token.as_deref(), Some("t"));
    assert!(target.identity.is_some());
}
