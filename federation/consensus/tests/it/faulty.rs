//! A disk below the log that holds back what is not synced and fails on command.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use muster_consensus::log_store::{Disk, RealDisk, SegmentLogStore, SegmentOptions, StoreError};

/// Controls all stores of one folder, over reopening.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<Control>>);

#[derive(Debug, Default)]
struct Control {
    fault: Option<Fault>,
    /// Once set, nothing reaches a file any more.
    dead: bool,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Full,
    FailedSync,
}

/// Bytes written to a file, on their way.
#[derive(Debug)]
pub struct Change {
    file: File,
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl FaultyDisk {
    pub fn open(&self, options: &SegmentOptions) -> Result<SegmentLogStore, StoreError> {
        *self.0.lock().unwrap() = Control::default();
        SegmentLogStore::open_with(options, Box::new(self.clone()))
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

impl Disk for FaultyDisk {
    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut control = self.0.lock().unwrap();
        if control.fault == Some(Fault::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        control.unsynced.push(Change { file: file.try_clone()?, offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        let mut control = self.0.lock().unwrap();
        if control.fault == Some(Fault::FailedSync) {
            return Err(io::Error::other("injected fsync failure"));
        }
        if control.dead {
            return Ok(());
        }
        for change in control.unsynced.drain(..) {
            change.file.write_all_at(&change.bytes, change.offset)?;
        }
        RealDisk.sync(file)
    }
}
