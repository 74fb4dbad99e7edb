//! What history holds: who changed what, what it cost, and whether the records are whole.
//!
//! ```text
//!  GET /muster/v1/cost?by=namespace|cluster|job|run|label[:KEY]&since=TIME   muster cost
//!  GET /muster/v1/audit?after=SEQUENCE&limit=N | last=N                       muster audit tail
//!  GET /muster/v1/audit/verify                                                muster audit verify, all replicas
//!  GET /muster/v1/audit/check?audit=SEQUENCE&ledger=SEQUENCE                  the same of this replica
//!  GET /muster/v1/history/STREAM?from=KEY&to=KEY                              segments by hash, for peers
//!  GET /muster/v1/history/STREAM/SEGMENT?bytes=N                              one segment
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use muster_consensus::ReplicaId;
use muster_core::{Bill, ChainHead, State};
use muster_kubeapi::kinds::{labels, parse_time};
use muster_kubeapi::status::Status;
use muster_model::{Attempt, AuditRecord, CostKind, MicroUsd, Object, TimeMs};
use muster_proto::history::decode_audit;
use serde_json::{Value, json};

use super::call::{Call, read_body};
use super::query::Query;
use super::respond::{self, Answered};
use super::{proxy_out, refusal};
use crate::history::{
    By, CostQuery, CostRow, HistoryError, Offer, Offered, SegmentName, StreamName, Sums, Verdict,
    frame_records, hex, sha256,
};

/// Audit records of one answer.
const AUDIT_MAX: usize = 1_000;
/// How long another replica may take to read its history.
const CHECK_PATIENCE: Duration = Duration::from_secs(50);

fn refused(error: &HistoryError) -> Status {
    match error {
        HistoryError::TooManyRows => Status::bad_request(error.to_string()),
        HistoryError::Failed(_) | HistoryError::Ended => refusal::unavailable(&error.to_string()),
    }
}

/// Runs what reads files where it may block.
///
/// # Errors
/// 503 if history cannot be read.
pub async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|error| Status::internal(&error.to_string()))?.map_err(|error| refused(&error))
}

/// A state in which nothing acknowledged is missing, and a history that has all of it.
///
/// # Errors
/// 503 without a leader or history.
pub async fn caught_up(call: &Call) -> Result<State, Status> {
    let state = call.newest().await?;
    call.api.hub.history().flush().await.map_err(|error| refused(&error))?;
    Ok(state)
}

/// What attempts cost: those that are over from the ledger, those that are alive up to now.
///
/// # Errors
/// 400 for a question that cannot be read, 503 without a leader or history.
pub async fn cost(call: &Call) -> Answered {
    let query = Query::of(call);
    let by = by(query.get("by").unwrap_or("namespace"))?;
    let since = match query.get("since") {
        Some(text) => parse_time(text).map_err(|rule| Status::bad_request(format!("since: {rule}")))?,
        None => TimeMs(0),
    };
    let state = caught_up(call).await?;
    let (history, up_to) = (call.api.hub.history().clone(), state.ledger().sequence);
    let question = CostQuery { by: by.clone(), since, up_to };
    let booked = blocking(move || history.cost(question)).await?;
    let now = state.time().max(crate::hub::now());
    let rows = with_open(booked, &state, &by, now);
    let total: i128 = rows.values().map(|row| row.all().total()).sum();
    let missing = call.api.hub.history().gaps(StreamName::Ledger);
    let missing: Vec<Value> = missing.iter().map(|gap| json!({"from": gap.from, "to": gap.to})).collect();
    let value = json!({
        "by": by_text(&by),
        "since": since.to_string(),
        "until": now.to_string(),
        "currency": "USD",
        "rows": rows.iter().map(|(name, row)| row.shown(name)).collect::<Vec<_>>(),
        "total": money(total),
        "ledger": {"sequence": up_to, "hash": hex(&state.ledger().hash), "missing": missing},
    });
    Ok(respond::json(StatusCode::OK, &value))
}

