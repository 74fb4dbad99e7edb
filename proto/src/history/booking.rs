//! Lines of the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    Booking, CostKind, CostLine, Epoch, Key, MemberName, MicroUsd, Revision, Run, RunPhase, TimeMs, Uid,
};
use prost::Message;

use super::{RecordError, bytes_of, number, pb};
use crate::log::{enum_form, read_enum};

/// A booking with the labels that its job had: apply does not read documents, the edge does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The booking.
    pub booking: Booking,
    /// Labels of the job when the attempt ended.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// The bytes of a booking.
pub fn encode_booking(booked: &Booked) -> Vec<u8> {
    let Booked { booking, labels } = booked;
    let run = &booking.run;
    let line = |line: &CostLine| pb::Line { kind: enum_form(&line.kind), amount_micro_usd: line.amount.0 };
    let label =
        |(key, value): (&Arc<str>, &Arc<str>)| pb::Label { key: key.to_string(), value: value.to_string() };
    let form = pb::Booking {
        sequence: booking.sequence,
        time_ms: booking.time.0,
        revision: booking.revision.0,
        namespace: run.job.namespace.to_string(),
        job: run.job.name.to_string(),
        job_uid: run.job_uid.0.to_be_bytes().to_vec(),
        epoch: run.epoch.0,
        cluster: run.cluster.as_str().to_owned(),
        phase: enum_form(&run.phase),
        start_ms: run.start.0,
        end_ms: run.end.map(|end| end.0),
        exit_code: run.exit_code,
        cost: run.cost.iter().map(line).collect(),
        lost_gpu_ms: run.lost_gpu_ms,
        gpu_ms: booking.gpu_ms,
        chain: booking.chain.to_vec(),
        labels: labels.iter().map(label).collect(),
    };
    form.encode_to_vec()
}

/// The booking of these bytes.
///
/// # Errors
/// Bytes that are none.
pub fn decode_booking(bytes: &[u8]) -> Result<Booked, RecordError> {
    let form = pb::Booking::decode(bytes).map_err(RecordError::Malformed)?;
    let line = |line: &pb::Line| -> Result<CostLine, RecordError> {
        let kind = read_enum::<CostKind>(number("cost.kind", line.kind)?)?;
        Ok(CostLine { kind, amount: MicroUsd(line.amount_micro_usd) })
    };
    let run = Run {
        job: Key::job(&form.namespace, &form.job),
        job_uid: Uid(u128::from_be_bytes(bytes_of("job_uid", &form.job_uid)?)),
        epoch: Epoch(form.epoch),
        cluster: MemberName::new(form.cluster),
        phase: read_enum::<RunPhase>(number("phase", form.phase)?)?,
        start: TimeMs(form.start_ms),
        end: form.end_ms.map(TimeMs),
        exit_code: form.exit_code,
        cost: form.cost.iter().map(line).collect::<Result<_, _>>()?,
        lost_gpu_ms: form.lost_gpu_ms,
    };
    let booking = Booking {
        sequence: form.sequence,
        time: TimeMs(form.time_ms),
        revision: Revision(form.revision),
        run,
        gpu_ms: form.gpu_ms,
        chain: bytes_of("chain", &form.chain)?,
    };
    let labels = form.labels.into_iter().map(|label| (label.key.into(), label.value.into())).collect();
    Ok(Booked { booking, labels })
}
