//! What an amount rests on, with its figures. Kept as numbers and turned into text only when someone reads it.

use std::fmt;
use std::sync::Arc;

use muster_model::{DurationMs, GpuModel, HeldPrice, Location, MemberName, MicroUsd, PriceClass, TimeMs};

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

/// Where a figure is from, and how good it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Where the figure is from.
    pub source: Arc<str>,
    /// When it was true.
    pub as_of: TimeMs,
    /// Set if it is the last good one, since a newer one was refused.
    pub held: Option<HeldPrice>,
    /// After how long it is stale.
    pub max_age: DurationMs,
}

impl Provenance {
    /// How old it is, and what is wrong with it, if anything is.
    fn age(&self, now: TimeMs) -> String {
        let mut text = String::new();
        if self.as_of == TimeMs(0) {
            text.push_str(", of unknown age");
        } else {
            let age = now.since(self.as_of);
            text.push_str(&format!(", {} old", Human(age)));
            if age > self.max_age {
                text.push_str(&format!(": STALE, past {}", Human(self.max_age)));
            }
        }
        if let Some(held) = &self.held {
            text.push_str(&format!("; the last good figure, a newer one was refused: {}", held.reason));
        }
        text
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_of {
            TimeMs(0) => f.write_str(&self.source),
            as_of => write!(f, "{} of {}", self.source, Day(as_of)),
        }
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
        from_book: Provenance,
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
        /// Bytes that are not there.
        bytes: u64,
        /// Its size.
        size: u64,
        /// The cheapest copy.
        from: Location,
        /// To here.
        to: Location,
        /// Per GiB.
        per_gib: MicroUsd,
        /// Where the price is from.
        from_book: Provenance,
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
    /// The member has a whole copy.
    AtMember {
        /// The dataset.
        dataset: Arc<str>,
        /// The version.
        version: Arc<str>,
        /// The member.
        member: MemberName,
    },
    /// A transfer of it to the member is under way, paid by the job it was begun for.
    InFlight {
        /// The dataset.
        dataset: Arc<str>,
        /// The version.
        version: Arc<str>,
        /// Bytes that are not there yet.
        bytes: u64,
        /// From whom.
        source: MemberName,
        /// Who pays.
        job: Arc<str>,
    },
    /// Bytes that a transfer would bring from another member.
    Fetch {
        /// The dataset.
        dataset: Arc<str>,
        /// The version.
        version: Arc<str>,
        /// Bytes that are not there.
        bytes: u64,
        /// Bytes of a whole copy.
        size: u64,
        /// The member with the cheapest whole copy.
        source: MemberName,
        /// Where that is.
        from: Location,
        /// To here.
        to: Location,
        /// Per GiB, and where that is from; `None`: the same region, and no book prices it.
        price: Option<(MicroUsd, Provenance)>,
    },
    /// Waiting for the bytes of a transfer.
    CarriageWait {
        /// The dataset.
        dataset: Arc<str>,
        /// Bytes that are not there.
        bytes: u64,
        /// How fast they come.
        bytes_per_second: u64,
        /// What makes them no faster.
        speed: SpeedSource,
        /// How long that takes.
        wait: DurationMs,
        /// What an hour of waiting is worth to the namespace.
        per_hour: MicroUsd,
    },
}

/// Where the speed of a transfer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedSource {
    /// The price book's figure for the route.
    Route,
    /// `transferLimit` of the cluster.
    Limit,
}

impl Basis {
    /// The whole of it for people who look at it now: with the age of the price, and whether it is stale.
    pub fn text(&self, now: TimeMs) -> String {
        match self {
            Basis::Compute { from_book, .. }
            | Basis::Egress { from_book, .. }
            | Basis::Fetch { price: Some((_, from_book)), .. } => {
                format!("{self}{}", from_book.age(now))
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Basis::NoGpu => f.write_str("no GPU asked for"),
            Basis::NoPrice { model, place } => write!(f, "no price for {model} in {place}, which is owned"),
            Basis::Compute { gpu_milli, price, class, place, duration, duration_source, from_book } => {
                write!(
                    f,
                    "{} x ${price}/h x {} ({duration_source}), {} in {place}, {from_book}",
                    Milli(*gpu_milli),
                    Human(*duration),
                    class_text(*class)
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
            Basis::Egress { dataset, bytes, size, from, to, per_gib, from_book } => {
                write!(
                    f,
                    "{dataset}: {} x ${per_gib}/GiB, {from} to {to}, {from_book}",
                    Missing { bytes: *bytes, size: *size }
                )
            }
            Basis::TransferWait { dataset, bytes, mbps, wait, per_hour } => write!(
                f,
                "{dataset}: {} at {} takes {}, x ${per_hour}/h of waiting",
                Bytes(*bytes),
                Speed(*mbps),
                Human(*wait)
            ),
            Basis::AtMember { .. }
            | Basis::InFlight { .. }
            | Basis::Fetch { .. }
            | Basis::CarriageWait { .. } => self.carried(f),
        }
    }
}

impl Basis {
    /// Data that members carry.
    fn carried(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Basis::AtMember { dataset, version, member } => {
                write!(f, "{dataset} {version} is on {member} already")
            }
            Basis::InFlight { dataset, version, bytes, source, job } => write!(
                f,
                "{dataset} {version}: {} on their way from {source}, paid by job {job}",
                Bytes(*bytes)
            ),
            Basis::Fetch { dataset, version, bytes, size, source, from, to, price } => {
                write!(f, "{dataset} {version}: {}", Missing { bytes: *bytes, size: *size })?;
                match price {
                    Some((per_gib, from_book)) => {
                        write!(f, " x ${per_gib}/GiB, {source} in {from} to {to}, {from_book}")
                    }
                    None => write!(f, " from {source} in the same region, free"),
                }
            }
            Basis::CarriageWait { dataset, bytes, bytes_per_second, speed, wait, per_hour } => {
                let why = match speed {
                    SpeedSource::Route => "the route's speed",
                    SpeedSource::Limit => "the cluster's transferLimit",
                };
                write!(
                    f,
                    "{dataset}: {} at {}/s, {why}, takes {}, x ${per_hour}/h of waiting",
                    Bytes(*bytes),
                    Bytes(*bytes_per_second),
                    Human(*wait)
                )
            }
            _ => Ok(()),
        }
    }
}

/// Bytes to be moved, of how many if a part is there.
struct Missing {
    bytes: u64,
    size: u64,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes == self.size {
            true => write!(f, "{}", Bytes(self.bytes)),
            false => write!(f, "{} of {} missing", Bytes(self.bytes), Bytes(self.size)),
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