fn by(text: &str) -> Result<By, Status> {
    match text {
        "namespace" => Ok(By::Namespace),
        "cluster" => Ok(By::Cluster),
        "job" => Ok(By::Job),
        "run" => Ok(By::Run),
        "label" => Ok(By::Labels),
        _ => match text.strip_prefix("label:").filter(|key| !key.is_empty()) {
            Some(key) => Ok(By::Label(key.to_owned())),
            None => Err(Status::bad_request(format!(
                "by: {text:?} is not known; use namespace, cluster, job, run, label or label:KEY"
            ))),
        },
    }
}

fn by_text(by: &By) -> String {
    match by {
        By::Namespace => "namespace".to_owned(),
        By::Cluster => "cluster".to_owned(),
        By::Job => "job".to_owned(),
        By::Run => "run".to_owned(),
        By::Labels => "label".to_owned(),
        By::Label(key) => format!("label:{key}"),
    }
}

/// One row: what is booked and what is open.
#[derive(Default)]
struct Row {
    booked: Sums,
    open: Sums,
}

impl Row {
    fn all(&self) -> Sums {
        let mut all = self.booked;
        all.plus(&self.open);
        all
    }

    fn shown(&self, name: &str) -> Value {
        let all = self.all();
        let kinds = [
            ("compute", CostKind::Compute),
            ("waste", CostKind::Waste),
            ("egress", CostKind::Egress),
            ("transferWait", CostKind::TransferWait),
            ("queueWait", CostKind::QueueWait),
        ];
        let lines: BTreeMap<&str, String> = kinds
            .into_iter()
            .filter(|(_, kind)| all.line(*kind) != 0)
            .map(|(text, kind)| (text, money(all.line(kind))))
            .collect();
        json!({
            "name": name,
            "runs": self.booked.runs,
            "open": self.open.runs,
            "gpuHours": thousandths(all.gpu_ms / 3600),
            "lostGpuHours": thousandths(all.lost_gpu_ms / 3600),
            "lines": lines,
            "booked": money(self.booked.total()),
            "openTotal": money(self.open.total()),
            "total": money(all.total()),
        })
    }
}

/// The rows with what live attempts have cost up to now.
fn with_open(booked: Vec<CostRow>, state: &State, by: &By, now: TimeMs) -> BTreeMap<Arc<str>, Row> {
    let mut rows: BTreeMap<Arc<str>, Row> =
        booked.into_iter().map(|row| (row.name, Row { booked: row.sums, ..Row::default() })).collect();
    for key in state.live_jobs() {
        let Some(object) = state.get(key) else { continue };
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { continue };
        let bill = Bill::of(attempt, now);
        let mut sums = Sums { runs: 1, gpu_ms: bill.gpu_ms.into(), ..Sums::default() };
        sums.add_lines(&bill.lines);
        for name in open_names(object, attempt, by) {
            rows.entry(name).or_default().open.plus(&sums);
        }
    }
    rows
}

fn open_names(object: &Object, attempt: &Attempt, by: &By) -> Vec<Arc<str>> {
    let key = &object.key;
    match by {
        By::Namespace => vec![Arc::clone(&key.namespace)],
        By::Cluster => vec![attempt.assignment.member.as_str().into()],
        By::Job => vec![format!("{}/{}", key.namespace, key.name).into()],
        By::Run => vec![format!("{}/{}@{}", key.namespace, key.name, attempt.epoch.0).into()],
        By::Label(label) => vec![labels(object).remove(label).unwrap_or_default().into()],
        By::Labels => {
            labels(object).into_iter().map(|(key, value)| format!("{key}={value}").into()).collect()
        }
    }
}

/// Micro-dollars as an exact decimal text.
fn money(micro: i128) -> String {
    match i64::try_from(micro) {
        Ok(amount) => MicroUsd(amount).to_string(),
        Err(_) => format!(
            "{}{}.{:06}",
            if micro < 0 { "-" } else { "" },
            micro.abs() / 1_000_000,
            micro.abs() % 1_000_000
        ),
    }
}

fn thousandths(amount: u128) -> String {
    format!("{}.{:03}", amount / 1000, amount % 1000)
}

