//! Copies of datasets at members, and transfers.

use std::collections::BTreeMap;

use muster_model::{
    ContentDigest, DataCopy, DataFetch, DataNeed, DataUse, HeldCopy, MemberName, PartialReplica, ReportData,
    TimeMs, Transfer, TransferNews, TransferOrder, TransferPhase, TransferProgress,
};

use super::FieldError;
use super::durable::{Durable, message, value};
use super::pb::{self, transfer};

durable_newtypes! { ContentDigest([u8; 32]) }

durable_structs! {
    DataCopy => DataCopy {
        version: version,
        digest: digest,
        size_bytes: size_bytes,
        missing_bytes: missing_bytes,
        folder: folder,
    }
    HeldCopy => HeldCopy { dataset: dataset required, copy: copy required }
    DataUse => DataUse { dataset: dataset, version: version, digest: digest }
    DataNeed => DataNeed { data: data required, fetch: fetch }
    DataFetch => DataFetch { source: source, bytes: bytes, egress: egress_micro_usd }
    TransferProgress => TransferProgress {
        missing_bytes: missing_bytes,
        fetched_bytes: fetched_bytes,
        refetched_chunks: refetched_chunks,
    }
    TransferNews => TransferNews {
        transfer: transfer required,
        uid: uid,
        progress: progress required,
        failed: failed,
    }
    TransferOrder => TransferOrder {
        transfer: transfer required,
        uid: uid,
        data: data required,
        source: source,
        folder: folder,
        bytes_per_second: bytes_per_second,
    }
    ReportData => ReportData { member: member, copies: copies, gone: gone, transfers: transfers }
    PartialReplica => PartialReplica { place: place required, held_bytes: held_bytes }
}

impl Durable for Transfer {
    type Form = pb::Transfer;

    fn form(&self) -> pb::Transfer {
        let phase = match &self.phase {
            TransferPhase::Open => transfer::Phase::Open(transfer::Open {}),
            TransferPhase::Complete { at } => {
                transfer::Phase::Complete(transfer::Complete { at_ms: at.form() })
            }
            TransferPhase::Failed { at, reason } => {
                transfer::Phase::Failed(transfer::Failed { at_ms: at.form(), reason: reason.form() })
            }
        };
        pb::Transfer {
            data: Some(self.data.form()),
            source: self.source.form(),
            target: self.target.form(),
            folder: self.folder.form(),
            bytes: self.bytes,
            egress_micro_usd: self.egress.form(),
            job: Some(self.job.form()),
            epoch: self.epoch.form(),
            started_ms: self.started.form(),
            progress: Some(self.progress.form()),
            phase: Some(phase),
        }
    }

    fn read(form: pb::Transfer) -> Result<Transfer, FieldError> {
        let phase = match form.phase.ok_or_else(|| FieldError::missing("phase"))? {
            transfer::Phase::Open(transfer::Open {}) => TransferPhase::Open,
            transfer::Phase::Complete(complete) => TransferPhase::Complete { at: TimeMs(complete.at_ms) },
            transfer::Phase::Failed(failed) => {
                TransferPhase::Failed { at: TimeMs(failed.at_ms), reason: failed.reason.into() }
            }
        };
        Ok(Transfer {
            data: message("data", form.data)?,
            source: value("source", form.source)?,
            target: value("target", form.target)?,
            folder: form.folder.into(),
            bytes: form.bytes,
            egress: value("egress_micro_usd", form.egress_micro_usd)?,
            job: message("job", form.job)?,
            epoch: value("epoch", form.epoch)?,
            started: TimeMs(form.started_ms),
            progress: message("progress", form.progress)?,
            phase,
        })
    }
}

/// Copies of a dataset by member.
pub(super) fn copies_form(copies: &BTreeMap<MemberName, DataCopy>) -> Vec<pb::MemberCopy> {
    let form = |(member, copy): (&MemberName, &DataCopy)| pb::MemberCopy {
        member: member.form(),
        copy: Some(copy.form()),
    };
    copies.iter().map(form).collect()
}

/// Back from their form.
pub(super) fn read_copies(form: Vec<pb::MemberCopy>) -> Result<BTreeMap<MemberName, DataCopy>, FieldError> {
    let read = |one: pb::MemberCopy| Ok((value("member", one.member)?, message("copy", one.copy)?));
    form.into_iter().map(read).collect::<Result<_, FieldError>>().map_err(|e| e.inside("copies"))
}

/// Messages of the agent stream that are the same as the log's.
pub(crate) fn forms<T: Durable>(all: &[T]) -> Vec<T::Form> {
    all.iter().map(T::form).collect()
}

/// Back from such messages.
pub(crate) fn read_forms<T: Durable>(forms: Vec<T::Form>) -> Result<Vec<T>, FieldError> {
    Vec::read(forms)
}
