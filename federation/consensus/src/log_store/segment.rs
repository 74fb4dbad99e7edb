//! One file of the log: what it is called, how it is made, and what can be read from it.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::format::{self, Found, Header, Place, Record};
use super::{StoreError, format::Damage};
use crate::ids::Identity;

/// Names of segments: `log.` and the sequence of the first record.
const PREFIX: &str = "log.";
const DIGITS: usize = 20;
/// Zeros are written in pieces of this size.
const ZEROS: usize = 1 << 20;

/// A segment in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub header: Header,
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Content {
    pub records: Vec<Record>,
    /// Sequence of the last record; one less than the segment's first if there is none.
    pub last: u64,
    /// Where the next record goes.
    pub end: u64,
    /// What stands there, if it is something.
    pub damage: Option<Damage>,
    /// Whether a newer record stands behind that.
    pub goes_on: bool,
}

impl Segment {
    /// Segments of a folder, oldest first. Their headers were checked.
    pub(super) fn all_in(folder: &Path, owner: Identity) -> Result<Vec<Segment>, StoreError> {
        let failed = |error| StoreError::io(folder.display(), "read the folder", error);
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some(first) = sequence_of(&path) {
                found.push((first, path));
            }
        }
        found.sort();
        found.into_iter().map(|(first, path)| Segment::open(path, first, owner)).collect()
    }

    /// The first segment of a folder and whose it is. None if there is none.
    pub(super) fn owner_of(folder: &Path) -> Result<Option<(PathBuf, Identity)>, StoreError> {
        let failed = |error| StoreError::io(folder.display(), "read the folder", error);
        let paths = fs::read_dir(folder).map_err(failed)?.flatten().map(|entry| entry.path());
        let Some(path) = paths.filter(|path| sequence_of(path).is_some()).min() else { return Ok(None) };
        match format::read_header(&read(&path)?) {
            Ok(Ok(header)) => Ok(Some((path, header.owner))),
            Ok(Err(found)) => {
                let file = path.display().to_string();
                Err(StoreError::UnknownFormat { file, found, known: format::FORMAT })
            }
            Err(damage) => Err(StoreError::corrupt(path.display(), "offset 0", damage)),
        }
    }

    fn open(path: PathBuf, first: u64, owner: Identity) -> Result<Segment, StoreError> {
        let bytes = read(&path)?;
        let file = path.display();
        let header = match format::read_header(&bytes) {
            Ok(Ok(header)) => header,
            Ok(Err(found)) => {
                return Err(StoreError::UnknownFormat {
                    file: file.to_string(),
                    found,
                    known: format::FORMAT,
                });
            }
            Err(damage) => return Err(StoreError::corrupt(file, "offset 0", damage)),
        };
        if header.owner != owner {
            return Err(StoreError::WrongOwner {
                file: file.to_string(),
                found: header.owner,
                expected: owner,
            });
        }
        if header.first != first {
            return Err(StoreError::corrupt(file, "offset 0", "its name is that of another segment"));
        }
        if (bytes.len() as u64) < header.size {
            let place = format!("offset {}", bytes.len());
            return Err(StoreError::corrupt(file, place, "the file ends before what it should hold"));
        }
        Ok(Segment { path, header })
    }

    /// Makes a segment of this size under its final name, durable, from a file that is no longer needed if there is one.
    pub(super) fn make(
        folder: &Path,
        header: Header,
        spare: Option<&Path>,
        disk: &mut dyn Disk,
    ) -> Result<(Segment, File), StoreError> {
        let new = folder.join("log.new");
        if let Some(spare) = spare {
            fs::rename(spare, &new).map_err(|e| StoreError::io(spare.display(), "rename", e))?;
        }
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(spare.is_none()).open(&new);
        let file = open.map_err(|e| StoreError::io(new.display(), "create", e))?;
        let failed = |error| StoreError::io(new.display(), "write", error);
        if spare.is_none() {
            fill(&file, header.size, disk).map_err(failed)?;
        }
        disk.write(&file, 0, &format::write_header(&header)).map_err(failed)?;
        disk.sync(&file).map_err(|e| StoreError::io(new.display(), "fsync", e))?;
        let path = folder.join(format!("{PREFIX}{:0DIGITS$}", header.first));
        fs::rename(&new, &path).map_err(|e| StoreError::io(new.display(), "rename", e))?;
        crate::snapshot::sync_folder(&path)?;
        Ok((Segment { path, header }, file))
    }

    /// Everything that checks out, up to the first place where nothing does.
    pub(super) fn read(&self) -> Result<Content, StoreError> {
        let bytes = read(&self.path)?;
        let segment = self.header.first;
        let mut content = Content {
            records: Vec::new(),
            last: segment - 1,
            end: format::HEADER as u64,
            damage: None,
            goes_on: false,
        };
        loop {
            let at = usize::try_from(content.end).expect("a segment fits into memory");
            let rest = bytes.get(at..).unwrap_or_default();
            match format::read_record(rest, Place { segment, sequence: content.last + 1 }) {
                Found::Record(record, length) => {
                    content.records.push(record);
                    content.last += 1;
                    content.end += length as u64;
                }
                Found::Nothing => break,
                Found::Damage(damage) => {
                    content.damage = Some(damage);
                    let later = |at: &usize| format::is_later_record(&rest[*at..], segment, content.last);
                    content.goes_on = (8..rest.len()).step_by(8).any(|at| later(&at));
                    break;
                }
            }
        }
        Ok(content)
    }

    /// The open file, for writing.
    pub(super) fn file(&self) -> Result<File, StoreError> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        file.map_err(|e| StoreError::io(self.path.display(), "open", e))
    }
}

/// Blocks that hold zeros are written in place: an fsync need not tell the file system of new ones.
fn fill(file: &File, size: u64, disk: &mut dyn Disk) -> std::io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut at = 0;
    while at < size {
        let piece = ZEROS.min(usize::try_from(size - at).unwrap_or(ZEROS));
        disk.write(file, at, &zeros[..piece])?;
        at += piece as u64;
    }
    Ok(())
}

fn sequence_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    (digits.len() == DIGITS).then(|| digits.parse().ok()).flatten()
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|e| StoreError::io(path.display(), "open", e))
}
