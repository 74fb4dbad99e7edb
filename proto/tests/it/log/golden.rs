//! The bytes of the format, kept in files. A log that was written by a released version must be readable for good, so a
//! change of these bytes is a change of the format: see the rules in `proto/log/v1/common.proto`.
//!
//! A golden file is the value as text in lines that begin with `#`, and its bytes as hex digits. `MUSTER_BLESS=1` writes
//! all files anew.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use muster_proto::log::{decode_entry, decode_object, encode_entry, encode_object};

use super::{samples, schema, snapshots};

/// The file that holds the schema, not a value.
pub const SCHEMA: &str = "schema.txt";

/// A golden file as it has to be.
struct Golden {
    file: String,
    bytes: Vec<u8>,
    text: String,
}

#[test]
fn bytes_are_as_they_always_were() {
    let goldens = goldens();
    bless_if_asked();
    let mut expected: BTreeSet<&str> = goldens.iter().map(|golden| &*golden.file).collect();
    expected.insert(SCHEMA);
    let found = files();
    assert_eq!(expected, found.iter().map(String::as_str).collect(), "files in {}", folder().display());
    for golden in &goldens {
        let content = fs::read_to_string(folder().join(&golden.file)).unwrap();
        assert_eq!(
            hex_of(&bytes_of(&content)),
            hex_of(&golden.bytes),
            "the bytes of {} changed",
            golden.file
        );
        assert_eq!(content, render(golden), "the text of {} changed, not its bytes", golden.file);
    }
}

#[test]
fn old_bytes_are_still_read() {
    for (name, entry) in samples::entries() {
        let bytes = read(&entry_file(&name));
        assert_eq!(decode_entry(&bytes), Ok(entry), "{name}");
    }
    for (name, object) in samples::objects() {
        let bytes = read(&object_file(&name));
        assert_eq!(decode_object(&bytes), Ok(object), "{name}");
    }
    let (header, objects) = snapshots::read(&read("snapshot.hex")).unwrap();
    assert_eq!(header, samples::header());
    assert_eq!(objects, snapshots::sample_objects());
}

#[test]
fn no_prefix_is_taken_for_the_whole() {
    for (name, _) in samples::entries() {
        let bytes = read(&entry_file(&name));
        for end in 0..bytes.len() {
            assert!(decode_entry(&bytes[..end]).is_err(), "{end} bytes of {name}");
        }
    }
    for (name, _) in samples::objects() {
        let bytes = read(&object_file(&name));
        for end in 0..bytes.len() {
            assert!(decode_object(&bytes[..end]).is_err(), "{end} bytes of {name}");
        }
    }
}

fn goldens() -> Vec<Golden> {
    let entry = |(name, entry)| golden(entry_file(name), encode_entry(entry), entry);
    let object = |(name, object)| golden(object_file(name), encode_object(object), object);
    let entries = samples::entries();
    let objects = samples::objects();
    let mut all: Vec<_> = entries.iter().map(|(name, e)| entry((name, e))).collect();
    all.extend(objects.iter().map(|(name, o)| object((name, o))));
    let names: Vec<_> = snapshots::sample_objects().iter().map(|object| object.key.to_string()).collect();
    all.push(golden("snapshot.hex".into(), snapshots::sample(), &(samples::header(), names)));
    all
}

fn golden(file: String, bytes: Vec<u8>, value: &impl Debug) -> Golden {
    Golden { file, bytes, text: compact(&format!("{value:#?}")) }
}

/// Debug text in which a tuple or list of one short value stands on one line: `TimeMs(7)`.
fn compact(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let closes = matches!(line.trim(), ")" | ")," | "]" | "],");
        let opened = lines.len().checked_sub(2).filter(|&i| closes && lines[i].ends_with(['(', '[']));
        match opened {
            Some(i) => {
                let value = lines.pop().unwrap_or_default();
                lines[i] += value.trim().trim_end_matches(',');
                lines[i] += line.trim();
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

fn entry_file(name: &str) -> String {
    format!("entry-{name}.hex")
}

fn object_file(name: &str) -> String {
    format!("object-{name}.hex")
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log-v1")
}

fn files() -> BTreeSet<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder()).unwrap().map(name).collect()
}

/// Writes all files anew, once for all tests, if the caller asks for it.
pub fn bless_if_asked() {
    static BLESSED: Once = Once::new();
    BLESSED.call_once(|| {
        if std::env::var_os("MUSTER_BLESS").is_some() {
            write_all(&goldens());
        }
    });
}

fn write_all(goldens: &[Golden]) {
    for stale in files() {
        fs::remove_file(folder().join(stale)).unwrap();
    }
    fs::write(folder().join(SCHEMA), schema::schema()).unwrap();
    for golden in goldens {
        fs::write(folder().join(&golden.file), render(golden)).unwrap();
    }
}

fn render(golden: &Golden) -> String {
    let mut content = String::new();
    for line in golden.text.lines() {
        writeln!(content, "# {line}").unwrap();
    }
    content + &hex_of(&golden.bytes)
}

fn hex_of(bytes: &[u8]) -> String {
    let mut lines = String::new();
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
        lines.push('\n');
    }
    lines
}

fn read(file: &str) -> Vec<u8> {
    bless_if_asked();
    bytes_of(&fs::read_to_string(folder().join(file)).unwrap())
}

fn bytes_of(content: &str) -> Vec<u8> {
    let digits: String = content.lines().filter(|line| !line.starts_with('#')).collect();
    let byte = |i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
