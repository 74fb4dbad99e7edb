//! A watch: what there is, if that is asked for, then every change in order until the client, the clock or the replica
//! ends it.
//!
//! ```text
//!  Initial(items) --> Following: look --changes--> events
//!                        ^   |nothing
//!                        +---+ wait: change | bookmark | deadline
//! ```
//!
//! It is pulled by the connection: a client that does not read costs its place in the ring, and no memory. When the ring
//! has passed it by, it hears 410.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use muster_kubeapi::negotiate::{Endpoint, Shape};
use muster_kubeapi::options::Options;
use muster_kubeapi::path::Request;
use muster_kubeapi::resource::Resource;
use muster_kubeapi::status::Status;
use muster_kubeapi::table::{IncludeObject, TableStyle, partial_metadata};
use muster_kubeapi::watch::{self, EventType};
use tokio::time::Instant;

use super::call::Call;
use super::items::{Filter, Item};
use super::limits::Ticket;
use super::objects::kind_of;
use super::read;
use super::respond::{self, Answered, Wanted};
use super::templates::Templates;
use super::watch_source::{Found, Moved, Source};
use crate::agents::random_id;

/// Between two bookmarks, as kube-apiserver's.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch may take if it does not say; the real one draws between this and twice this.
const DEFAULT_TIMEOUT_S: u64 = 1_800;
/// About how large a chunk of events is.
const CHUNK_BYTES: usize = 64 << 10;

/// GET of a collection with `watch=true`, of a stored kind.
///
/// # Errors
/// 406, 410, and what keeps the state from being read.
pub async fn stored(call: &Call, request: &Request) -> Answered {
    // Before the state is read, so that nothing between the two is missed.
    let source = Source::stored(&call.api, kind_of(request.resource)?);
    let start = Start::of(&request.options);
    let state = match start {
        Start::After(revision) => {
            read::state_for(call, &Options { resource_version: Some(revision), ..Options::default() }).await?
        }
        Start::Everything | Start::Now => read::state_for(call, &request.options).await?,
    };
    let items = match start {
        Start::Everything => read::select(call, &state, request, (None, usize::MAX))?,
        Start::Now | Start::After(_) => Vec::new(),
    };
    let after = match start {
        Start::After(revision) => revision,
        Start::Everything | Start::Now => state.revision().0,
    };
    respond(call, request, source, Initial { items, after })
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With everything there is.
    Everything,
    /// With the next change.
    Now,
    /// With the first change after this revision.
    After(u64),
}

impl Start {
    /// By the rules of the API's `resourceVersion` and `sendInitialEvents` for watches.
    pub fn of(options: &Options) -> Start {
        match (options.send_initial_events, options.resource_version) {
            (Some(true), _) | (None, None | Some(0)) => Start::Everything,
            (Some(false), None | Some(0)) => Start::Now,
            (_, Some(revision)) => Start::After(revision),
        }
    }
}

/// What is sent first, and the revision behind which changes follow.
pub struct Initial {
    /// What there is.
    pub items: Vec<Item>,
    /// The revision that they are of.
    pub after: u64,
}

/// Answers with the stream of a watch.
///
/// # Errors
/// 406 and options that cannot be read.
pub fn respond(call: &Call, request: &Request, source: Source, initial: Initial) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Collection, &request.query)?;
    let options = &request.options;
    let watch = Watch {
        source,
        filter: Filter::new(request.namespace.as_deref(), options),
        frames: Frames {
            resource: request.resource,
            shape: wanted.accepted.shape,
            include: wanted.include,
            with_columns: true,
        },
        initial: initial.items.into_iter(),
        end_of_initial: options.send_initial_events == Some(true) && options.allow_watch_bookmarks,
        after: initial.after,
        next_bookmark: options.allow_watch_bookmarks.then(|| Instant::now() + BOOKMARK_EVERY),
        deadline: Instant::now() + timeout(options.timeout_seconds),
        over: false,
        templates: Templates::new(&call.api.hub),
        _ticket: call.ticket.clone(),
    };
    let chunks = futures::stream::unfold(watch, async |mut watch: Watch| {
        let chunk = watch.next().await?;
        Some((Ok::<_, Status>(Bytes::from(chunk)), watch))
    });
    Ok(respond::stream("application/json", Body::from_stream(chunks)))
}

fn timeout(asked: Option<u64>) -> Duration {
    let drawn = u64::try_from(random_id() % u128::from(DEFAULT_TIMEOUT_S)).unwrap_or_default();
    Duration::from_secs(asked.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TIMEOUT_S + drawn))
}

/// One watch under way.
struct Watch {
    source: Source,
    filter: Filter,
    frames: Frames,
    initial: std::vec::IntoIter<Item>,
    end_of_initial: bool,
    after: u64,
    next_bookmark: Option<Instant>,
    deadline: Instant,
    over: bool,
    templates: Templates,
    _ticket: Ticket,
}

