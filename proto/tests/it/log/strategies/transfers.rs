//! Carried datasets and transfers.

use std::sync::Arc;

use muster_model::*;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::data::dataset;
use super::words::*;

pub fn digest() -> Of<ContentDigest> {
    any::<[u8; 32]>().prop_map(ContentDigest).boxed()
}

fn copy() -> Of<DataCopy> {
    each!(DataCopy {
        version: text(),
        digest: digest(),
        size_bytes: any::<u64>(),
        missing_bytes: any::<u64>(),
        folder: text(),
    })
}

fn data_use() -> Of<DataUse> {
    each!(DataUse { dataset: text(), version: text(), digest: digest() })
}

pub fn data_need() -> Of<DataNeed> {
    let fetch = each!(DataFetch { source: member(), bytes: any::<u64>(), egress: money() });
    each!(DataNeed { data: data_use(), fetch: option::of(fetch) })
}

pub fn with_copies() -> Of<Dataset> {
    each!(Dataset { spec: dataset().prop_map(Arc::new), copies: btree_map(member(), copy(), 0..3) })
}

fn progress() -> Of<TransferProgress> {
    each!(TransferProgress {
        missing_bytes: any::<u64>(),
        fetched_bytes: any::<u64>(),
        refetched_chunks: any::<u32>(),
    })
}

pub fn transfer() -> Of<Transfer> {
    let phase = prop_oneof![
        Just(TransferPhase::Open),
        time().prop_map(|at| TransferPhase::Complete { at }),
        (time(), text()).prop_map(|(at, reason)| TransferPhase::Failed { at, reason }),
    ];
    let moved = (data_use(), member(), member(), text(), any::<u64>(), money(), key());
    (moved, epoch(), time(), progress(), phase)
        .prop_map(|((data, source, target, folder, bytes, egress, job), epoch, started, progress, phase)| {
            Transfer { data, source, target, folder, bytes, egress, job, epoch, started, progress, phase }
        })
        .boxed()
}

pub fn report_data() -> Of<ReportData> {
    let held = each!(HeldCopy { dataset: key(), copy: copy() });
    let news =
        each!(TransferNews { transfer: key(), uid: uid(), progress: progress(), failed: option::of(text()) });
    each!(ReportData {
        member: member(),
        copies: vec(held, 0..3),
        gone: vec(key(), 0..3),
        transfers: vec(news, 0..3),
    })
}
