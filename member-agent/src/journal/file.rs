//! The journal's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use muster_member_machine::Record;

use super::codec::{decode, encode};

const HEADER_BYTES: usize = 12;
/// The largest record; a longer one is damage.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// Compacted when it is this large and four times what it was after the last compaction.
const MIN_COMPACT_BYTES: u64 = 1 << 20;

/// Why the journal is not usable.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed. Whether the records are durable is unknown, so the agent must end.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something in the middle is not what was written.
    #[error(
        "{path} is damaged at byte {offset}: {reason}. What runs here is not known from it: restore the file, \
         or stop the member's jobs, remove the state folder and join again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What does not fit.
        reason: String,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    compacted_bytes: u64,
}

impl Journal {
    /// Opens the journal in `folder`: all its records, and where to append.
    pub fn open(folder: &Path) -> Result<(Journal, Vec<Record>), JournalError> {
        let path = folder.join("journal");
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let (records, sound) = read_all(&path, &content)?;
        let file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(io_error("open", &path))?;
        if sound < content.len() {
            tracing::warn!(path = %path.display(), offset = sound, "cut off a record that was being written");
            file.set_len(sound as u64).map_err(io_error("truncate", &path))?;
            file.sync_all().map_err(io_error("sync", &path))?;
        }
        sync_folder(folder)?;
        let bytes = sound as u64;
        Ok((Journal { path, file, bytes, compacted_bytes: bytes }, records))
    }

    /// Appends the records and syncs them.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let content = frames(records);
        self.file.write_all(&content).map_err(io_error("append to", &self.path))?;
        self.file.sync_data().map_err(io_error("sync", &self.path))?;
        self.bytes += content.len() as u64;
        Ok(())
    }

    /// Whether most of it is history that nothing needs.
    pub fn wants_compaction(&self) -> bool {
        self.bytes > MIN_COMPACT_BYTES && self.bytes / 4 > self.compacted_bytes
    }

    /// Replaces the content by these records.
    pub fn compact(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let temporary = self.path.with_extension("tmp");
        let content = frames(records);
        let write = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(&content)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            OpenOptions::new().append(true).open(&self.path)
        };
        self.file = write().map_err(io_error("rewrite", &self.path))?;
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        self.bytes = content.len() as u64;
        self.compacted_bytes = self.bytes;
        Ok(())
    }
}

fn frames(records: &[Record]) -> Vec<u8> {
    let mut content = Vec::new();
    for record in records {
        let payload = encode(record);
        let length = u32::try_from(payload.len()).expect("a record is far below 4 GiB");
        content.extend_from_slice(&length.to_le_bytes());
        content.extend_from_slice(&crc32c::crc32c(&length.to_le_bytes()).to_le_bytes());
        content.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        content.extend_from_slice(&payload);
    }
    content
}

/// All records, and up to which byte the content is sound.
fn read_all(path: &Path, content: &[u8]) -> Result<(Vec<Record>, usize), JournalError> {
    let mut records = Vec::new();
    let mut offset = 0;
    while let Some(header) = content.get(offset..offset + HEADER_BYTES) {
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let damaged =
            |reason: String| JournalError::Damaged { path: path.to_owned(), offset: offset as u64, reason };
        let length = word(0) as usize;
        if crc32c::crc32c(&header[..4]) != word(4) || length > MAX_RECORD_BYTES {
            // A file that grew before its content was written ends in zeros.
            if content[offset..].iter().all(|byte| *byte == 0) {
                break;
            }
            return Err(damaged("it is not the head of a record".to_owned()));
        }
        let start = offset + HEADER_BYTES;
        let Some(payload) = content.get(start..start + length) else { break };
        if crc32c::crc32c(payload) != word(8) {
            // The last frame may have been written in part, even if its length was.
            if start + length == content.len() {
                break;
            }
            return Err(damaged("the checksum does not fit".to_owned()));
        }
        records.push(decode(payload).map_err(damaged)?);
        offset = start + length;
    }
    Ok((records, offset))
}

fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use muster_model::{Epoch, Incarnation, Uid};

    use super::*;

    fn records() -> Vec<Record> {
        vec![
            Record::Life(Incarnation { folder: 1, boot: 2 }),
            Record::Seen { uid: Uid(3), epoch: Epoch(4) },
            Record::Taken { epoch: Epoch(4) },
        ]
    }

    #[test]
    fn what_was_appended_comes_back_and_a_torn_tail_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, empty) = Journal::open(dir.path()).unwrap();
        assert_eq!(empty, vec![]);
        journal.append(&records()).unwrap();
        let whole = fs::read(dir.path().join("journal")).unwrap();
        let last = frames(&records()[2..]).len();
        for cut in 1..last {
            fs::write(dir.path().join("journal"), &whole[..whole.len() - cut]).unwrap();
            let (mut journal, found) = Journal::open(dir.path()).unwrap();
            assert_eq!(found, records()[..2], "{cut} bytes short");
            journal.append(&records()[2..]).unwrap();
            assert_eq!(Journal::open(dir.path()).unwrap().1, records());
        }
    }

    #[test]
    fn each_flipped_byte_before_the_last_record_is_found_by_file_and_offset() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let whole = frames(&records());
        let last = whole.len() - frames(&records()[2..]).len();
        for at in 0..last {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            match Journal::open(dir.path()) {
                Err(JournalError::Damaged { offset, .. }) => assert!(offset <= at as u64),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_file_that_grew_before_its_content_came_ends_at_the_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let mut content = frames(&records());
        content.extend_from_slice(&[0; 100]);
        fs::write(dir.path().join("journal"), content).unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().1, records());
    }

    #[test]
    fn a_compacted_journal_holds_what_it_was_given() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        while !journal.wants_compaction() {
            journal.append(&vec![records()[1].clone(); 20_000]).unwrap();
        }
        journal.compact(&records()).unwrap();
        assert!(!journal.wants_compaction());
        journal.append(&records()[..1]).unwrap();
        let mut want = records();
        want.push(records()[0].clone());
        assert_eq!(Journal::open(dir.path()).unwrap().1, want);
    }
}