impl Watch {
    /// The next chunk; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let first = self.next_initial();
        if !first.is_empty() {
            return Some(first);
        }
        while !self.over {
            match self.source.look(self.after, &mut self.templates) {
                Found::Failed(status) => {
                    self.over = true;
                    return Some(watch::error(&status));
                }
                Found::Gone => {
                    self.over = true;
                    return Some(watch::error(&Status::expired(format!(
                        "too old resource version: {}",
                        self.after
                    ))));
                }
                Found::Changes(changes) => {
                    let events = self.events(&changes);
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
                Found::NothingUpTo(revision) => {
                    self.after = revision;
                    if self.bookmark_is_due() {
                        return Some(self.frames.bookmark(revision, false));
                    }
                    self.rest().await;
                }
            }
        }
        None
    }

    fn next_initial(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < CHUNK_BYTES {
            match self.initial.next() {
                Some(item) => out.extend(self.frames.event(EventType::Added, &item)),
                None if std::mem::take(&mut self.end_of_initial) => {
                    out.extend(self.frames.bookmark(self.after, true));
                    break;
                }
                None => break,
            }
        }
        out
    }

    /// About a chunk of events; what does not fit is looked at again.
    fn events(&mut self, changes: &[Moved]) -> Vec<u8> {
        let mut out = Vec::new();
        for moved in changes {
            out.extend(self.event(moved));
            self.after = moved.revision;
            if out.len() >= CHUNK_BYTES {
                break;
            }
        }
        out
    }

    fn event(&mut self, moved: &Moved) -> Vec<u8> {
        let matches = |item: &Option<Item>| item.as_ref().map(|item| self.filter.matches(item));
        let Some(event) = watch::transition(matches(&moved.old), matches(&moved.new)) else {
            return Vec::new();
        };
        match (event, &moved.old, &moved.new) {
            (EventType::Deleted, Some(old), _) => self.frames.event(event, &old.at(moved.revision)),
            (_, _, Some(new)) => self.frames.event(event, new),
            _ => Vec::new(),
        }
    }

    fn bookmark_is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.next_bookmark.is_some_and(|at| at <= now);
        if due {
            self.next_bookmark = Some(now + BOOKMARK_EVERY);
        }
        due
    }

    /// Waits for a change, for the time of a bookmark, or for the end.
    async fn rest(&mut self) {
        let until = self.next_bookmark.map_or(self.deadline, |at| at.min(self.deadline));
        let moved = tokio::time::timeout_at(until, self.source.moved()).await;
        self.over = moved == Ok(false) || moved.is_err() && Instant::now() >= self.deadline;
    }
}

/// How events are written.
struct Frames {
    resource: &'static Resource,
    shape: Shape,
    include: IncludeObject,
    /// Columns go with the first Table only.
    with_columns: bool,
}

impl Frames {
    fn event(&mut self, event: EventType, item: &Item) -> Vec<u8> {
        match self.shape {
            Shape::Table(version) => {
                let table = self.table(version, Some(item), item.revision());
                watch::frame(event, &table)
            }
            Shape::PartialMetadata(version) | Shape::PartialMetadataList(version) => {
                watch::frame(event, &partial_metadata(version, item.render_metadata().as_bytes()))
            }
            Shape::Full | Shape::Discovery(_) => watch::frame(event, item.render().as_bytes()),
        }
    }

    fn bookmark(&mut self, revision: u64, ends_initial: bool) -> Vec<u8> {
        match self.shape {
            Shape::Table(version) => {
                let table = self.table(version, None, revision);
                watch::frame(EventType::Bookmark, &table)
            }
            _ if ends_initial => watch::initial_events_end(self.resource, revision),
            _ => watch::bookmark(self.resource, revision),
        }
    }

    fn table(&mut self, version: &str, item: Option<&Item>, revision: u64) -> Vec<u8> {
        let style =
            TableStyle { include: self.include, with_columns: std::mem::take(&mut self.with_columns) };
        respond::table(self.resource, version, style, item, revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_watch_begins() {
        let start = |send_initial_events, resource_version| {
            Start::of(&Options { send_initial_events, resource_version, ..Options::default() })
        };
        for (initial, revision, want) in [
            (None, None, Start::Everything),
            (None, Some(0), Start::Everything),
            (None, Some(7), Start::After(7)),
            (Some(true), None, Start::Everything),
            (Some(true), Some(7), Start::Everything),
            (Some(false), None, Start::Now),
            (Some(false), Some(0), Start::Now),
            (Some(false), Some(7), Start::After(7)),
        ] {
            assert_eq!(start(initial, revision), want, "{initial:?} {revision:?}");
        }
    }
}
