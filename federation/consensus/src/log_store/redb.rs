//! The log on disk, in a redb database.
//!
//! ```text
//! FOLDER/log.redb      entries, hard state, snapshot record: one transaction and one fsync per batch
//! FOLDER/log.mark      number of the last durable batch: a log older than its mark has lost something
//! FOLDER/snapshots/    content by hash
//! ```
//!
//! Opening reads and checks everything: the database's own checksums, the crc of each entry and record, that the
//! entries are contiguous and end where the state record says, and the mark. What does not check out is refused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, StorageBackend, Table, TableDefinition,
    WriteTransaction,
};

use super::format::{self, Damage, StateRecord};
use super::mark::CommitMark;
use super::{LogStore, StoreError, locate};
use crate::entry::{Batch, LogEntry, LogPosition, Restored, SnapshotWrite};
use crate::ids::Identity;
use crate::snapshot::{SnapshotFiles, SnapshotMeta};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const IDENTITY: &str = "identity";
const INCARNATION: &str = "incarnation";
const SNAPSHOT: &str = "snapshot";
const STATE: &str = "state";

/// Compacted entries deleted per batch: compaction never stalls the loop.
const DELETED_PER_BATCH: u64 = 512;

/// Where the log lies and whose it is.
#[derive(Debug, Clone)]
pub struct RedbOptions {
    /// The replica's data folder; made if it is missing.
    pub folder: PathBuf,
    /// The owner. A folder with another owner is refused.
    pub identity: Identity,
    /// Memory for pages.
    pub cache_bytes: usize,
}

/// The log in a redb database. Holds a lock on its file.
#[derive(Debug)]
pub struct RedbLogStore {
    database: Database,
    path: PathBuf,
    mark: CommitMark,
    snapshots: Arc<SnapshotFiles>,
    identity: Identity,
    state: StateRecord,
    /// The first entry that is still in the table; at most the first one of the log.
    first_stored: u64,
    stopped: bool,
}

impl RedbOptions {
    /// The usual options for a folder.
    pub fn new(folder: impl Into<PathBuf>, identity: Identity) -> Self {
        Self { folder: folder.into(), identity, cache_bytes: 16 << 20 }
    }
}

impl RedbLogStore {
    /// Open the log in a folder, or make a new one in an empty folder.
    ///
    /// # Errors
    /// The disk refused, another process or replica owns the folder, or what is there does not check out.
    pub fn open(options: &RedbOptions) -> Result<Self, StoreError> {
        Self::open_with(options, |backend| backend)
    }

