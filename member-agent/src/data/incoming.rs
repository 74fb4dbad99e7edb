//! A transfer on disk: files that are being filled, the manifest, and a record of the chunks that are there.
//!
//! The record is a file of entries of 12 bytes, each with its checksum, appended after the chunk itself was synced. What is
//! behind the first entry that is torn or damaged counts as not there. A chunk that is on record and not on disk is found
//! when everything is read back, before any of it is published.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use muster_model::mutant;

use super::folder::{DataFolder, DataId};
use super::manifest::{ChunkPlace, Manifest, hash};

const FILES: &str = "files";
const MANIFEST: &str = "manifest";
const RECORD: &str = "record";
/// A chunk's number and a checksum.
const ENTRY_BYTES: usize = 12;

/// A transfer on disk.
pub(crate) struct Incoming {
    folder: PathBuf,
    places: Vec<(ChunkPlace, [u8; 32])>,
    record: File,
    /// Chunks that earlier lives left.
    pub(crate) held: BTreeSet<usize>,
    /// Bytes that earlier lives stored, some perhaps more than once.
    pub(crate) stored_bytes: u64,
}

impl Incoming {
    /// Goes on with what lies there, or begins.
    pub(crate) fn open(root: &DataFolder, id: &DataId, manifest: &Manifest) -> io::Result<Incoming> {
        let folder = root.incoming(id);
        let text = manifest.text();
        if fs::read_to_string(folder.join(MANIFEST)).is_ok_and(|there| there != text) {
            // Of other content under the same version: nothing of it is of use.
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(folder.join(FILES))?;
        root.write(&folder.join(MANIFEST), text.as_bytes())?;
        for (path, bytes) in manifest.files() {
            let path = folder.join(FILES).join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            OpenOptions::new().write(true).create(true).truncate(false).open(path)?.set_len(bytes)?;
        }
        let places = manifest.places();
        let record = OpenOptions::new().read(true).append(true).create(true).open(folder.join(RECORD))?;
        let Recorded { held, stored_bytes, good } = read_record(&record, &places)?;
        // What is behind is cut off, so that new entries are found again.
        record.set_len(good)?;
        Ok(Incoming { folder, places, record, held, stored_bytes })
    }

    /// What of a transfer that is not under way lies here: its manifest and the bytes that are missing.
    pub(crate) fn look(root: &DataFolder, id: &DataId) -> Option<(Manifest, u64)> {
        let folder = root.incoming(id);
        let manifest = Manifest::read(&fs::read_to_string(folder.join(MANIFEST)).ok()?).ok()?;
        let places = manifest.places();
        let held = read_record(&File::open(folder.join(RECORD)).ok()?, &places).ok()?.held;
        let missing = places.iter().enumerate().filter(|(chunk, _)| !held.contains(chunk));
        let bytes = missing.map(|(_, (place, _))| place.bytes).sum();
        Some((manifest, bytes))
    }

    /// Writes and syncs a chunk, then puts on record that it is there.
    pub(crate) fn store(&mut self, chunk: usize, bytes: &[u8]) -> io::Result<()> {
        let (place, _) = &self.places[chunk];
        let file = OpenOptions::new().write(true).open(self.file(place))?;
        file.write_all_at(bytes, place.offset)?;
        file.sync_data()?;
        self.record.write_all(&entry(chunk))?;
        self.record.sync_data()
    }

    /// Reads everything back: the chunks that are not what they should be.
    pub(crate) fn damaged(&self) -> io::Result<BTreeSet<usize>> {
        let mut damaged = BTreeSet::new();
        for (chunk, (place, expected)) in self.places.iter().enumerate() {
            let found = read_chunk(&self.file(place), place)?;
            if hash(&found) != *expected {
                damaged.insert(chunk);
            }
        }
        Ok(damaged)
    }

    /// Puts the files where pods find them: all of them at once, and nobody is to write to them.
    pub(crate) fn publish(&self, root: &DataFolder, id: &DataId, manifest: &Manifest) -> io::Result<()> {
        let target = root.files(id);
        target.parent().map(fs::create_dir_all).transpose()?;
        fs::rename(self.folder.join(FILES), &target)?;
        // Not before: the next try of a transfer that fails here opens them for writing.
        for (path, _) in manifest.files() {
            fs::set_permissions(target.join(path), fs::Permissions::from_mode(0o444))?;
        }
        target.parent().map(|parent| File::open(parent)?.sync_all()).transpose()?;
        keep_manifest(root, id, manifest)?;
        fs::remove_dir_all(&self.folder)
    }

    /// Where a chunk lies, and what it is.
    pub(crate) fn place(&self, chunk: usize) -> &(ChunkPlace, [u8; 32]) {
        &self.places[chunk]
    }

    fn file(&self, place: &ChunkPlace) -> PathBuf {
        self.folder.join(FILES).join(&place.path)
    }
}

/// The bytes of a chunk of a file; fewer if the file is shorter.
pub(crate) fn read_chunk(path: &Path, place: &ChunkPlace) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = vec![0; place.bytes as usize];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], place.offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// Writes down what the files of a version are. From then on pods may read them.
pub(crate) fn keep_manifest(root: &DataFolder, id: &DataId, manifest: &Manifest) -> io::Result<()> {
    fs::create_dir_all(root.manifests(id))?;
    root.write(&root.manifest(id, manifest.digest()), manifest.text().as_bytes())
}

