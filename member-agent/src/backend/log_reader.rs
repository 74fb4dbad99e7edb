//! Reads the two files of a log in order, over rotations, without holding up the writer.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::shim::spec::OLD_LOG_SUFFIX;

/// A position in a log.
pub(crate) struct LogReader {
    path: PathBuf,
    /// Files still to be read, the first one is being read. The last may still grow.
    files: VecDeque<OpenFile>,
    /// The beginning of an entry whose end was not there yet.
    pending: Vec<u8>,
}

struct OpenFile {
    reader: BufReader<File>,
    inode: u64,
}

impl LogReader {
    /// At the oldest entry. A log that does not exist yet is empty.
    pub(crate) fn open(path: &Path) -> io::Result<LogReader> {
        let mut reader = LogReader { path: path.to_owned(), files: VecDeque::new(), pending: Vec::new() };
        reader.open_newer_than(None)?;
        Ok(reader)
    }

    /// The next whole entry without its newline; `None` at the end of what is there now.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(entry) = self.read_from_first()? {
                return Ok(Some(entry));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    fn read_from_first(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(first) = self.files.front_mut() else { return Ok(None) };
        first.reader.read_until(b'\n', &mut self.pending)?;
        if self.pending.pop_if(|last| *last == b'\n').is_none() {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut self.pending)))
    }

    /// To the next file, when the first one is no longer the one that grows. It is looked at once more before
    /// it is left, since it may have grown between the last read and the rotation.
    fn advance(&mut self) -> io::Result<bool> {
        if self.files.len() <= 1 {
            let last = self.files.front().map(|file| file.inode);
            if inode(&self.path)? == last {
                return Ok(false);
            }
            self.open_newer_than(last)?;
            return Ok(!self.files.is_empty() && (last.is_none() || self.files.len() > 1));
        }
        self.files.pop_front();
        // A writer takes a torn entry back; what is left over of one is not the beginning of the next file's.
        self.pending.clear();
        Ok(true)
    }

    /// Opens the old and the current file, less those up to `last`. Repeated when a rotation came in between.
    fn open_newer_than(&mut self, last: Option<u64>) -> io::Result<()> {
        let mut old_path = self.path.clone().into_os_string();
        old_path.push(OLD_LOG_SUFFIX);
        let old_path = PathBuf::from(old_path);
        loop {
            let old = open(&old_path)?;
            let current = open(&self.path)?;
            let old_inode = old.as_ref().map(|file| file.inode);
            if inode(&old_path)? != old_inode {
                continue;
            }
            let found = old.into_iter().chain(current);
            let is_new = |file: &OpenFile| Some(file.inode) != last;
            self.files.extend(found.filter(is_new));
            return Ok(());
        }
    }
}

fn open(path: &Path) -> io::Result<Option<OpenFile>> {
    match File::open(path) {
        Ok(file) => {
            let inode = file.metadata()?.ino();
            Ok(Some(OpenFile { reader: BufReader::new(file), inode }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn inode(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn drain(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_entry().unwrap())
            .map(|entry| String::from_utf8(entry).unwrap())
            .collect()
    }

    fn append(path: &Path, text: &str) {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_reader_follows_over_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut reader = LogReader::open(&path).unwrap();
        assert_eq!(drain(&mut reader), [""; 0]);
        append(&path, "a\nb\nhal");
        assert_eq!(drain(&mut reader), ["a", "b"]);
        append(&path, "f\nc\n");
        fs::rename(&path, &old).unwrap();
        append(&path, "d\n");
        assert_eq!(drain(&mut reader), ["half", "c", "d"]);
        fs::rename(&path, &old).unwrap();
        assert_eq!(drain(&mut reader), [""; 0]);
        append(&path, "e\n");
        assert_eq!(drain(&mut reader), ["e"]);
        assert_eq!(drain(&mut LogReader::open(&path).unwrap()), ["d", "e"]);
    }

    #[test]
    fn a_reader_that_is_two_rotations_behind_misses_only_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        append(&path, "a\n");
        let mut reader = LogReader::open(&path).unwrap();
        assert_eq!(drain(&mut reader), ["a"]);
        fs::rename(&path, &old).unwrap();
        append(&path, "b\n");
        fs::rename(&path, &old).unwrap();
        append(&path, "c\n");
        assert_eq!(drain(&mut reader), ["b", "c"]);
    }
}
