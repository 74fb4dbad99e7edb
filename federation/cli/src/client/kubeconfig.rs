//! The part of a kubeconfig that we need: where the hub is, whom to trust, who we are.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::exit::Failure;
use crate::verbs::yaml_error;

/// A kubeconfig file.
#[derive(Clone, Debug, Deserialize)]
pub struct Kubeconfig {
    #[serde(rename = "current-context", default)]
    current_context: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    contexts: Vec<Named<ContextEntry>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    clusters: Vec<Named<ClusterEntry>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    users: Vec<Named<UserEntry>>,
    /// What relative paths in it start from.
    #[serde(skip)]
    folder: PathBuf,
}

/// kubectl writes `contexts: null` when the last one is removed.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Clone, Debug, Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    value: T,
}

#[derive(Clone, Debug, Deserialize)]
struct ContextEntry {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority_data: Option<String>,
    certificate_authority: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UserEntry {
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    token: Option<String>,
}

/// One context, ready to connect.
#[derive(Clone, Debug)]
pub struct Target {
    /// Base URL.
    pub server: String,
    /// The authority's certificate, in PEM.
    pub ca: Vec<u8>,
    /// Client certificate and key, in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Bearer token.
    pub token: Option<String>,
    /// The namespace to use unless another is named.
    pub namespace: String,
}

impl Kubeconfig {
    /// The file that `--kubeconfig`, `KUBECONFIG` or `~/.kube/config` names.
    pub fn find(flag: Option<PathBuf>) -> Result<Kubeconfig, Failure> {
        let environment = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
        // Of a list the first file that is there counts; kubectl would merge them.
        let environment =
            environment.and_then(|list| std::env::split_paths(&list).find(|path| path.exists()));
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
        let path = flag
            .or(environment)
            .or_else(home)
            .ok_or_else(|| Failure::usage("no kubeconfig: give --kubeconfig"))?;
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::input(format!(
                "kubeconfig {}: {error}; set KUBECONFIG or give --kubeconfig (`muster up` prints where its own lies)",
                path.display()
            ))
        })?;
        let parsed = Kubeconfig::parse(&text);
        let mut kubeconfig =
            parsed.map_err(|reason| Failure::input(format!("kubeconfig {}: {reason}", path.display())))?;
        kubeconfig.folder = path.parent().map(PathBuf::from).unwrap_or_default();
        Ok(kubeconfig)
    }

    /// A kubeconfig from its text.
    pub fn parse(text: &str) -> Result<Kubeconfig, String> {
        serde_saphyr::from_str(text).map_err(|error| yaml_error(&error))
    }

    /// The context of this name, or the current one.
    pub fn target(&self, context: Option<&str>) -> Result<Target, Failure> {
        let name = context.unwrap_or(&self.current_context);
        if name.is_empty() {
            return Err(Failure::input("kubeconfig: current-context: missing; give --context"));
        }
        let context = find(&self.contexts, name, "context")?;
        let cluster = find(&self.clusters, &context.cluster, "cluster")?;
        let user = find(&self.users, &context.user, "user")?;
        let either =
            |inline: &Option<String>, file: &Option<PathBuf>| self.either(inline.as_deref(), file.as_ref());
        let ca = either(&cluster.certificate_authority_data, &cluster.certificate_authority)?.ok_or_else(
            || {
                Failure::input(format!(
                    "kubeconfig: cluster {:?} names no certificate authority",
                    context.cluster
                ))
            },
        )?;
        let certificate = either(&user.client_certificate_data, &user.client_certificate)?;
        let key = either(&user.client_key_data, &user.client_key)?;
        Ok(Target {
            server: cluster.server.trim_end_matches('/').to_owned(),
            ca,
            identity: certificate.zip(key),
            token: user.token.clone(),
            namespace: context.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        })
    }

    /// What is given inline, or else in a file.
    fn either(&self, inline: Option<&str>, file: Option<&PathBuf>) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(text) = inline {
            let decoded = BASE64_STANDARD.decode(text.trim());
            return decoded.map(Some).map_err(|error| Failure::input(format!("kubeconfig: base64: {error}")));
        }
        let read = |path: &PathBuf| {
            let path = self.folder.join(path);
            std::fs::read(&path)
                .map_err(|error| Failure::input(format!("kubeconfig: {}: {error}", path.display())))
        };
        file.map(read).transpose()
    }
}

fn find<'a, T>(entries: &'a [Named<T>], name: &str, what: &str) -> Result<&'a T, Failure> {
    let found = entries.iter().find(|entry| entry.name == name).map(|entry| &entry.value);
    found.ok_or_else(|| {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        Failure::input(format!("kubeconfig: no {what} {name:?}; there are: {}", names.join(", ")))
    })
}

#[cfg(test)]
#[path = "kubeconfig_tests.rs"]
mod tests;
