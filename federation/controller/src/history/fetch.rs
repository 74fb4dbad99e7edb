//! Fetches from peers what a snapshot skipped here: which segments they have, by hash; then the bytes, which must have that
//! hash, and whose links must follow from what is here.

use std::ops::RangeInclusive;
use std::time::Duration;

use aws_lc_rs::digest;
use muster_consensus::ReplicaId;
use muster_core::{ChainHead, audit_link, booking_link};
use muster_proto::history::{decode_audit, decode_booking};
use muster_proto::hub::pb::{HttpRequest, http_chunk::Part};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::frame;
use super::segment::SegmentName;
use super::store::{Gap, hex};
use super::stream::StreamName;
use super::writer::History;
use crate::hub::Hub;

/// Between two tries to close a gap.
const RETRY: Duration = Duration::from_secs(2);
/// The longest segment that is taken.
const SEGMENT_MAX_BYTES: usize = 256 << 20;
/// The longest list of segments that is taken.
const LIST_MAX_BYTES: usize = 8 << 20;
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A segment as a replica offers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its name.
    pub segment: String,
    /// Bytes that it has now; more may come.
    pub bytes: u64,
    /// SHA-256 of those bytes, in hexadecimal digits.
    pub sha256: String,
}

/// What a replica offers of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its segments in the range that was asked for.
    pub segments: Vec<Offered>,
}

/// Closes gaps as they are found, until it is cancelled.
pub async fn keep_whole(history: History, hub: Hub, peers: Vec<ReplicaId>, cancel: CancellationToken) {
    let mut moved = history.gaps_moved();
    loop {
        let open: usize = StreamName::ALL.iter().map(|name| history.gaps(*name).len()).sum();
        if open > 0 {
            for name in StreamName::ALL {
                close_gaps(&history, &hub, &peers, name).await;
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = moved.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn close_gaps(history: &History, hub: &Hub, peers: &[ReplicaId], name: StreamName) {
    for gap in history.gaps(name) {
        for peer in peers {
            match fetch_gap(history, hub, *peer, name, gap).await {
                Ok(records) => {
                    tracing::info!(stream = name.as_str(), from = gap.from, to = gap.to, records, %peer, "history fetched");
                    history.close(name, gap);
                    break;
                }
                Err(reason) => {
                    tracing::debug!(stream = name.as_str(), from = gap.from, to = gap.to, %peer, reason, "history not fetched");
                }
            }
        }
    }
}

async fn fetch_gap(
    history: &History,
    hub: &Hub,
    peer: ReplicaId,
    name: StreamName,
    gap: Gap,
) -> Result<usize, String> {
    let path = format!("/muster/v1/history/{}?from={}&to={}", name.as_str(), gap.from, gap.to);
    let list = ask(hub, peer, path, LIST_MAX_BYTES).await?;
    let offer: Offer = serde_json::from_slice(&list).map_err(|error| error.to_string())?;
    let mut links = Links::before(history, name, gap)?;
    let mut new = 0;
    for offered in &offer.segments {
        let segment = SegmentName::parse(&offered.segment).ok_or("a segment without a name")?;
        let path = format!("/muster/v1/history/{}/{segment}?bytes={}", name.as_str(), offered.bytes);
        let bytes = ask(hub, peer, path, SEGMENT_MAX_BYTES).await?;
        if sha256(&bytes) != offered.sha256 {
            return Err(format!("segment {segment} does not have the hash it was offered with"));
        }
        links.follow(&bytes)?;
        new += history.merge(name, segment, bytes).await.map_err(|error| error.to_string())?;
    }
    links.end()?;
    Ok(new)
}

/// The links of a chained stream as they are fetched.
struct Links {
    name: StreamName,
    wanted: RangeInclusive<u64>,
    head: ChainHead,
}

impl Links {
    /// From the record before a gap.
    fn before(history: &History, name: StreamName, gap: Gap) -> Result<Links, String> {
        let wanted = gap.from..=gap.to;
        let sequence = gap.from.saturating_sub(1);
        let known = match name {
            StreamName::Events => None,
            StreamName::Audit | StreamName::Ledger if sequence == 0 => Some([0; 32]),
            StreamName::Audit | StreamName::Ledger => {
                history.hash_at(name, sequence).map_err(|error| error.to_string())?
            }
        };
        Ok(Links { name, wanted, head: ChainHead { sequence, hash: known.unwrap_or_default() } })
    }

    /// Checks the records of a segment that are wanted.
    fn follow(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.name == StreamName::Events {
            return Ok(());
        }
        for record in frame::records(bytes).filter(|record| self.wanted.contains(&record.key)) {
            let (found, linked) = self.linked(record.payload).ok_or("a record that cannot be read")?;
            if found.sequence != self.head.sequence + 1 || found.hash != linked {
                return Err(format!("record {} does not follow from what is here", found.sequence));
            }
            self.head = found;
        }
        Ok(())
    }

    fn linked(&self, payload: &[u8]) -> Option<(ChainHead, [u8; 32])> {
        match self.name {
            StreamName::Audit => {
                let record = decode_audit(payload).ok()?;
                let head = ChainHead { sequence: record.sequence, hash: record.chain };
                Some((head, audit_link(&record, self.head.hash)))
            }
            StreamName::Ledger | StreamName::Events => {
                let booking = decode_booking(payload).ok()?.booking;
                let head = ChainHead { sequence: booking.sequence, hash: booking.chain };
                Some((head, booking_link(&booking, self.head.hash)))
            }
        }
    }

    /// Whether the last one that was wanted is there.
    fn end(&self) -> Result<(), String> {
        if self.name != StreamName::Events && self.head.sequence < *self.wanted.end() {
            return Err(format!("the peer has records up to {} only", self.head.sequence));
        }
        Ok(())
    }
}

/// Asks a peer in the hub's own name.
async fn ask(hub: &Hub, peer: ReplicaId, uri: String, max_bytes: usize) -> Result<Vec<u8>, String> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        uri,
        accept: "application/json".to_owned(),
        content_type: String::new(),
        body: Vec::new(),
        user: "system:hub".to_owned(),
        groups: vec!["system:masters".to_owned()],
    };
    let answer = async {
        let mut chunks = hub.peers().http(peer, request).await.map_err(|status| status.to_string())?;
        let (mut body, mut code) = (Vec::new(), 0);
        while let Some(chunk) = chunks.message().await.map_err(|status| status.to_string())? {
            match chunk.part {
                Some(Part::Head(head)) => code = head.status,
                Some(Part::Body(bytes)) => body.extend_from_slice(&bytes),
                None => {}
            }
            if body.len() > max_bytes {
                return Err("the answer is too long".to_owned());
            }
        }
        if code == 200 { Ok(body) } else { Err(format!("the peer answered {code}")) }
    };
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| "no answer in time".to_owned())?
}

/// SHA-256 as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}
