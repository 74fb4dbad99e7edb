//! Looks for texts in everything that a federation keeps.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use muster_e2e::local::Federation;

/// Panics if a text, or its base64 at any of the three alignments, is in any file of the folder, or in what `up` said.
pub fn is_nowhere(federation: &Federation, texts: &[&str]) {
    let needles: Vec<Vec<u8>> = texts.iter().flat_map(|text| forms(text)).collect();
    let mut folders = vec![federation.dir.clone()];
    let mut files = vec![federation.dir.with_extension("stderr")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    let looked_at = files.iter().filter(|file| is_clean(file, &needles)).count();
    assert!(looked_at > 10, "log, snapshots, journals and process logs were looked at: {looked_at}");
}

fn is_clean(file: &PathBuf, needles: &[Vec<u8>]) -> bool {
    // A file may go while we look.
    let Ok(bytes) = std::fs::read(file) else { return false };
    for needle in needles {
        let found = bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!found, "{} holds {:?}", file.display(), String::from_utf8_lossy(needle));
    }
    true
}

/// The text, and what every base64 of something with it inside must contain.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![text.as_bytes().to_vec()];
    for lead in 0..3 {
        let padded = [vec![0; lead], text.as_bytes().to_vec()].concat();
        let whole = padded.len() / 3 * 3;
        let encoded = BASE64_STANDARD.encode(&padded[..whole]);
        // The first group depends on what is before.
        forms.push(encoded.into_bytes()[if lead == 0 { 0 } else { 4 }..].to_vec());
    }
    forms
}
