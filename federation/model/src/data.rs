//! Prices and data: what placement weighs against each other.

use std::sync::Arc;

use crate::{ContentDigest, DurationMs, GpuModel, Location, MicroUsd, TimeMs};

/// A dataset and where its copies are: the spec of a `Dataset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatasetSpec {
    /// The version these copies have.
    pub version: Arc<str>,
    /// Bytes.
    pub size_bytes: u64,
    /// Regions that hold a whole copy.
    pub replicas: Vec<Location>,
    /// Regions that may hold or read it, as region names or `provider/region`; empty: all. A hard rule.
    pub allowed_regions: Vec<Arc<str>>,
    /// Regions that hold a part of a copy: only what is missing there has to be moved.
    pub partial: Vec<PartialReplica>,
    /// What the files of this version are. With it the dataset is carried: members hold its files, transfers bring them to
    /// where jobs need them, and no job starts without a whole copy. Without it copies are what the spec says they are.
    pub digest: Option<ContentDigest>,
}

/// A region that holds a part of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartialReplica {
    /// Where.
    pub place: Location,
    /// Bytes of it that are there.
    pub held_bytes: u64,
}

impl DatasetSpec {
    /// Whether the dataset may be read in this place.
    pub fn allows(&self, place: &Location) -> bool {
        let named = |allowed: &Arc<str>| {
            allowed.split_once('/').map_or(**allowed == *place.region, |(provider, region)| {
                provider == &*place.provider && region == &*place.region
            })
        };
        self.allowed_regions.is_empty() || self.allowed_regions.iter().any(named)
    }

    /// Bytes that a copy in this place's region lacks.
    pub fn missing_in(&self, place: &Location) -> u64 {
        let there = self.partial.iter().filter(|replica| replica.place.same_region(place));
        let held = there.map(|replica| replica.held_bytes).max().unwrap_or_default();
        if self.is_in(place) { 0 } else { self.size_bytes.saturating_sub(held) }
    }

    /// Whether a whole copy is in this place's region.
    pub fn is_in(&self, place: &Location) -> bool {
        self.replicas.iter().any(|replica| replica.same_region(place))
    }
}

/// Prices: the spec of a `PriceBook`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PriceBookSpec {
    /// Price per GPU and hour by place and model.
    pub compute: Vec<GpuPrice>,
    /// Price and speed of moving bytes between regions.
    pub egress: Vec<EgressPrice>,
    /// Figures older than this are stale; absent: [`PriceBookSpec::MAX_AGE`].
    pub max_age: Option<DurationMs>,
}

impl PriceBookSpec {
    /// After how long a figure is stale unless its book says otherwise.
    pub const MAX_AGE: DurationMs = DurationMs::from_secs(90 * 24 * 3600);

    /// After how long its figures are stale.
    pub fn max_age(&self) -> DurationMs {
        self.max_age.unwrap_or(PriceBookSpec::MAX_AGE)
    }
}

/// Why a figure is the last good one: a newer one was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldPrice {
    /// What was wrong with the newer one.
    pub reason: Arc<str>,
    /// When it was refused.
    pub at: TimeMs,
}

/// The price of one GPU for one hour, with its share of CPU and memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GpuPrice {
    /// Where. A zone's price goes before its region's.
    pub place: Location,
    /// Which model.
    pub gpu_model: GpuModel,
    /// On demand, or the cost of ownership on premises.
    pub on_demand: MicroUsd,
    /// As spot.
    pub spot: Option<MicroUsd>,
    /// Interruptions of one spot Node per hour, in thousandths.
    pub interruptions_milli_per_hour: u64,
    /// Where the figure is from.
    pub source: Arc<str>,
    /// When it was true.
    pub as_of: TimeMs,
    /// Set while this is the last good figure and a newer one was refused.
    pub held: Option<HeldPrice>,
}

/// The price of moving one GiB from one region to another, and how fast it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EgressPrice {
    /// From.
    pub from: Location,
    /// To.
    pub to: Location,
    /// Per GiB.
    pub per_gib: MicroUsd,
    /// Megabits per second.
    pub mbps: u64,
    /// Where the figure is from.
    pub source: Arc<str>,
    /// When it was true.
    pub as_of: TimeMs,
    /// Set while this is the last good figure and a newer one was refused.
    pub held: Option<HeldPrice>,
}
