//! A list on its way to the client: rendered in chunks as they are read, never as one tree or one buffer.

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use muster_kubeapi::kinds::Rows;
use muster_kubeapi::list::{self, ListMeta};
use muster_kubeapi::negotiate::Shape;
use muster_kubeapi::resource::Resource;
use muster_kubeapi::status::Status;
use muster_kubeapi::table::{IncludeObject, TableStyle, TableWriter, partial_metadata};
use muster_model::TimeMs;

use super::items::Item;
use super::limits::Ticket;
use super::respond::{self, Answered, Wanted};
use crate::hub::now;

/// About how large a chunk is.
const CHUNK_BYTES: usize = 64 << 10;

/// What a list says of itself, and what is in it.
pub struct Page {
    /// Revision, token of the next page, number of those left.
    pub meta: ListMeta,
    /// The items, in order.
    pub items: Vec<Item>,
}

/// Answers with a list.
///
/// # Errors
/// 500 if what was rendered cannot be read again for another encoding, which it can.
pub fn respond(resource: &'static Resource, wanted: &Wanted, page: Page, ticket: &Ticket) -> Answered {
    let chunks = Chunks::new(resource, wanted, page, ticket.clone());
    if wanted.is_rewritten() {
        let whole: Vec<u8> = chunks.flatten().collect();
        return respond::finish(wanted, StatusCode::OK, whole);
    }
    Ok(streamed(chunks))
}

/// One buffer if it fits into a chunk, else a stream.
fn streamed(mut chunks: Chunks) -> Response<Body> {
    let first = chunks.next().unwrap_or_default();
    if chunks.writer.is_none() {
        return respond::json_bytes(StatusCode::OK, first);
    }
    let rest = std::iter::once(first).chain(chunks).map(Ok::<_, Status>);
    respond::stream("application/json", Body::from_stream(futures::stream::iter(rest)))
}

/// The chunks of a list.
struct Chunks {
    items: std::vec::IntoIter<Item>,
    /// Gone with the last chunk.
    writer: Option<Writer>,
    now: TimeMs,
    rows: Rows,
    include: IncludeObject,
    _ticket: Ticket,
}

enum Writer {
    Items { out: String, first: bool },
    Metadata { out: Vec<u8>, first: bool, version: &'static str },
    Table(Box<TableWriter>),
}

impl Chunks {
    fn new(resource: &'static Resource, wanted: &Wanted, page: Page, ticket: Ticket) -> Chunks {
        let writer = match wanted.accepted.shape {
            Shape::Table(version) => {
                let style = TableStyle { include: wanted.include, with_columns: true };
                Writer::Table(Box::new(TableWriter::new(resource, version, &page.meta, style)))
            }
            Shape::PartialMetadata(version) | Shape::PartialMetadataList(version) => {
                let api_version = format!("meta.k8s.io/{version}");
                let out = list::head_of("PartialObjectMetadataList", &api_version, &page.meta);
                Writer::Metadata { out, first: true, version }
            }
            Shape::Full | Shape::Discovery(_) => {
                let head = list::head(resource, &page.meta);
                Writer::Items { out: String::from_utf8(head).unwrap_or_default(), first: true }
            }
        };
        let now = now();
        Chunks {
            items: page.items.into_iter(),
            writer: Some(writer),
            now,
            rows: Rows::new(now),
            include: wanted.include,
            _ticket: ticket,
        }
    }
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut writer = self.writer.take()?;
        while writer.len() < CHUNK_BYTES {
            let Some(item) = self.items.next() else { return Some(writer.finish().into()) };
            writer.add(&item, self.include, (&mut self.rows, self.now));
        }
        let chunk = writer.take();
        self.writer = Some(writer);
        Some(chunk.into())
    }
}

impl Writer {
    fn len(&self) -> usize {
        match self {
            Writer::Items { out, .. } => out.len(),
            Writer::Metadata { out, .. } => out.len(),
            Writer::Table(table) => table.len(),
        }
    }

    fn add(&mut self, item: &Item, include: IncludeObject, (rows, now): (&mut Rows, TimeMs)) {
        match self {
            Writer::Items { out, first } => {
                if !std::mem::take(first) {
                    out.push(',');
                }
                item.render_into(out);
            }
            Writer::Metadata { out, first, version } => {
                if !std::mem::take(first) {
                    out.extend_from_slice(list::SEPARATOR);
                }
                out.extend_from_slice(&partial_metadata(version, item.render_metadata().as_bytes()));
            }
            Writer::Table(table) => respond::row(table, include, item, rows, now),
        }
    }

    /// What was written since the last time.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Writer::Items { out, .. } => {
                std::mem::replace(out, String::with_capacity(CHUNK_BYTES + 4096)).into_bytes()
            }
            Writer::Metadata { out, .. } => std::mem::take(out),
            Writer::Table(table) => table.take(),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Writer::Items { out, .. } => [out.as_bytes(), list::TAIL].concat(),
            Writer::Metadata { out, .. } => [out.as_slice(), list::TAIL].concat(),
            Writer::Table(table) => table.finish(),
        }
    }
}
