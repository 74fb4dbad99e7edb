//! Compiles every `.proto` below `proto/` without a system protoc.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = proto_files(Path::new("proto"))?;
    let descriptors = protox::compile(files, ["proto"])?;
    // Chunks of logs and fragments are handed on without a copy.
    tonic_prost_build::configure().bytes(".muster.federation.v1").compile_fds(descriptors)?;
    Ok(())
}

/// All of them, in a fixed order, so that the build is the same everywhere.
fn proto_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
