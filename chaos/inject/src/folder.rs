//! The faults of one host on disk: one file each, whole or not there, synced before and after.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::clock::Moment;
use crate::record::FaultRecord;

/// The end of a record's file name.
const SUFFIX: &str = ".fault.json";

/// The folder could not be used.
#[derive(Debug, thiserror::Error)]
#[error("faults in {}", path.display())]
pub struct FolderError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A folder of records.
#[derive(Clone, Debug)]
pub struct FaultFolder {
    path: PathBuf,
}

impl FaultFolder {
    /// The folder `faults` in a state folder; made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(state: &Path) -> Result<FaultFolder, FolderError> {
        FaultFolder::at(&state.join("faults"))
    }

    /// This folder; made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn at(path: &Path) -> Result<FaultFolder, FolderError> {
        let folder = FaultFolder { path: path.to_owned() };
        fs::create_dir_all(path).map_err(|error| folder.error(error))?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record; when this returns it is on disk.
    ///
    /// # Errors
    /// It may not be on disk: nothing may be injected.
    pub fn store(&self, record: &FaultRecord) -> Result<(), FolderError> {
        let write = || {
            let temporary = self.path.join(format!("{}.tmp", record.id));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(&serde_json::to_vec(record)?)?;
            file.sync_all()?;
            fs::rename(&temporary, self.file(&record.id))?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| self.error(error))
    }

    /// Removes a record; one that is not there is removed already.
    ///
    /// # Errors
    /// It may still be on disk.
    pub fn remove(&self, id: &str) -> Result<(), FolderError> {
        let removed = match fs::remove_file(self.file(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.path).and_then(|folder| folder.sync_all()),
        };
        removed.map_err(|error| self.error(error))
    }

    /// One record.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<FaultRecord>, FolderError> {
        Ok(self.all()?.into_iter().find(|record| record.id == id))
    }

    /// All records. One that cannot be understood is taken away with a warning: what it meant is nobody's guess, and a fault
    /// that nobody holds up is not in effect.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(&self) -> Result<Vec<FaultRecord>, FolderError> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|error| self.error(error))? {
            let path = entry.map_err(|error| self.error(error))?.path();
            if !path.to_string_lossy().ends_with(SUFFIX) {
                continue;
            }
            match fs::read(&path).map_err(|error| error.to_string()).and_then(|bytes| parsed(&bytes)) {
                Ok(record) => records.push(record),
                Err(reason) => {
                    tracing::warn!(file = %path.display(), reason, "a fault's record is not readable; removed");
                    fs::remove_file(&path).map_err(|error| self.error(error))?;
                }
            }
        }
        records.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(records)
    }

    /// Records that should have been taken back so long ago and were not: must be empty.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn residue(&self, now: &Moment, slack_ms: u64) -> Result<Vec<FaultRecord>, FolderError> {
        Ok(self.all()?.into_iter().filter(|record| record.is_residue(now, slack_ms)).collect())
    }

    fn file(&self, id: &str) -> PathBuf {
        self.path.join(format!("{id}{SUFFIX}"))
    }

    fn error(&self, source: io::Error) -> FolderError {
        FolderError { path: self.path.clone(), source }
    }
}

fn parsed(bytes: &[u8]) -> Result<FaultRecord, String> {
    let record: FaultRecord = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if record.kind().is_none() || record.uid().is_none() {
        return Err("kind or uid is not what this version writes".to_owned());
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use muster_model::{DurationMs, FaultKind, FaultOrder, TimeMs, Uid};

    use super::*;

    fn record(id: &str, now: &Moment, left_ms: u64) -> FaultRecord {
        let order = FaultOrder {
            id: id.into(),
            uid: Uid(7),
            kind: FaultKind::Partition,
            wanted: true,
            left: DurationMs(left_ms),
            expires: TimeMs(u64::MAX),
        };
        FaultRecord::new(&order, now)
    }

    #[test]
    fn what_was_stored_is_there_for_the_next_process() {
        let state = tempfile::tempdir().unwrap();
        let now = Moment::now().unwrap();
        let folder = FaultFolder::open(state.path()).unwrap();
        let (a, b) = (record("a", &now, 5_000), record("b", &now, 0));
        folder.store(&b).unwrap();
        folder.store(&a).unwrap();
        let again = FaultFolder::open(state.path()).unwrap();
        assert_eq!(again.all().unwrap(), [a, b.clone()]);
        assert_eq!(again.residue(&now, 0).unwrap(), std::slice::from_ref(&b));
        let done = b.ended(TimeMs(1));
        again.store(&done).unwrap();
        assert_eq!(folder.residue(&now, 0).unwrap(), []);
        folder.remove("a").unwrap();
        folder.remove("a").unwrap();
        assert_eq!(again.all().unwrap(), [done]);
    }

    #[test]
    fn a_torn_or_strange_record_is_taken_away() {
        let state = tempfile::tempdir().unwrap();
        let folder = FaultFolder::open(state.path()).unwrap();
        let now = Moment::now().unwrap();
        folder.store(&record("good", &now, 1)).unwrap();
        let whole = fs::read(folder.file("good")).unwrap();
        fs::write(folder.file("torn"), &whole[..whole.len() / 2]).unwrap();
        fs::write(folder.file("strange"), String::from_utf8(whole).unwrap().replace("partition", "melt"))
            .unwrap();
        fs::write(folder.path().join("half.tmp"), "x").unwrap();
        let names: Vec<_> = folder.all().unwrap().into_iter().map(|record| record.id).collect();
        assert_eq!(names, ["good"]);
        assert!(!folder.file("torn").exists() && !folder.file("strange").exists());
    }
}
