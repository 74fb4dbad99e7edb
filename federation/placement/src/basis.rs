//! What an amount rests on, with its figures. Kept as numbers and turned into text only when someone reads it.

use std::fmt;
use std::sync::Arc;

use muster_model::{DurationMs, GpuModel, Location, MicroUsd, PriceClass, TimeMs};

use crate::text::{Bytes, Day, Human, Milli, Speed};

/// Where the expected duration of a job is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationSource {
    /// `expectedDuration` of its placement options.
    Placement,
    /// `activeDeadlineSeconds`, below one hour.
    ActiveDeadline,
    /// Neither: one hour.
    Default,
}

impl fmt::Display for DurationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DurationSource::Placement => "expectedDuration",
            DurationSource::ActiveDeadline => "activeDeadlineSeconds",
            DurationSource::Default => "expected duration by default",
        })
    }
}

/// What an amount rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The job asks for no GPU; CPU and memory have no price of their own.
    NoGpu,
    /// Owned GPUs that no price book prices.
    NoPrice {
        /// The model.
        model: GpuModel,
        /// Where.
        place: Location,
    },
    /// GPU-hours at the place's price.
    Compute {
        /// Thousandths of GPUs, all pods together.
        gpu_milli: u64,
        /// Per GPU and hour.
        price: MicroUsd,
        /// How they are paid.
        class: PriceClass,
        /// Where the price holds: a zone or a region.
        place: Location,
        /// For how long.
        duration: DurationMs,
        /// Where that is from.
        duration_source: DurationSource,
        /// Where the price is from.
        source: Arc<str>,
        /// When it was true.
        as_of: TimeMs,
    },
    /// Work expected to be lost to interruptions.
    Waste {
        /// Interruptions per hour, in thousandths.
        interruptions_milli_per_hour: u64,
        /// Exposed for so long.
        duration: DurationMs,
        /// Each loses so much on average.
        lost: DurationMs,
        /// And takes so long to restart.
        restart: DurationMs,
        /// What an hour costs.
        hourly: MicroUsd,
    },
    /// A dataset that is there already.
    InPlace {
        /// Its name.
        dataset: Arc<str>,
        /// The region.
        place: Location,
    },
    /// Bytes that must be moved.
    Egress {
        /// The dataset.
        dataset: Arc<str>,
        /// Its size.
        bytes: u64,
        /// The cheapest copy.
        from: Location,
        /// To here.
        to: Location,
        /// Per GiB.
        per_gib: MicroUsd,
        /// Where the price is from.
        source: Arc<str>,
        /// When it was true.
        as_of: TimeMs,
    },
    /// Waiting for those bytes.
    TransferWait {
        /// The dataset.
        dataset: Arc<str>,
        /// Its size.
        bytes: u64,
        /// Megabits per second.
        mbps: u64,
        /// How long that takes.
        wait: DurationMs,
        /// What an hour of waiting is worth to the namespace.
        per_hour: MicroUsd,
    },
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Basis::NoGpu => f.write_str("no GPU asked for"),
            Basis::NoPrice { model, place } => write!(f, "no price for {model} in {place}, which is owned"),
            Basis::Compute { gpu_milli, price, class, place, duration, duration_source, source, as_of } => {
                write!(
                    f,
                    "{} x ${price}/h x {} ({duration_source}), {} in {place}, {source} of {}",
                    Milli(*gpu_milli),
                    Human(*duration),
                    class_text(*class),
                    Day(*as_of)
                )
            }
            Basis::Waste { interruptions_milli_per_hour, duration, lost, restart, hourly } => write!(
                f,
                "{} interruptions/h x {} x ({} lost + {} restart) x ${hourly}/h",
                Milli(*interruptions_milli_per_hour),
                Human(*duration),
                Human(*lost),
                Human(*restart)
            ),
            Basis::InPlace { dataset, place } => write!(f, "{dataset} is in {place} already"),
            Basis::Egress { dataset, bytes, from, to, per_gib, source, as_of } => write!(
                f,
                "{dataset}: {} x ${per_gib}/GiB, {from} to {to}, {source} of {}",
                Bytes(*bytes),
                Day(*as_of)
            ),
            Basis::TransferWait { dataset, bytes, mbps, wait, per_hour } => write!(
                f,
                "{dataset}: {} at {} takes {}, x ${per_hour}/h of waiting",
                Bytes(*bytes),
                Speed(*mbps),
                Human(*wait)
            ),
        }
    }
}

/// A price class in a sentence.
pub fn class_text(class: PriceClass) -> &'static str {
    match class {
        PriceClass::OnPrem => "on premises",
        PriceClass::OnDemand => "on demand",
        PriceClass::Spot => "spot",
    }
}