    /// The same over another storage backend: for tests that inject faults below the database.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with<B: StorageBackend>(
        options: &RedbOptions,
        wrap: impl FnOnce(FileBackend) -> B,
    ) -> Result<Self, StoreError> {
        let path = options.folder.join("log.redb");
        let mark_path = options.folder.join("log.mark");
        fs::create_dir_all(&options.folder)
            .map_err(|e| StoreError::io(options.folder.display(), "create the folder", e))?;
        if !path.exists() {
            create(options, &path, &mark_path)?;
        }
        let mark = open_mark(&path, &mark_path)?;
        let database = open_database(options, &path, wrap)?;
        let snapshots = Arc::new(SnapshotFiles::open(options.folder.join("snapshots"))?);
        let identity = options.identity;
        let mut store = Self {
            database,
            path,
            mark,
            snapshots,
            identity,
            state: StateRecord::default(),
            first_stored: 0,
            stopped: false,
        };
        store.check_owner()?;
        Ok(store)
    }

    fn check_owner(&mut self) -> Result<(), StoreError> {
        let body = self.read_meta(IDENTITY)?;
        match format::read_identity(&body).map_err(|damage| self.damaged(IDENTITY, damage))? {
            (_, Some(found)) if found == self.identity => Ok(()),
            (_, Some(found)) => {
                Err(StoreError::WrongOwner { file: self.file(), found, expected: self.identity })
            }
            (found, None) => {
                Err(StoreError::UnknownFormat { file: self.file(), found, known: format::FORMAT })
            }
        }
    }

    fn read_all(&mut self) -> Result<Restored, StoreError> {
        self.state =
            format::read_state(&self.read_meta(STATE)?).map_err(|damage| self.damaged(STATE, damage))?;
        let marked = self.mark.read()?;
        if self.state.sequence < marked {
            let reason =
                format!("it ends with batch {}, but batch {marked} was durable", self.state.sequence);
            return Err(StoreError::corrupt(self.file(), "its last transaction", reason));
        }
        let body = self.read_meta(SNAPSHOT)?;
        let snapshot = format::read_snapshot(&body).map_err(|damage| self.damaged(SNAPSHOT, damage))?;
        let incarnation = self.read_meta(INCARNATION)?;
        let incarnation =
            incarnation.try_into().map_err(|_| self.damaged(INCARNATION, "it has the wrong length"))?;
        let StateRecord { hard_state, compacted, last_index, .. } = self.state;
        let entries = self.entries(compacted.index + 1..last_index + 1)?;
        self.check_log(&snapshot, &entries)?;
        self.first_stored = self.first_key()?.unwrap_or(last_index + 1);
        Ok(Restored {
            incarnation: u64::from_le_bytes(incarnation),
            hard_state,
            snapshot,
            compacted,
            entries,
        })
    }

    fn check_log(&self, snapshot: &SnapshotMeta, entries: &[LogEntry]) -> Result<(), StoreError> {
        let StateRecord { hard_state, compacted, last_index, .. } = self.state;
        let expected = last_index.saturating_sub(compacted.index);
        if entries.len() as u64 != expected {
            let reason = format!("{expected} entries were written, {} are there", entries.len());
            return Err(StoreError::corrupt(self.file(), format!("log up to index {last_index}"), reason));
        }
        if let Some((entry, index)) =
            entries.iter().zip(compacted.index + 1..).find(|(entry, index)| entry.index != *index)
        {
            let reason = format!("index {} is in its place", entry.index);
            return Err(StoreError::corrupt(self.file(), format!("log index {index}"), reason));
        }
        if hard_state.commit < snapshot.index
            || hard_state.commit > last_index
            || snapshot.index < compacted.index
        {
            return Err(self.damaged(STATE, "commit, snapshot and log do not fit together"));
        }
        Ok(())
    }

    fn count_start(&mut self, incarnation: u64) -> Result<(), StoreError> {
        self.transact(|_, transaction| {
            let mut meta = transaction.open_table(META)?;
            meta.insert(INCARNATION, format::seal(INCARNATION, &incarnation.to_le_bytes()).as_slice())?;
            Ok(())
        })
    }

    /// Run one durable transaction, number it, and note it in the mark. Any error is final.
    fn transact(
        &mut self,
        write: impl FnOnce(&mut Self, &WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped { file: self.file() });
        }
        self.stopped = true;
        let done = self.commit(write);
        done.map_err(|error| store_error(&self.path, "commit a batch", error))?;
        self.mark.write(self.state.sequence)?;
        self.stopped = false;
        Ok(())
    }

    fn commit(
        &mut self,
        write: impl FnOnce(&mut Self, &WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        self.state.sequence += 1;
        write(self, &transaction)?;
        {
            let mut meta = transaction.open_table(META)?;
            let state = format::seal(STATE, &format::write_state(&self.state));
            meta.insert(STATE, state.as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn write_batch(&mut self, transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
        let mut log = transaction.open_table(LOG)?;
        if let Some(SnapshotWrite::Installed(meta)) = &batch.snapshot {
            remove(&mut log, self.first_stored..self.state.last_index + 1)?;
            self.state.compacted = LogPosition { index: meta.index, term: meta.term };
            self.state.last_index = meta.index;
            self.first_stored = meta.index + 1;
        }
        if let Some(first) = batch.entries.first() {
            remove(&mut log, first.index..self.state.last_index + 1)?;
            insert(&mut log, &batch.entries)?;
            self.state.last_index = first.index + batch.entries.len() as u64 - 1;
        }
        if let Some(to) = batch.compacted {
            self.state.compacted = to;
        }
        let garbage_end = (self.state.compacted.index + 1).min(self.first_stored + DELETED_PER_BATCH);
        if self.first_stored < garbage_end {
            remove(&mut log, self.first_stored..garbage_end)?;
            self.first_stored = garbage_end;
        }
        if let Some(SnapshotWrite::Recorded(meta) | SnapshotWrite::Installed(meta)) = &batch.snapshot {
            let record = format::seal(SNAPSHOT, &format::write_snapshot(meta));
            transaction.open_table(META)?.insert(SNAPSHOT, record.as_slice())?;
        }
        self.state.hard_state = batch.hard_state;
        Ok(())
    }

    fn first_key(&self) -> Result<Option<u64>, StoreError> {
        let read = || -> Result<Option<u64>, redb::Error> {
            let table = self.database.begin_read()?.open_table(LOG)?;
            Ok(table.first()?.map(|(key, _)| key.value()))
        };
        read().map_err(|error| store_error(&self.path, "read the log", error))
    }

    fn read_meta(&self, key: &'static str) -> Result<Vec<u8>, StoreError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(META)?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        };
        let value = read().map_err(|error| store_error(&self.path, "read a record", error))?;
        let value = value.ok_or_else(|| self.damaged(key, "it is missing"))?;
        format::unseal(key, &value).map(<[u8]>::to_vec).map_err(|damage| self.damaged(key, damage))
    }

    fn damaged(&self, record: &str, damage: Damage) -> StoreError {
        StoreError::corrupt(self.file(), format!("record \"{record}\""), damage)
    }

    fn file(&self) -> String {
        self.path.display().to_string()
    }
}

impl LogStore for RedbLogStore {
    type Snapshots = SnapshotFiles;

    fn identity(&self) -> Identity {
        self.identity
    }

    fn load(&mut self) -> Result<Restored, StoreError> {
        let path = self.path.clone();
        let mut restored = guarded(&path, || self.read_all())?;
        restored.incarnation += 1;
        self.count_start(restored.incarnation)?;
        Ok(restored)
    }

    fn persist(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.transact(|store, transaction| store.write_batch(transaction, batch))
    }

    fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        let failed = |error: redb::Error| store_error(&self.path, "read the log", error);
        let open = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(LOG)?;
            Ok(table.range(range.start.max(self.state.compacted.index + 1)..range.end.max(range.start))?)
        };
        let checked = open().map_err(failed)?.map(|item| {
            let (key, value) = item.map_err(|error| failed(error.into()))?;
            let entry = format::read_entry(key.value(), value.value());
            entry.map_err(|damage| {
                StoreError::corrupt(self.file(), format!("log index {}", key.value()), damage)
            })
        });
        checked.collect()
    }

    fn snapshots(&self) -> Arc<SnapshotFiles> {
        self.snapshots.clone()
    }
}

/// Make a new log beside its final name; the rename is the moment from which it counts.
fn create(options: &RedbOptions, path: &Path, mark_path: &Path) -> Result<(), StoreError> {
    if mark_path.exists() && CommitMark::open(mark_path)?.read()? > 0 {
        let reason = "the file is missing, but its commit mark shows that it held batches";
        return Err(StoreError::corrupt(path.display(), "the whole file", reason));
    }
    let new = path.with_extension("new");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new);
    let file = file.map_err(|e| StoreError::io(new.display(), "create", e))?;
    write_new(file, options).map_err(|error| store_error(&new, "create the database", error))?;
    CommitMark::create(mark_path)?;
    fs::rename(&new, path).map_err(|e| StoreError::io(path.display(), "rename", e))?;
    crate::snapshot::sync_folder(path)
}

