//! `muster kubeconfig`: a fresh certificate for whoever asks. The key is made here and goes nowhere.

use std::path::PathBuf;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::hub::HubArgs;
use super::screen;
use crate::exit::{Exit, Failure};
use crate::up::write_by_rename;

/// Arguments of `muster kubeconfig`.
#[derive(Args)]
pub struct KubeconfigArgs {
    /// Where to write it, readable by you only [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks for a certificate and prints a kubeconfig with it.
pub async fn run(args: KubeconfigArgs) -> anyhow::Result<Exit> {
    let target = args.hub.target()?;
    let key = rcgen::KeyPair::generate().context("a key")?;
    let request = rcgen::CertificateParams::default().serialize_request(&key).context("a request")?;
    let body = json!({"request": BASE64_STANDARD.encode(request.der())});
    let made = args.hub.api()?.request(Method::POST, "/muster/v1/kubeconfig", Some(&body)).await?.json()?;
    let text = serde_json::to_string_pretty(&kubeconfig(&target, &made, &key.serialize_pem())?)? + "\n";
    match &args.out {
        None => screen::print(&text)?,
        Some(path) => {
            write_by_rename(path, text.as_bytes(), 0o600)
                .map_err(|error| Failure::input(format!("--out {}: {error}", path.display())))?;
            screen::print(&format!(
                "kubeconfig of {} in {}\n",
                made["user"].as_str().unwrap_or("?"),
                path.display()
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// JSON is YAML: every client reads it.
fn kubeconfig(target: &crate::client::Target, made: &Value, key: &str) -> Result<Value, Failure> {
    let field = |name: &str| {
        made[name].as_str().ok_or_else(|| {
            Failure::negative(format!("the hub's answer has no {name}; is it of another version?"))
        })
    };
    let user = field("user")?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "muster",
        "clusters": [{"name": "muster", "cluster": {
            "server": target.server,
            "certificate-authority-data": BASE64_STANDARD.encode(field("certificateAuthority")?),
        }}],
        "contexts": [{"name": "muster", "context": {
            "cluster": "muster", "user": user, "namespace": target.namespace,
        }}],
        "users": [{"name": user, "user": {
            "client-certificate-data": BASE64_STANDARD.encode(field("certificate")?),
            "client-key-data": BASE64_STANDARD.encode(key),
        }}],
    }))
}