fn entry(chunk: usize) -> [u8; ENTRY_BYTES] {
    let number = (chunk as u64).to_le_bytes();
    let mut entry = [0; ENTRY_BYTES];
    entry[..8].copy_from_slice(&number);
    entry[8..].copy_from_slice(&crc32c::crc32c(&number).to_le_bytes());
    entry
}

/// What a record says.
struct Recorded {
    held: BTreeSet<usize>,
    /// Bytes of chunks as often as they are on record.
    stored_bytes: u64,
    /// Its length up to the first bad entry.
    good: u64,
}

/// Reads a record up to its first bad entry. It may be growing.
fn read_record(record: &File, places: &[(ChunkPlace, [u8; 32])]) -> io::Result<Recorded> {
    let mut bytes = vec![0; record.metadata()?.len() as usize];
    record.read_exact_at(&mut bytes, 0)?;
    let mut recorded = Recorded { held: BTreeSet::new(), stored_bytes: 0, good: 0 };
    for found in bytes.chunks_exact(ENTRY_BYTES) {
        let number = u64::from_le_bytes(found[..8].try_into().expect("8 bytes"));
        let chunk = usize::try_from(number).ok().filter(|chunk| *chunk < places.len());
        let Some(chunk) = chunk.filter(|chunk| entry(*chunk) == found || mutant!(torn_progress_believed))
        else {
            break;
        };
        recorded.stored_bytes += places[chunk].0.bytes;
        recorded.held.insert(chunk);
        recorded.good += ENTRY_BYTES as u64;
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::manifest::CHUNK_BYTES;

    /// A dataset of five chunks in two files, and where a transfer of it goes.
    fn world() -> (tempfile::TempDir, DataFolder, DataId, Manifest, Vec<Vec<u8>>) {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("b")).unwrap();
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 9).map(|at| (at % 251) as u8).collect();
        fs::write(source.join("a"), &bytes).unwrap();
        fs::write(source.join("b/c"), "tail").unwrap();
        let manifest = Manifest::of_folder(&source).unwrap();
        let chunks = manifest
            .places()
            .iter()
            .map(|(place, _)| read_chunk(&source.join(&place.path), place).unwrap())
            .collect();
        let root = DataFolder::of_state(dir.path()).unwrap();
        let id = DataId { namespace: "n".into(), name: "d".into(), version: "1".into() };
        (dir, root, id, manifest, chunks)
    }

    fn record_of(root: &DataFolder, id: &DataId) -> PathBuf {
        root.incoming(id).join(RECORD)
    }

    #[test]
    fn a_transfer_cut_at_each_chunk_goes_on_where_it_was() {
        let (_dir, root, id, manifest, chunks) = world();
        for (at, bytes) in chunks.iter().enumerate() {
            let mut incoming = Incoming::open(&root, &id, &manifest).unwrap();
            assert_eq!(incoming.held, (0..at).collect(), "each life finds what the one before it stored");
            incoming.store(at, bytes).unwrap();
        }
        let incoming = Incoming::open(&root, &id, &manifest).unwrap();
        assert_eq!(incoming.stored_bytes, manifest.bytes());
        assert_eq!(incoming.damaged().unwrap(), BTreeSet::new());
        incoming.publish(&root, &id, &manifest).unwrap();
        assert_eq!(Manifest::of_folder(&root.files(&id)).unwrap(), manifest);
        assert!(!root.incoming(&id).exists());
    }

    #[test]
    fn a_record_that_is_torn_at_any_byte_is_believed_up_to_there() {
        let (_dir, root, id, manifest, chunks) = world();
        let mut incoming = Incoming::open(&root, &id, &manifest).unwrap();
        for (at, bytes) in chunks.iter().enumerate() {
            incoming.store(at, bytes).unwrap();
        }
        let whole = fs::read(record_of(&root, &id)).unwrap();
        for end in 0..whole.len() {
            fs::write(record_of(&root, &id), &whole[..end]).unwrap();
            let held = Incoming::open(&root, &id, &manifest).unwrap().held;
            assert_eq!(held, (0..end / ENTRY_BYTES).collect(), "{end} bytes of the record");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(record_of(&root, &id), &damaged).unwrap();
            let held = Incoming::open(&root, &id, &manifest).unwrap().held;
            assert_eq!(held, (0..at / ENTRY_BYTES).collect(), "byte {at} of the record");
        }
    }

    #[test]
    fn a_chunk_on_record_that_is_not_on_disk_is_found_before_publishing() {
        let (_dir, root, id, manifest, chunks) = world();
        let mut incoming = Incoming::open(&root, &id, &manifest).unwrap();
        for (at, bytes) in chunks.iter().enumerate() {
            incoming.store(at, bytes).unwrap();
        }
        let file = OpenOptions::new().write(true).open(root.incoming(&id).join("files/a")).unwrap();
        file.write_all_at(&[0xff], CHUNK_BYTES + 7).unwrap();
        assert_eq!(incoming.damaged().unwrap(), BTreeSet::from([1]));
    }

    #[test]
    fn a_folder_in_the_way_leaves_a_transfer_that_can_go_on() {
        let (_dir, root, id, manifest, chunks) = world();
        let mut incoming = Incoming::open(&root, &id, &manifest).unwrap();
        for (at, bytes) in chunks.iter().enumerate() {
            incoming.store(at, bytes).unwrap();
        }
        fs::create_dir_all(root.files(&id).join("in the way")).unwrap();
        assert!(incoming.publish(&root, &id, &manifest).is_err());
        for (path, _) in manifest.files() {
            let mode = fs::metadata(root.incoming(&id).join(FILES).join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o200, 0o200, "{path} cannot be opened again by who is not root");
        }
        fs::remove_dir_all(root.files(&id)).unwrap();
        let incoming = Incoming::open(&root, &id, &manifest).unwrap();
        incoming.publish(&root, &id, &manifest).unwrap();
        let mode = fs::metadata(root.files(&id).join("a")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, root.incoming(&id).exists()), (0o444, false));
    }

    #[test]
    fn a_manifest_that_two_write_at_once_is_whole() {
        let (_dir, root, id, manifest, _) = world();
        let write = || (0..50).try_for_each(|_| keep_manifest(&root, &id, &manifest));
        std::thread::scope(|scope| {
            let both = [scope.spawn(write), scope.spawn(write)];
            both.into_iter().for_each(|one| one.join().unwrap().unwrap());
        });
        let text = fs::read_to_string(root.manifest(&id, manifest.digest())).unwrap();
        assert_eq!(Manifest::read(&text).unwrap(), manifest);
        assert_eq!(fs::read_dir(root.manifests(&id)).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn another_content_under_the_same_version_begins_anew() {
        let (dir, root, id, manifest, chunks) = world();
        Incoming::open(&root, &id, &manifest).unwrap().store(0, &chunks[0]).unwrap();
        fs::write(dir.path().join("source/a"), "other").unwrap();
        let other = Manifest::of_folder(&dir.path().join("source")).unwrap();
        assert_eq!(Incoming::open(&root, &id, &other).unwrap().held, BTreeSet::new());
    }

    /// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
    #[cfg(mutants)]
    #[test]
    fn mutants_are_caught_by_the_rules_above() {
        muster_model::mutants::assert_each_is_caught(&[(
            "torn_progress_believed",
            a_record_that_is_torn_at_any_byte_is_believed_up_to_there,
        )]);
    }
}
