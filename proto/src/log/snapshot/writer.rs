//! Writes a snapshot.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use muster_model::{JobSpec, Key, Object};
use prost::Message;

use super::{Header, MAGIC, MAX_RECORD_BYTES, SNAPSHOT_VERSION};
use crate::log::durable::Durable;
use crate::log::objects::object_form;
use crate::log::pb::{self, record::Record, shared_job_spec, text};
use crate::log::sharing::{Share, inline_text};

/// Texts shorter than this stand in each object: a record of their own would save nothing.
const MIN_SHARED_TEXT_BYTES: usize = 64;

/// Writes a snapshot: the header, then objects in key order, then [`SnapshotWriter::finish`]. Without the last the
/// stream is refused as truncated. The same state gives the same bytes.
#[derive(Debug)]
pub struct SnapshotWriter<W: Write> {
    output: Output<W>,
    shares: Shares,
    last: Option<Key>,
    objects: u64,
}

impl<W: Write> SnapshotWriter<W> {
    /// Begins a snapshot. `writer` need not be buffered.
    ///
    /// # Errors
    /// Those of `writer`.
    pub fn begin(writer: W, header: &Header) -> io::Result<Self> {
        let mut output = Output { writer: BufWriter::new(writer), crc32c: 0, buffer: Vec::new() };
        output.write(&MAGIC)?;
        output.write(&SNAPSHOT_VERSION.to_le_bytes())?;
        output.record(Record::Header(header.form()))?;
        Ok(SnapshotWriter { output, shares: Shares::default(), last: None, objects: 0 })
    }

    /// Writes the next object.
    ///
    /// # Errors
    /// Those of the writer; `InvalidInput` if the object is larger than a record may be.
    ///
    /// # Panics
    /// If its key is not behind the last one's: no reader would take the snapshot.
    pub fn object(&mut self, object: &Object) -> io::Result<()> {
        let last = self.last.replace(object.key.clone());
        assert!(last.is_none_or(|last| last < object.key), "objects come in key order");
        let form = object_form(object, &mut self.shares);
        for record in self.shares.pending.drain(..) {
            self.output.record(record)?;
        }
        self.objects += 1;
        self.output.record(Record::Object(form))
    }

    /// Writes the end, flushes, and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        let end = pb::End { objects: self.objects, crc32c: self.output.crc32c };
        self.output.record(Record::End(end))?;
        self.output.writer.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Writes a whole snapshot. `objects` come in key order.
///
/// # Errors
/// Those of `writer`; `InvalidInput` if an object is larger than a record may be.
pub fn write_snapshot<'a>(
    writer: impl Write,
    header: &Header,
    objects: impl IntoIterator<Item = &'a Object>,
) -> io::Result<()> {
    let mut snapshot = SnapshotWriter::begin(writer, header)?;
    objects.into_iter().try_for_each(|object| snapshot.object(object))?;
    snapshot.finish().map(drop)
}

/// Frames records and sums all bytes up.
#[derive(Debug)]
struct Output<W: Write> {
    writer: BufWriter<W>,
    crc32c: u32,
    buffer: Vec<u8>,
}

impl<W: Write> Output<W> {
    fn record(&mut self, record: Record) -> io::Result<()> {
        let mut payload = std::mem::take(&mut self.buffer);
        payload.clear();
        pb::Record { record: Some(record) }.encode_raw(&mut payload);
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length <= MAX_RECORD_BYTES)
            .ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("a record of {} bytes", payload.len()))
            })?;
        let length = length.to_le_bytes();
        let crc32c = crc32c::crc32c_append(crc32c::crc32c(&length), &payload);
        self.write(&length)?;
        self.write(&crc32c.to_le_bytes())?;
        self.write(&payload)?;
        self.buffer = payload;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.writer.write_all(bytes)
    }
}

/// The texts and specs that were written so far, by number. By content, not by address, so that the bytes depend on
/// nothing but the state.
#[derive(Debug, Default)]
struct Shares {
    texts: HashMap<Arc<str>, u32>,
    specs: HashMap<Arc<JobSpec>, u32>,
    pending: Vec<Record>,
}

impl Share for Shares {
    fn text(&mut self, text: &Arc<str>) -> pb::Text {
        if text.len() < MIN_SHARED_TEXT_BYTES {
            return inline_text(text);
        }
        let number = number_of(&mut self.texts, text, || self.pending.push(Record::Text(text.form())));
        pb::Text { text: Some(text::Text::Shared(number)) }
    }

    fn spec(&mut self, spec: &Arc<JobSpec>) -> pb::SharedJobSpec {
        let number = number_of(&mut self.specs, spec, || self.pending.push(Record::JobSpec(spec.form())));
        pb::SharedJobSpec { spec: Some(shared_job_spec::Spec::Shared(number)) }
    }
}

/// The number of a value; `announce` is called when it is new.
fn number_of<T: ?Sized + Eq + std::hash::Hash>(
    numbers: &mut HashMap<Arc<T>, u32>,
    value: &Arc<T>,
    announce: impl FnOnce(),
) -> u32 {
    if let Some(number) = numbers.get(value) {
        return *number;
    }
    let number = u32::try_from(numbers.len()).expect("a state has fewer than 2^32 objects");
    numbers.insert(Arc::clone(value), number);
    announce();
    number
}
