//! Reads a snapshot.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use muster_model::{JobSpec, Key, Object};

use super::{Header, MAGIC, MAX_RECORD_BYTES, SNAPSHOT_VERSION, SnapshotError};
use crate::log::durable::Durable;
use crate::log::error::decode_known;
use crate::log::objects::read_object;
use crate::log::pb::{self, record::Record};
use crate::log::sharing::Shared;
use crate::log::{DecodeError, FieldError};

/// Reads a snapshot: an iterator over its objects, in key order. After the last object it checks the end; only a stream
/// that ended in `None` without an error was whole.
#[derive(Debug)]
pub struct SnapshotReader<R: Read> {
    input: Input<R>,
    header: Header,
    shares: Shares,
    last: Option<Key>,
    objects: u64,
    over: bool,
}

impl<R: Read> SnapshotReader<R> {
    /// Opens a snapshot and reads its header. `reader` need not be buffered.
    ///
    /// # Errors
    /// It is not a snapshot, of another version, or damaged up to here.
    pub fn open(reader: R) -> Result<Self, SnapshotError> {
        let mut input = Input { reader: BufReader::new(reader), crc32c: 0, next: 0 };
        if input.array()? != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        let version = u32::from_le_bytes(input.array()?);
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::UnknownVersion { found: version });
        }
        let header = match input.record()? {
            Record::Header(form) => input.taken("header", Header::read(form))?,
            other => return Err(input.misplaced(&other, "a header")),
        };
        Ok(SnapshotReader { input, header, shares: Shares::default(), last: None, objects: 0, over: false })
    }

    /// What the state holds besides objects.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Hands the header and all objects to `restore`. If the snapshot turns out to be damaged, the objects end early and
    /// what `restore` made of them is dropped.
    ///
    /// # Errors
    /// Why the snapshot is not whole.
    pub fn read_all<T>(
        mut self,
        restore: impl FnOnce(&Header, &mut dyn Iterator<Item = Object>) -> T,
    ) -> Result<T, SnapshotError> {
        let header = self.header.clone();
        let mut failure = None;
        let mut objects =
            self.by_ref().map_while(|object| object.map_err(|error| failure = Some(error)).ok());
        let made = restore(&header, &mut objects);
        // `restore` may have stopped early; what it left must be whole too.
        objects.by_ref().for_each(drop);
        drop(objects);
        failure.map_or(Ok(made), Err)
    }

    /// The next object; `None` after an end that fits.
    fn object(&mut self) -> Result<Option<Object>, SnapshotError> {
        loop {
            let crc32c = self.input.crc32c;
            match self.input.record()? {
                Record::Text(text) => self.shares.texts.push(text.into()),
                Record::JobSpec(form) => {
                    self.shares.specs.push(self.input.taken("job_spec", Arc::<JobSpec>::read(form))?);
                }
                Record::Object(form) => {
                    let object = self.input.taken("object", read_object(form, &self.shares))?;
                    return self.in_order(object).map(Some);
                }
                Record::End(end) => return self.check_end(&end, crc32c).map(|()| None),
                other @ Record::Header(_) => {
                    return Err(self.input.misplaced(&other, "an object or the end"));
                }
            }
        }
    }

    fn in_order(&mut self, object: Object) -> Result<Object, SnapshotError> {
        let last = self.last.replace(object.key.clone());
        if last.is_some_and(|last| last >= object.key) {
            return Err(SnapshotError::OutOfOrder { record: self.input.current(), key: object.key });
        }
        self.objects += 1;
        Ok(object)
    }

    fn check_end(&mut self, end: &pb::End, crc32c: u32) -> Result<(), SnapshotError> {
        if end.objects != self.objects {
            return Err(SnapshotError::ObjectCount { expected: end.objects, found: self.objects });
        }
        if end.crc32c != crc32c {
            return Err(SnapshotError::WholeChecksum);
        }
        if self.input.is_at_end()? { Ok(()) } else { Err(SnapshotError::TrailingBytes) }
    }
}

