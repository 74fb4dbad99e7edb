//! Samples of prices, and of what goes into the audit chain.

use muster_model::*;

use super::samples::{a100, at};

pub fn price_book() -> PriceBookSpec {
    let price = GpuPrice {
        place: Location::region("aws", "us-east-1"),
        gpu_model: a100(),
        on_demand: MicroUsd(4_096_000),
        spot: Some(MicroUsd(1_917_300)),
        interruptions_milli_per_hour: 45,
        source: "list price".into(),
        as_of: at(0),
        held: None,
    };
    let egress = EgressPrice {
        from: Location::region("aws", "us-east-1"),
        to: Location::region("onprem", "frankfurt"),
        per_gib: MicroUsd(90_000),
        mbps: 5000,
        source: "list price".into(),
        as_of: at(0),
        held: None,
    };
    PriceBookSpec { compute: vec![price], egress: vec![egress], max_age: None }
}

pub fn denials() -> Vec<Denial> {
    vec![Denial {
        principal: Principal::new("eve"),
        verb: AuditVerb::List,
        resource: Kind::new("jobs.batch"),
        count: 3,
    }]
}
