//! Prices and data.

use muster_model::{CostKind, CostLine, DatasetSpec, EgressPrice, GpuPrice, HeldPrice, PriceBookSpec};

durable_enums! {
    CostKind { Compute, Waste, Egress, TransferWait, QueueWait }
}

durable_structs! {
    DatasetSpec => DatasetSpec {
        version: version,
        size_bytes: size_bytes,
        replicas: replicas,
        allowed_regions: allowed_regions,
        partial: partial,
        digest: digest,
    }
    PriceBookSpec => PriceBookSpec { compute: compute, egress: egress, max_age: max_age_ms }
    HeldPrice => HeldPrice { reason: reason, at: at_ms }
    GpuPrice => GpuPrice {
        place: place required,
        gpu_model: gpu_model,
        on_demand: on_demand_micro_usd,
        spot: spot_micro_usd,
        interruptions_milli_per_hour: interruptions_milli_per_hour,
        source: source,
        as_of: as_of_ms,
        held: held,
    }
    EgressPrice => EgressPrice {
        from: from required,
        to: to required,
        per_gib: per_gib_micro_usd,
        mbps: mbps,
        source: source,
        as_of: as_of_ms,
        held: held,
    }
    CostLine => CostLine { kind: kind, amount: amount_micro_usd }
}
