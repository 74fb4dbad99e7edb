//! The working folder of one member: the module's files and the values of its variables. Beside it lies the log of its runs,
//! which stays for a while. Nothing here is needed by another replica: what must outlive this one is in the hub.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use muster_model::{BurstPoolSpec, Intent, NodeShape, PriceClass, Taint, TaintEffect};
use serde_json::{Map, Value, json};

use super::modules;

/// Bytes of a member's log after which it begins anew.
const LOG_MAX_BYTES: u64 = 4 << 20;

/// What the values of a module's variables are made of.
pub struct Values<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// What was asked for.
    pub spec: &'a BurstPoolSpec,
    /// The intent.
    pub intent: &'a Intent,
    /// Where the member joins.
    pub join_urls: &'a str,
    /// The pin of the hub's authority.
    pub ca_pin: &'a str,
    /// The executable.
    pub muster: &'a Path,
    /// Where members lie unless the pool says otherwise.
    pub root: &'a Path,
}

/// Logs of members that are kept for each pool: those that ended last.
const LOGS_MAX: usize = 32;

/// A working folder.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder and what Terraform reads in it.
    ///
    /// # Errors
    /// The file system, or a module that is not there.
    pub fn prepare(base: &Path, values: &Values<'_>) -> io::Result<Folder> {
        let path = base.join(values.pool).join(values.intent.member.as_str());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let folder = Folder(path);
        let module = &values.spec.module;
        let files = modules::files(module)
            .ok_or_else(|| io::Error::other(format!("there is no module {module} in this version")))?;
        for file in files {
            folder.write(file.name, file.text)?;
        }
        folder.write("backend.tf.json", &json!({"terraform": {"backend": {"http": {}}}}).to_string())?;
        // Values in this file are taken as they are: what looks like an expression is text.
        folder.write("terraform.tfvars.json", &variables(values).to_string())?;
        // Neither a user's configuration nor a plugin cache has a say.
        folder.write("terraformrc", "disable_checkpoint = true\n")?;
        Ok(folder)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds to its log.
    pub fn log(&self, title: &str, text: &str) {
        let path = self.0.with_extension("log");
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > LOG_MAX_BYTES) {
            let _ = fs::rename(&path, self.0.with_extension("log.old"));
        }
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        // A log that cannot be written must not keep a member from being removed.
        let _ = file.and_then(|mut file| writeln!(file, "== {} {title}\n{text}", crate::hub::now()));
    }

    /// Removes it, and logs of members that are long gone.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.0);
        let pool = self.0.parent().and_then(|pool| fs::read_dir(pool).ok());
        let entries = pool.into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| Some((entry.metadata().ok()?, entry.path())));
        let mut logs: Vec<_> = files
            .filter(|(meta, _)| meta.is_file())
            .filter_map(|(meta, path)| Some((meta.modified().ok()?, path)))
            .collect();
        logs.sort();
        for (_, path) in logs.iter().rev().skip(LOGS_MAX) {
            let _ = fs::remove_file(path);
        }
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.0.join(name);
        let mut file =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    }
}

/// The values of all variables: the pool's, and over them those of the hub.
fn variables(values: &Values<'_>) -> Value {
    let mut all = Map::new();
    all.insert("root".to_owned(), json!(values.root));
    for (name, text) in &values.spec.variables {
        all.insert(name.to_string(), serde_json::from_str(text).unwrap_or_default());
    }
    let own = json!({
        "intent": values.intent.id.to_string(),
        "pool": values.pool,
        "member": values.intent.member.as_str(),
        "join_url": values.join_urls,
        "ca_pin": values.ca_pin,
        "members_entry": member_entry(values.intent.member.as_str(), values.spec).to_string(),
        "muster": values.muster,
    });
    all.extend(own.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// Where members of this pool lie.
pub fn root_of(spec: &BurstPoolSpec, default: &Path) -> PathBuf {
    let given = spec.variables.get("root").and_then(|text| serde_json::from_str::<String>(text).ok());
    given.map_or_else(|| default.to_owned(), PathBuf::from)
}

/// One entry of a members file.
fn member_entry(name: &str, spec: &BurstPoolSpec) -> Value {
    let member = &spec.member;
    let mut location = json!({"provider": &*member.location.provider, "region": &*member.location.region});
    if let Some(zone) = &member.location.zone {
        location["zone"] = json!(&**zone);
    }
    let labels: Map<String, Value> =
        member.labels.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect();
    json!({
        "name": name,
        "location": location,
        "priceClass": match member.price_class {
            PriceClass::OnPrem => "onPrem",
            PriceClass::OnDemand => "onDemand",
            PriceClass::Spot => "spot",
        },
        "backend": "process",
        "labels": labels,
        "taints": member.taints.iter().map(taint).collect::<Vec<_>>(),
        "nodes": spec.shapes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn taint(taint: &Taint) -> Value {
    let effect = match taint.effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    };
    json!({"key": &*taint.key, "value": &*taint.value, "effect": effect})
}

fn node(shape: &NodeShape) -> Value {
    let has = &shape.allocatable;
    let mut node = json!({
        "count": shape.nodes,
        "cpu": format!("{}m", has.cpu_milli),
        "memory": has.memory_bytes.to_string(),
    });
    if let Some(model) = &shape.gpu_model {
        node["gpu"] = json!({"model": model.as_str(), "count": has.gpu_milli / 1000});
    }
    node
}
