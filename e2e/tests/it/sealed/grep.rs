//! Looks for texts in everything that a federation keeps, and in what its processes hold in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use muster_e2e::local::Federation;

/// A page of memory.
const PAGE_BYTES: usize = 4096;

/// Panics if a text, or its base64 at any of the three alignments, is in any file of the folder, or in what `up` said.
pub fn is_nowhere(federation: &Federation, texts: &[&str]) {
    let own = tempfile::tempdir().expect("a folder");
    let (patterns, control) = (own.path().join("patterns"), own.path().join("control"));
    let needles: Vec<String> = texts.iter().flat_map(|text| forms(text)).collect();
    std::fs::write(&patterns, needles.join("\n") + "\n").expect("written");
    // Binary, and found last: what says nothing of the rest would not find it either.
    std::fs::write(&control, [b"\0\xff", needles[needles.len() - 1].as_bytes()].concat()).expect("written");
    let files = count(&federation.dir);
    assert!(files > 10, "log, snapshots, journals and process logs are there: {files}");
    let mut grep = Command::new("grep");
    grep.env("LC_ALL", "C").args(["-r", "-l", "-a", "-s", "-F", "-f"]).arg(&patterns).arg("--");
    grep.args([&federation.dir, &federation.dir.with_extension("stderr"), &control]);
    let said = grep.output().expect("grep is there");
    let found = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(found.trim(), control.display().to_string(), "files that hold one of {texts:?}");
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// Whether a process has this text in its memory; `None` if it may not be looked at.
pub fn is_in_memory(pid: i32, text: &str) -> Option<bool> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    Some(maps.lines().filter_map(writable).any(|(from, to)| {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
        // A region may have gone meanwhile.
        memory.read_exact_at(&mut bytes, from).is_ok() && has(&bytes, text.as_bytes())
    }))
}

/// The addresses of a line of `maps`, if the process may write there.
fn writable(line: &str) -> Option<(u64, u64)> {
    let (addresses, rest) = line.split_once(' ')?;
    let (from, to) = addresses.split_once('-')?;
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    rest.starts_with("rw").then_some((hexadecimal(from)?, hexadecimal(to)?))
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    // Most pages were never written to: they are passed over at the speed of the library.
    let pages = (0..bytes.len())
        .step_by(PAGE_BYTES)
        .filter(|from| bytes[*from..bytes.len().min(from + PAGE_BYTES)].contains(&text[0]));
    let mut parts = pages.map(|from| &bytes[from..bytes.len().min(from + PAGE_BYTES + text.len())]);
    parts.any(|part| part.windows(text.len()).any(|window| window == text))
}

/// The text, and what every base64 of something with it inside must contain.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    for lead in 0..3 {
        let padded = [vec![0; lead], text.as_bytes().to_vec()].concat();
        let whole = padded.len() / 3 * 3;
        let encoded = BASE64_STANDARD.encode(&padded[..whole]);
        // The first group depends on what is before.
        forms.push(encoded[if lead == 0 { 0 } else { 4 }..].to_owned());
    }
    forms
}
