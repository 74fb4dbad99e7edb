//! What rows offer: figures that were read and are good by themselves, and slots whose figures were refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{GpuModel, Location, MicroUsd, TimeMs};

use super::Refused;

/// What a price is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// A GPU for an hour.
    Compute(Location, GpuModel),
    /// Bytes from one region to another.
    Egress(Location, Location),
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Slot::Compute(place, model) => write!(f, "{model} in {place}"),
            Slot::Egress(from, to) => write!(f, "egress {from} to {to}"),
        }
    }
}

/// Where a figure was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
}

impl Place {
    /// A refusal of what was read there.
    pub fn refused(&self, field: &str, reason: impl Into<String>) -> Refused {
        let (file, field) = (self.file.clone(), field.to_owned());
        Refused { file, line: self.line, field, reason: reason.into(), as_of: None }
    }
}

/// A figure on offer: of several rows for one slot the cheapest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Where it was read.
    pub at: Place,
    /// Per GPU and hour on demand; per GiB.
    pub price: Option<(MicroUsd, &'static str)>,
    /// Per GPU and hour as spot.
    pub spot: Option<(MicroUsd, &'static str)>,
    /// Interruptions of a spot Node per hour, in thousandths.
    pub interruptions_milli_per_hour: Option<u64>,
    /// Megabits per second.
    pub mbps: Option<(u64, &'static str)>,
    /// Where the figure is from.
    pub source: Arc<str>,
    /// When it was true.
    pub as_of: (TimeMs, &'static str),
}

/// Everything that the files offer.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Good figures.
    pub quotes: BTreeMap<Slot, Quote>,
    /// Slots with a refused figure: the first one.
    pub spoilt: BTreeMap<Slot, Refused>,
    /// Lines that were not taken.
    pub refused: Vec<Refused>,
    /// Rows that price no whole GPU, or are of regions that were not asked for.
    pub passed_over: u64,
}

impl Offers {
    /// Takes a row's figure in.
    pub fn offer(&mut self, slot: Slot, quote: Quote) {
        match self.quotes.get_mut(&slot) {
            Some(known) => known.take(quote),
            None => drop(self.quotes.insert(slot, quote)),
        }
    }

    /// A row was refused; its slot may be known.
    pub fn refuse(&mut self, slot: Option<Slot>, refused: Refused) {
        if let Some(slot) = slot {
            self.spoilt.entry(slot).or_insert_with(|| refused.clone());
        }
        self.refused.push(refused);
    }

    /// A region's price where only its zones were listed: on demand as in any zone, spot as in the dearest, so that no plan
    /// promises what only some zone has.
    pub fn add_regions(&mut self) {
        let mut regions: BTreeMap<Slot, Quote> = BTreeMap::new();
        for (slot, quote) in &self.quotes {
            let Slot::Compute(place, model) = slot else { continue };
            if place.zone.is_none() {
                continue;
            }
            let region = Slot::Compute(Location { zone: None, ..place.clone() }, model.clone());
            match regions.get_mut(&region) {
                Some(known) => {
                    known.price = known.price.into_iter().chain(quote.price).min();
                    known.spot = known.spot.into_iter().chain(quote.spot).max();
                }
                None => drop(regions.insert(region, quote.clone())),
            }
        }
        for (slot, quote) in regions {
            self.quotes.entry(slot).or_insert(quote);
        }
    }
}

impl Quote {
    /// The cheaper of two figures for the same thing; what one does not say the other may. The slower of two speeds.
    fn take(&mut self, other: Quote) {
        let cheaper = match (&self.price, &other.price) {
            (Some((own, _)), Some((theirs, _))) => theirs < own,
            (None, Some(_)) => true,
            _ => false,
        };
        if cheaper {
            (self.price, self.at, self.source, self.as_of) =
                (other.price, other.at, other.source, other.as_of);
        }
        self.spot = self.spot.into_iter().chain(other.spot).min();
        self.mbps = self.mbps.into_iter().chain(other.mbps).min();
        let interruptions = self.interruptions_milli_per_hour.into_iter();
        self.interruptions_milli_per_hour = interruptions.chain(other.interruptions_milli_per_hour).max();
    }
}
