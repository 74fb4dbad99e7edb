//! Protobuf field numbers of the Kubernetes types, read from the tags of their Go structs.
//!
//! kubectl writes built-in kinds in protobuf, so the facade must read it. A slot is the JSON name of a field, with `?`
//! behind it when a zero means "not given" (the Go field is no pointer), or `<DEFINITION` for an inlined struct.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Slots of one message by field number.
pub(super) type Slots = BTreeMap<u32, String>;

/// Where the types of a definition's prefix are declared, below the module cache's `k8s.io`.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("io.k8s.api.authentication.v1.", "api", "authentication/v1/types.go"),
    ("io.k8s.api.authorization.v1.", "api", "authorization/v1/types.go"),
    ("io.k8s.api.core.v1.", "api", "core/v1/types.go"),
    ("io.k8s.api.batch.v1.", "api", "batch/v1/types.go"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.", "apimachinery", "pkg/apis/meta/v1/types.go"),
];

/// The slots of these definitions and of what is inlined into them.
pub(super) fn slots(swagger: &Path, definitions: &BTreeSet<&str>) -> Result<BTreeMap<String, Slots>> {
    let mut all = BTreeMap::new();
    for (prefix, module, file) in PACKAGES {
        let path = source(swagger, module, file)?;
        let text = fs::read_to_string(&path).with_context(|| {
            format!("read {}: run `go mod download` in e2e/kube/kubernetes", path.display())
        })?;
        all.extend(structs(prefix, &text));
    }
    let mut wanted: Vec<String> = definitions.iter().map(|name| (*name).to_owned()).collect();
    let mut out = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        let Some(slots) = all.remove(&name) else { continue };
        wanted.extend(slots.values().filter_map(|slot| slot.strip_prefix('<').map(str::to_owned)));
        out.insert(name, slots);
    }
    Ok(out)
}

/// `.../k8s.io/kubernetes@v1.34.4/api/...` has its siblings at `.../k8s.io/api@v0.34.4`.
fn source(swagger: &Path, module: &str, file: &str) -> Result<PathBuf> {
    let root = swagger
        .ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubernetes@v1.")))
        .context("the swagger file must lie in the module k8s.io/kubernetes@v1.X of a Go module cache")?;
    let name = root.file_name().unwrap_or_default().to_string_lossy().replace("kubernetes@v1.", "");
    let siblings = root.parent().context("the module has no parent folder")?;
    ensure!(!name.is_empty(), "the module k8s.io/kubernetes has no version");
    Ok(siblings.join(format!("{module}@v0.{name}")).join(file))
}

fn structs(prefix: &str, text: &str) -> BTreeMap<String, Slots> {
    let mut out: BTreeMap<String, Slots> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("type ").and_then(|rest| rest.strip_suffix(" struct {")) {
            current = Some(format!("{prefix}{name}"));
        } else if line == "}" {
            current = None;
        } else if let (Some(name), Some((number, slot))) = (&current, field(prefix, line)) {
            out.entry(name.clone()).or_default().insert(number, slot);
        }
    }
    out
}

/// `Parallelism *int32 `json:"parallelism,omitempty" protobuf:"varint,1,opt,name=parallelism"``
fn field(prefix: &str, line: &str) -> Option<(u32, String)> {
    let (declaration, tags) = line.trim().split_once('`')?;
    let json = tag(tags, "json")?;
    let mut wire = tag(tags, "protobuf")?.split(',');
    let kind = wire.next()?;
    let number = wire.next()?.parse().ok()?;
    let ty = declaration.split_whitespace().last()?;
    let name = json.split(',').next()?;
    if name.is_empty() {
        return Some((number, format!("<{prefix}{ty}")));
    }
    let zero_means_absent = kind == "varint" && !ty.starts_with(['*', '[']);
    Some((number, if zero_means_absent { format!("{name}?") } else { name.to_owned() }))
}

fn tag<'a>(tags: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = tags.split_once(&format!("{key}:\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_names_and_inlined_structs() {
        let text = "type Volume struct {\n\tName string `json:\"name\" protobuf:\"bytes,1,opt,name=name\"`\n\
                    \tVolumeSource `json:\",inline\" protobuf:\"bytes,2,opt,name=volumeSource\"`\n\
                    \tMode *int32 `json:\"mode\" protobuf:\"varint,3,opt,name=mode\"`\n\
                    \tPort int32 `json:\"port\" protobuf:\"varint,4,opt,name=port\"`\n}\n";
        let all = structs("p.", text);
        let slots: Vec<_> = all["p.Volume"].iter().map(|(n, slot)| format!("{n}={slot}")).collect();
        assert_eq!(slots, ["1=name", "2=<p.VolumeSource", "3=mode", "4=port?"]);
    }
}
