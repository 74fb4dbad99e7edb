//! A log that keeps the newest bytes: two files of half the cap each, the older one replaced by rename.
//!
//! It never blocks or fails its caller: what the disk does not take is dropped and counted.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::spec::OLD_LOG_SUFFIX;

/// Bytes of the job's output that were not stored.
pub(crate) type DroppedBytes = Arc<AtomicU64>;

/// The writing end of one container's log.
pub(crate) struct LogWriter {
    path: PathBuf,
    half_cap_bytes: u64,
    current: Option<OpenLog>,
    dropped: DroppedBytes,
}

struct OpenLog {
    file: File,
    len_bytes: u64,
}

impl LogWriter {
    /// A log at `path` of at most `cap_bytes` over both files.
    pub(crate) fn new(path: &Path, cap_bytes: u64, dropped: DroppedBytes) -> LogWriter {
        let current = open(path).ok();
        LogWriter { path: path.to_owned(), half_cap_bytes: cap_bytes / 2, current, dropped }
    }

    /// Stores whole entries. A batch is at most half the cap.
    pub(crate) fn write(&mut self, batch: &[u8]) {
        let batch_bytes = batch.len() as u64;
        if self.make_room(batch_bytes).is_err() || self.append(batch).is_err() {
            self.dropped.fetch_add(batch_bytes, Ordering::Relaxed);
        }
    }

    fn make_room(&mut self, batch_bytes: u64) -> std::io::Result<()> {
        if let Some(current) = &self.current {
            if current.len_bytes + batch_bytes <= self.half_cap_bytes {
                return Ok(());
            }
            let mut old = self.path.clone().into_os_string();
            old.push(OLD_LOG_SUFFIX);
            fs::rename(&self.path, old)?;
            self.current = None;
        }
        self.current = Some(open(&self.path)?);
        Ok(())
    }

    /// A batch that fits only in part is taken back: no torn entry stays in the file.
    fn append(&mut self, batch: &[u8]) -> std::io::Result<()> {
        let Some(current) = &mut self.current else { return Err(std::io::ErrorKind::NotFound.into()) };
        match current.file.write_all(batch) {
            Ok(()) => {
                current.len_bytes += batch.len() as u64;
                Ok(())
            }
            Err(error) => {
                let kept = current.file.set_len(current.len_bytes);
                kept.and(Err(error))
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<OpenLog> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let len_bytes = file.metadata()?.len();
    Ok(OpenLog { file, len_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: u32) -> Vec<u8> {
        format!("{number:09}\n").into_bytes()
    }

    fn dropped() -> DroppedBytes {
        Arc::default()
    }

    #[test]
    fn the_newest_bytes_stay_under_the_cap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogWriter::new(&path, 100, dropped());
        for number in 0..1_000 {
            log.write(&batch(number));
        }
        let old = fs::read_to_string(dir.path().join("log.1")).unwrap();
        let new = fs::read_to_string(&path).unwrap();
        assert!(old.len() + new.len() <= 100 && old.len() == 50, "{} + {}", old.len(), new.len());
        assert!(new.ends_with("000000999\n"));
        let numbers: Vec<u32> = format!("{old}{new}").lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap in {numbers:?}");
    }

    #[test]
    fn a_full_disk_drops_and_counts_without_failing() {
        let counted = dropped();
        let mut log = LogWriter::new(Path::new("/dev/full"), 1_000, Arc::clone(&counted));
        log.write(&batch(1));
        log.write(&batch(2));
        assert_eq!(counted.load(Ordering::Relaxed), 20);
    }

    #[test]
    fn a_folder_that_comes_back_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("away");
        let counted = dropped();
        let mut log = LogWriter::new(&folder.join("log"), 1_000, Arc::clone(&counted));
        log.write(&batch(1));
        fs::create_dir(&folder).unwrap();
        log.write(&batch(2));
        assert_eq!(fs::read_to_string(folder.join("log")).unwrap(), "000000002\n");
        assert_eq!(counted.load(Ordering::Relaxed), 10);
    }
}
