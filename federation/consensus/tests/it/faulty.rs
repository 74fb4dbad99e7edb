//! A storage backend below the database that holds back what is not synced and fails on command.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use muster_consensus::log_store::{RedbLogStore, RedbOptions, StoreError};
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Controls all backends of one folder, over reopening.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<Control>>);

#[derive(Debug, Default)]
struct Control {
    fault: Option<Fault>,
    /// Once set, nothing reaches the file any more.
    dead: bool,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Full,
    FailedSync,
}

#[derive(Debug, Clone)]
pub enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug)]
struct FaultyBackend {
    file: FileBackend,
    image: Mutex<Vec<u8>>,
    disk: FaultyDisk,
}

impl FaultyDisk {
    pub fn open(&self, options: &RedbOptions) -> Result<RedbLogStore, StoreError> {
        *self.0.lock().unwrap() = Control::default();
        RedbLogStore::open_with(options, |file| FaultyBackend::new(file, self.clone()))
    }

    pub fn inject(&self, fault: Fault) {
        self.0.lock().unwrap().fault = Some(fault);
    }

    /// Cut the power: the store that is dropped next leaves no trace. Returns what was not synced, in order.
    pub fn cut_power(&self) -> Vec<Change> {
        let mut control = self.0.lock().unwrap();
        control.dead = true;
        std::mem::take(&mut control.unsynced)
    }
}

impl FaultyBackend {
    fn new(file: FileBackend, disk: FaultyDisk) -> Self {
        let length = usize::try_from(file.len().unwrap()).unwrap();
        let mut image = vec![0; length];
        file.read(0, &mut image).unwrap();
        Self { file, image: Mutex::new(image), disk }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut control = self.disk.0.lock().unwrap();
        if control.fault == Some(Fault::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut image = self.image.lock().unwrap();
        apply(&change, &mut image);
        control.unsynced.push(change);
        Ok(())
    }
}

pub fn apply(change: &Change, image: &mut Vec<u8>) {
    match change {
        Change::Length(length) => image.resize(usize::try_from(*length).unwrap(), 0),
        Change::Write(offset, bytes) => {
            let from = usize::try_from(*offset).unwrap();
            if image.len() < from + bytes.len() {
                image.resize(from + bytes.len(), 0);
            }
            image[from..from + bytes.len()].copy_from_slice(bytes);
        }
    }
}

impl StorageBackend for FaultyBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.image.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        let part = image.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, bytes.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut control = self.disk.0.lock().unwrap();
        if control.fault == Some(Fault::FailedSync) {
            return Err(io::Error::other("injected fsync failure"));
        }
        if control.dead {
            return Ok(());
        }
        for change in control.unsynced.drain(..) {
            match change {
                Change::Write(offset, bytes) => self.file.write(offset, &bytes)?,
                Change::Length(length) => self.file.set_len(length)?,
            }
        }
        self.file.sync_data()
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