fn write_new(file: File, options: &RedbOptions) -> Result<(), redb::Error> {
    let database = Builder::new().set_cache_size(options.cache_bytes).create_file(file)?;
    let transaction = database.begin_write()?;
    {
        transaction.open_table(LOG)?;
        let mut meta = transaction.open_table(META)?;
        for (key, body) in [
            (IDENTITY, format::write_identity(options.identity)),
            (INCARNATION, 0_u64.to_le_bytes().to_vec()),
            (SNAPSHOT, format::write_snapshot(&SnapshotMeta::default())),
            (STATE, format::write_state(&StateRecord::default())),
        ] {
            meta.insert(key, format::seal(key, &body).as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn open_mark(path: &Path, mark_path: &Path) -> Result<CommitMark, StoreError> {
    if !mark_path.exists() {
        let reason = format!("the file is missing beside {}", path.display());
        return Err(StoreError::corrupt(mark_path.display(), "the whole file", reason));
    }
    CommitMark::open(mark_path)
}

/// Open the database and check all of its pages; after a crash this also finishes or undoes the last transaction.
fn open_database<B: StorageBackend>(
    options: &RedbOptions,
    path: &Path,
    wrap: impl FnOnce(FileBackend) -> B,
) -> Result<Database, StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|e| StoreError::io(path.display(), "open", e))?;
    if file.metadata().map_err(|e| StoreError::io(path.display(), "read", e))?.len() == 0 {
        return Err(StoreError::corrupt(path.display(), "offset 0", "the file is empty"));
    }
    guarded(path, || {
        let open = || -> Result<Database, redb::Error> {
            let backend = wrap(FileBackend::new(file)?);
            let mut database =
                Builder::new().set_cache_size(options.cache_bytes).create_with_backend(backend)?;
            if !database.check_integrity()? {
                tracing::warn!(file = %path.display(), "database pages were repaired, checking what they hold");
            }
            Ok(database)
        };
        open().map_err(|error| store_error(path, "open the database", error))
    })
}

/// The database may panic on pages that make no sense: that, too, is damage.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::corrupt(path.display(), damaged_place(path), "the pages contradict each other"))
    })
}

fn insert(log: &mut Table<'_, u64, &'static [u8]>, entries: &[LogEntry]) -> Result<(), redb::Error> {
    for entry in entries {
        let mut value = log.insert_reserve(entry.index, format::ENTRY_HEADER + entry.bytes.len())?;
        format::write_entry(entry, value.as_mut());
    }
    Ok(())
}

fn remove(log: &mut Table<'_, u64, &'static [u8]>, range: Range<u64>) -> Result<(), redb::Error> {
    for index in range {
        log.remove(index)?;
    }
    Ok(())
}

fn store_error(path: &Path, operation: &'static str, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
            let reason = "the file ends before what it should hold";
            StoreError::corrupt(path.display(), format!("offset {length}"), reason)
        }
        redb::Error::Io(source) => StoreError::io(path.display(), operation, source),
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse { file: path.display().to_string() },
        redb::Error::PreviousIo => StoreError::Stopped { file: path.display().to_string() },
        other => StoreError::corrupt(path.display(), damaged_place(path), other),
    }
}

/// As near as can be told.
fn damaged_place(path: &Path) -> String {
    locate::first_damage(path).unwrap_or_else(|| "the database's pages".to_owned())
}
