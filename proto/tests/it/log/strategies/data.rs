//! Prices and data.

use muster_model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::transfers::digest;
use super::words::*;

pub fn dataset() -> Of<DatasetSpec> {
    each!(DatasetSpec {
        version: text(),
        size_bytes: any::<u64>(),
        replicas: vec(location(), 0..3),
        allowed_regions: texts(),
        partial: vec(each!(PartialReplica { place: location(), held_bytes: any::<u64>() }), 0..3),
        digest: option::of(digest()),
    })
}

pub fn price_book() -> Of<PriceBookSpec> {
    let held = || option::of(each!(HeldPrice { reason: text(), at: time() }));
    let gpu_price = each!(GpuPrice {
        place: location(),
        gpu_model: gpu_model(),
        on_demand: money(),
        spot: option::of(money()),
        interruptions_milli_per_hour: any::<u64>(),
        source: text(),
        as_of: time(),
        held: held(),
    });
    let egress_price = each!(EgressPrice {
        from: location(),
        to: location(),
        per_gib: money(),
        mbps: any::<u64>(),
        source: text(),
        as_of: time(),
        held: held(),
    });
    each!(PriceBookSpec {
        compute: vec(gpu_price, 0..3),
        egress: vec(egress_price, 0..3),
        max_age: option::of(any::<u64>().prop_map(DurationMs)),
    })
}

pub fn cost_line() -> Of<CostLine> {
    let kind = one_of![
        CostKind::Compute,
        CostKind::Waste,
        CostKind::Egress,
        CostKind::TransferWait,
        CostKind::QueueWait,
    ];
    each!(CostLine { kind: kind, amount: money() })
}
