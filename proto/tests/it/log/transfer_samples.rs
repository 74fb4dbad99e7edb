//! Samples of carried datasets and transfers, with every field off its default.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::*;

use super::samples::{assignment, at, uid};

fn digest() -> ContentDigest {
    ContentDigest([0xd1; 32])
}

fn corpus() -> Key {
    Key::new(kinds::DATASET, "team-a", "corpus")
}

fn data() -> DataUse {
    DataUse { dataset: "corpus".into(), version: "2026-05".into(), digest: digest() }
}

fn copy(missing_bytes: u64) -> DataCopy {
    DataCopy {
        version: "2026-05".into(),
        digest: digest(),
        size_bytes: 3 << 30,
        missing_bytes,
        folder: "/var/lib/muster/datasets".into(),
    }
}

/// A spec that members carry.
pub fn spec() -> DatasetSpec {
    DatasetSpec {
        version: "2026-05".into(),
        size_bytes: 3 << 30,
        replicas: vec![],
        allowed_regions: vec!["onprem/berlin".into()],
        partial: vec![PartialReplica { place: Location::region("onprem", "berlin"), held_bytes: 1 << 30 }],
        digest: Some(digest()),
    }
}

/// A dataset with a whole and a partial copy.
pub fn dataset() -> Dataset {
    let copies = [("onprem-a", copy(0)), ("onprem-b", copy(1 << 20))];
    let copies: BTreeMap<_, _> =
        copies.into_iter().map(|(name, copy)| (MemberName::new(name), copy)).collect();
    Dataset { spec: Arc::new(spec()), copies }
}

/// A transfer in each phase.
pub fn transfers() -> Vec<(&'static str, Transfer)> {
    let transfer = |phase| Transfer {
        data: data(),
        source: MemberName::new("onprem-a"),
        target: MemberName::new("aws-use1-spot"),
        folder: "/var/lib/muster/datasets".into(),
        bytes: 3 << 30,
        egress: MicroUsd(270_000),
        job: Key::job("team-a", "train"),
        epoch: Epoch::new(2, Revision(4711)),
        started: at(11),
        progress: progress(),
        phase,
    };
    let reason: Arc<str> = "from onprem-a: chunk 7 of 3072 could not be read, 8 times".into();
    vec![
        ("transfer", transfer(TransferPhase::Open)),
        ("carried-transfer-complete", transfer(TransferPhase::Complete { at: at(90) })),
        ("carried-transfer-failed", transfer(TransferPhase::Failed { at: at(91), reason })),
    ]
}

fn progress() -> TransferProgress {
    TransferProgress { missing_bytes: 1 << 29, fetched_bytes: 5 << 29, refetched_chunks: 2 }
}

/// What a member tells.
pub fn report() -> ReportData {
    let transfer = Key::transfer("team-a", "corpus", "aws-use1-spot");
    let news =
        |failed| TransferNews { transfer: transfer.clone(), uid: uid(7), progress: progress(), failed };
    ReportData {
        member: MemberName::new("aws-use1-spot"),
        copies: vec![HeldCopy { dataset: corpus(), copy: copy(9) }],
        gone: vec![Key::new(kinds::DATASET, "team-a", "old")],
        transfers: vec![news(None), news(Some("the disk is full".into()))],
    }
}

/// A plan whose job reads data.
pub fn plan() -> Plan {
    let fetch = DataFetch { source: MemberName::new("onprem-a"), bytes: 3 << 30, egress: MicroUsd(270_000) };
    let needs = [Some(fetch), None].map(|fetch| DataNeed { data: data(), fetch });
    let assignment = Assignment { data: needs.to_vec(), ..assignment() };
    Plan {
        based_on: Revision(4711),
        assignments: vec![(Key::job("team-a", "train"), uid(5), assignment)],
        evictions: vec![],
    }
}

/// A member with a limit.
pub fn limited() -> ClusterSpec {
    ClusterSpec { transfer_bytes_per_second: Some(50 << 20), ..super::cluster_samples::cluster_spec() }
}
