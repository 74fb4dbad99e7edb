//! The calls that make a log durable: a seam for tests that lose power, fill the disk or fail an fsync.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What a log store asks of the disk.
pub trait Disk: Debug + Send {
    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// The disk refused or is full.
    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes durable what was written to a file.
    ///
    /// # Errors
    /// It may or may not be durable, and never will be known to be.
    fn sync(&mut self, file: &File) -> io::Result<()>;
}

/// The operating system's.
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