/// Audit records behind one, or the last ones.
///
/// # Errors
/// 400 for a number that is none, 503 without history.
pub async fn audit(call: &Call) -> Answered {
    let query = Query::of(call);
    let limit = query.number("limit")?.unwrap_or(100).min(AUDIT_MAX as u64);
    let state = caught_up(call).await?;
    let head = state.audit().sequence;
    let after = match (query.number("after")?, query.number("last")?) {
        (Some(after), _) => after,
        (None, last) => head.saturating_sub(last.unwrap_or(20).min(AUDIT_MAX as u64)),
    };
    let history = call.api.hub.history().clone();
    let records = blocking(move || {
        let mut records = Vec::new();
        let pages = history.pages(StreamName::Audit)?;
        let start = pages.partition_point(|page| page.name.0 <= after).saturating_sub(1);
        for page in &pages[start.min(pages.len())..] {
            let bytes = page.read().map_err(|error| HistoryError::Failed(error.to_string()))?;
            let wanted = frame_records(&bytes).filter(|record| record.key > after);
            let left = usize::try_from(limit).unwrap_or(AUDIT_MAX) - records.len();
            records.extend(wanted.filter_map(|record| decode_audit(record.payload).ok()).take(left));
        }
        Ok(records)
    })
    .await?;
    let shown: Vec<Value> = records.iter().map(shown_record).collect();
    Ok(respond::json(StatusCode::OK, &json!({"head": head, "records": shown})))
}

fn shown_record(record: &AuditRecord) -> Value {
    json!({
        "sequence": record.sequence,
        "time": record.time.to_string(),
        "principal": record.principal.as_str(),
        "verb": record.verb.as_str(),
        "resource": record.key.kind.as_str(),
        "namespace": &*record.key.namespace,
        "name": &*record.key.name,
        "uid": record.uid.map(|uid| uid.to_string()),
        "revision": record.revision.0.to_string(),
        "refused": record.refused.as_deref(),
        "denied": record.denied,
        "detail": &*record.detail,
        "chain": hex(&record.chain),
    })
}

/// Whether the history of every replica is whole, and all agree.
///
/// # Errors
/// 503 without a leader or history.
pub async fn verify(call: &Call) -> Answered {
    let state = caught_up(call).await?;
    let (audit, ledger) = (state.audit(), state.ledger());
    let path = format!("/muster/v1/audit/check?audit={}&ledger={}", audit.sequence, ledger.sequence);
    let others = call.api.replicas.keys().filter(|id| **id != call.api.hub.id());
    let others = others.map(|id| check_of(call, *id, path.clone()));
    let own = own_check(call, audit.sequence, ledger.sequence);
    let (own, others) = tokio::join!(own, futures::future::join_all(others));
    let mut replicas = others;
    replicas.push(own?);
    replicas.sort_by_key(|replica| replica["name"].as_str().unwrap_or_default().to_owned());
    for replica in &mut replicas {
        compare(replica, "audit", audit);
        compare(replica, "ledger", ledger);
    }
    let is_whole = |replica: &Value| {
        replica["error"].is_null()
            && ["audit", "ledger"]
                .iter()
                .all(|name| replica[*name]["problems"].as_array().is_some_and(Vec::is_empty))
    };
    let value = json!({
        "whole": replicas.iter().all(is_whole),
        "audit": {"sequence": audit.sequence, "hash": hex(&audit.hash)},
        "ledger": {"sequence": ledger.sequence, "hash": hex(&ledger.hash)},
        "replicas": replicas,
    });
    Ok(respond::json(StatusCode::OK, &value))
}

/// Adds a problem if a replica's chain ends in another link than the state's.
fn compare(replica: &mut Value, name: &str, head: ChainHead) {
    let found = replica[name]["hash"].as_str().map(str::to_owned);
    let Some(problems) = replica[name]["problems"].as_array_mut() else { return };
    match found {
        Some(found) if found != hex(&head.hash) => problems.push(json!(format!(
            "record {} has another hash than the state of the replica that asks",
            head.sequence
        ))),
        _ => {}
    }
}

async fn check_of(call: &Call, id: ReplicaId, path: String) -> Value {
    let asked = async {
        let response = proxy_out::ask(call, id, ("GET", path), Bytes::new())
            .await
            .map_err(|status| status.to_string())?;
        let bytes = read_body(response.into_body(), 1 << 20).await.map_err(|status| status.to_string())?;
        serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string())
    };
    let answer = tokio::time::timeout(CHECK_PATIENCE, asked).await;
    match answer.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
        Ok(value) if value["name"].is_string() => value,
        Ok(value) => unread(call, id, value["message"].as_str().unwrap_or("another answer than expected")),
        Err(reason) => unread(call, id, &reason),
    }
}