impl<R: Read> Iterator for SnapshotReader<R> {
    type Item = Result<Object, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.object().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<R: Read> std::iter::FusedIterator for SnapshotReader<R> {}

/// Reads a whole snapshot, objects in key order. [`SnapshotReader::read_all`] needs no room for all of them.
///
/// # Errors
/// Why it is not a snapshot, or not whole.
pub fn read_snapshot(reader: impl Read) -> Result<(Header, Vec<Object>), SnapshotError> {
    SnapshotReader::open(reader)?.read_all(|header, objects| (header.clone(), objects.collect()))
}

/// Takes records out of their frames and sums all bytes up.
#[derive(Debug)]
struct Input<R: Read> {
    reader: BufReader<R>,
    crc32c: u32,
    next: u64,
}

impl<R: Read> Input<R> {
    /// The next record, if it is whole.
    fn record(&mut self) -> Result<Record, SnapshotError> {
        let length_bytes = self.array()?;
        let length = u32::from_le_bytes(length_bytes);
        if length > MAX_RECORD_BYTES {
            return Err(SnapshotError::TooLong { record: self.next, length });
        }
        let crc32c = u32::from_le_bytes(self.array()?);
        let payload = self.payload(length)?;
        if crc32c != crc32c::crc32c_append(crc32c::crc32c(&length_bytes), &payload) {
            return Err(SnapshotError::Checksum { record: self.next });
        }
        self.next += 1;
        let known = decode_known::<pb::Record>(&payload);
        let record = known.and_then(|form| Ok(form.record.ok_or_else(|| FieldError::missing("record"))?));
        record.map_err(|source| SnapshotError::Record { record: self.current(), source })
    }

    /// Grows with what is there, not with what a damaged length says.
    fn payload(&mut self, length: u32) -> Result<Vec<u8>, SnapshotError> {
        let mut payload = Vec::new();
        let read = (&mut self.reader).take(u64::from(length)).read_to_end(&mut payload);
        let read = read.map_err(|source| SnapshotError::Read { record: self.next, source })?;
        if read < length as usize {
            return Err(SnapshotError::Truncated { record: self.next });
        }
        self.crc32c = crc32c::crc32c_append(self.crc32c, &payload);
        Ok(payload)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => SnapshotError::Truncated { record: self.next },
            _ => SnapshotError::Read { record: self.next, source },
        })?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes);
        Ok(bytes)
    }

    fn is_at_end(&mut self) -> Result<bool, SnapshotError> {
        let mut rest = Vec::new();
        let read = (&mut self.reader).take(1).read_to_end(&mut rest);
        read.map(|read| read == 0).map_err(|source| SnapshotError::Read { record: self.next, source })
    }

    /// The record that was read last.
    fn current(&self) -> u64 {
        self.next - 1
    }

    fn taken<T>(&self, field: &str, value: Result<T, FieldError>) -> Result<T, SnapshotError> {
        let source = |error: FieldError| DecodeError::Field(error.inside(field));
        value.map_err(|error| SnapshotError::Record { record: self.current(), source: source(error) })
    }

    fn misplaced(&self, found: &Record, expected: &'static str) -> SnapshotError {
        let found = match found {
            Record::Header(_) => "a header",
            Record::Text(_) => "a text",
            Record::JobSpec(_) => "a job spec",
            Record::Object(_) => "an object",
            Record::End(_) => "the end",
        };
        SnapshotError::Misplaced { record: self.current(), found, expected }
    }
}

/// The texts and specs that were read so far.
#[derive(Debug, Default)]
struct Shares {
    texts: Vec<Arc<str>>,
    specs: Vec<Arc<JobSpec>>,
}

impl Shared for Shares {
    fn text(&self, number: u32) -> Option<Arc<str>> {
        self.texts.get(number as usize).cloned()
    }

    fn spec(&self, number: u32) -> Option<Arc<JobSpec>> {
        self.specs.get(number as usize).cloned()
    }
}