fn unread(call: &Call, id: ReplicaId, reason: &str) -> Value {
    json!({"name": call.api.name_of(id), "error": reason})
}

/// Whether the history of this replica is whole up to these records.
///
/// # Errors
/// 400 for a number that is none, 503 without history.
pub async fn check(call: &Call) -> Answered {
    let query = Query::of(call);
    let own = own_check(
        call,
        query.number("audit")?.unwrap_or_default(),
        query.number("ledger")?.unwrap_or_default(),
    );
    Ok(respond::json(StatusCode::OK, &own.await?))
}

async fn own_check(call: &Call, audit: u64, ledger: u64) -> Result<Value, Status> {
    // Not before it has what is asked for.
    let mut view = call.api.hub.view();
    let has_it =
        view.wait_for(|view| view.state.audit().sequence >= audit && view.state.ledger().sequence >= ledger);
    let late = || refusal::unavailable("this replica has not applied as much; try again");
    tokio::time::timeout(Duration::from_secs(10), has_it).await.map_err(|_| late())?.map_err(|_| late())?;
    call.api.hub.history().flush().await.map_err(|error| refused(&error))?;
    let history = call.api.hub.history().clone();
    let (audit, ledger) = blocking(move || {
        Ok((history.verify(StreamName::Audit, audit)?, history.verify(StreamName::Ledger, ledger)?))
    })
    .await?;
    let name = call.api.name_of(call.api.hub.id());
    Ok(json!({"name": name, "audit": shown_verdict(&audit), "ledger": shown_verdict(&ledger)}))
}

fn shown_verdict(verdict: &Verdict) -> Value {
    json!({
        "records": verdict.records,
        "first": verdict.first,
        "last": verdict.head.sequence,
        "hash": hex(&verdict.head.hash),
        "problems": verdict.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// The segments of a stream that may hold these keys.
///
/// # Errors
/// 404 for a stream that is none, 400 for a number that is none.
pub async fn segments(call: &Call, stream: &str) -> Answered {
    let name = StreamName::parse(stream).ok_or_else(Status::path_not_found)?;
    let query = Query::of(call);
    let (from, to) = (query.number("from")?.unwrap_or_default(), query.number("to")?.unwrap_or(u64::MAX));
    let history = call.api.hub.history().clone();
    let offer = blocking(move || {
        let mut offer = Offer::default();
        let may_hold = |first: u64| first <= to && first.saturating_add(name.span()) > from;
        for page in history.pages(name)?.iter().filter(|page| may_hold(page.name.0)) {
            let bytes = page.read().map_err(|error| HistoryError::Failed(error.to_string()))?;
            offer.segments.push(Offered {
                segment: page.name.to_string(),
                bytes: bytes.len() as u64,
                sha256: sha256(&bytes),
            });
        }
        Ok(offer)
    })
    .await?;
    let value = serde_json::to_value(&offer).map_err(|error| Status::internal(&error.to_string()))?;
    Ok(respond::json(StatusCode::OK, &value))
}

/// The bytes of a segment.
///
/// # Errors
/// 404 if it is not there.
pub async fn segment(call: &Call, stream: &str, segment: &str) -> Answered {
    let name = StreamName::parse(stream).ok_or_else(Status::path_not_found)?;
    let segment = SegmentName::parse(segment).ok_or_else(Status::path_not_found)?;
    let wanted = Query::of(call).number("bytes")?;
    let history = call.api.hub.history().clone();
    let bytes = blocking(move || {
        let Some(page) = history.page(name, segment)? else { return Ok(None) };
        page.read().map(Some).map_err(|error| HistoryError::Failed(error.to_string()))
    })
    .await?;
    let mut bytes = bytes.ok_or_else(Status::path_not_found)?;
    bytes.truncate(wanted.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX));
    let mut response = Response::new(Body::from(bytes));
    let octets = http::HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, octets);
    Ok(response)
}
