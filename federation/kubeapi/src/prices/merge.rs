//! Figures on offer against those that are there. What is far from the last good figure is not taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{EgressPrice, GpuModel, GpuPrice, HeldPrice, Location, MicroUsd, PriceBookSpec, Spec};
use serde_json::Value;

use super::quote::{Offers, Quote, Slot};
use super::{ImportOptions, PriceFile, Refused, document, shape};
use crate::kinds::StoredKind;

/// Speed between two regions when nobody measured it: 1 Gbit/s.
const DEFAULT_MBPS: u64 = 1_000;

/// What became of an import. Nothing is stored by it.
#[derive(Clone, Debug)]
pub struct Import {
    /// The book as it should be.
    pub document: Value,
    /// Figures that change.
    pub changes: Vec<Change>,
    /// Lines that were not taken.
    pub refused: Vec<Refused>,
    /// Figures that stay what they were because a newer one was refused.
    pub held: Vec<String>,
    /// Rows that price no whole GPU, or are of regions that were not asked for.
    pub passed_over: u64,
    /// Figures that are in the book then.
    pub figures: usize,
}

/// One figure that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is of.
    pub what: String,
    /// Which price.
    pub field: &'static str,
    /// Before; `None`: there was none.
    pub old: Option<MicroUsd>,
    /// After; `None`: it is not offered any more.
    pub new: Option<MicroUsd>,
    /// Where it is from.
    pub source: Arc<str>,
}

/// Imports files into a book.
///
/// # Errors
/// The book that is there is none that can be read.
pub fn import(
    book: Option<&Value>,
    name: &str,
    files: &[PriceFile<'_>],
    options: &ImportOptions,
) -> Result<Import, String> {
    let known = book.map(read_book).transpose()?.unwrap_or_default();
    let mut offers = Offers::default();
    for file in files {
        shape::read(file, options, &mut offers);
    }
    offers.add_regions();
    let mut merge = Merge::new(known, options, offers.refused);
    for (slot, quote) in &offers.quotes {
        merge.take(slot, quote);
    }
    for (slot, refused) in &offers.spoilt {
        // A good figure for the same thing came from another line.
        if !offers.quotes.contains_key(slot) {
            merge.hold(slot, refused);
        }
    }
    Ok(merge.finish(book, name, offers.passed_over))
}

fn read_book(book: &Value) -> Result<PriceBookSpec, String> {
    let kind =
        StoredKind::of(&muster_model::Kind::new(muster_model::kinds::PRICE_BOOK)).ok_or("no such kind")?;
    match (kind.read)(book).map(|reading| reading.spec) {
        Ok(Spec::PriceBook(spec)) => Ok(PriceBookSpec::clone(&spec)),
        Ok(_) => Err("the book is no PriceBook".to_owned()),
        Err(errors) => Err(errors.first().map(ToString::to_string).unwrap_or_default()),
    }
}

struct Merge<'a> {
    options: &'a ImportOptions,
    compute: BTreeMap<(Location, GpuModel), GpuPrice>,
    egress: BTreeMap<(Location, Location), EgressPrice>,
    changes: Vec<Change>,
    refused: Vec<Refused>,
    held: Vec<String>,
}

impl Merge<'_> {
    fn new(known: PriceBookSpec, options: &ImportOptions, refused: Vec<Refused>) -> Merge<'_> {
        let compute = known.compute.into_iter().map(|p| ((p.place.clone(), p.gpu_model.clone()), p));
        let egress = known.egress.into_iter().map(|p| ((p.from.clone(), p.to.clone()), p));
        let (compute, egress) = (compute.collect(), egress.collect());
        Merge { options, compute, egress, changes: Vec::new(), refused, held: Vec::new() }
    }

    fn take(&mut self, slot: &Slot, quote: &Quote) {
        let taken = match slot {
            Slot::Compute(place, model) => self.take_compute(place, model, quote, slot),
            Slot::Egress(from, to) => self.take_egress(from, to, quote, slot),
        };
        if let Err(refused) = taken {
            self.hold(slot, &refused);
            self.refused.push(refused);
        }
    }

    fn take_compute(
        &mut self,
        place: &Location,
        model: &GpuModel,
        quote: &Quote,
        slot: &Slot,
    ) -> Result<(), Refused> {
        let key = (place.clone(), model.clone());
        let old = self.compute.get(&key);
        let (as_of, _) = quote.as_of;
        if old.is_some_and(|old| old.as_of > as_of) {
            return Ok(());
        }
        let no_price =
            || quote.at.refused("od_usd_h", "is not known: import on-demand prices of this place first");
        let on_demand =
            quote.price.map(|(price, _)| price).or(old.map(|old| old.on_demand)).ok_or_else(no_price)?;
        if let Some(old) = old {
            self.check_jump(quote, quote.price, Some(old.on_demand))?;
            self.check_jump(quote, quote.spot, old.spot)?;
        }
        // A list of on-demand prices says nothing about spot.
        let spot = quote.spot.map(|(price, _)| price).or(old.and_then(|old| old.spot));
        let interruptions =
            quote.interruptions_milli_per_hour.or(old.map(|old| old.interruptions_milli_per_hour));
        let new = GpuPrice {
            place: place.clone(),
            gpu_model: model.clone(),
            on_demand,
            spot,
            interruptions_milli_per_hour: interruptions.unwrap_or_default(),
            source: Arc::clone(&quote.source),
            as_of,
            held: None,
        };
        let before = (old.map(|old| old.on_demand), old.and_then(|old| old.spot));
        self.change(slot, "onDemand", (before.0, Some(new.on_demand)), &quote.source);
        self.change(slot, "spot", (before.1, new.spot), &quote.source);
        self.compute.insert(key, new);
        Ok(())
    }

    fn take_egress(
        &mut self,
        from: &Location,
        to: &Location,
        quote: &Quote,
        slot: &Slot,
    ) -> Result<(), Refused> {
        let key = (from.clone(), to.clone());
        let old = self.egress.get(&key);
        let (as_of, _) = quote.as_of;
        if old.is_some_and(|old| old.as_of > as_of) {
            return Ok(());
        }
        let no_price = || quote.at.refused("cost", "is not known: import the price of this pair first");
        let per_gib =
            quote.price.map(|(price, _)| price).or(old.map(|old| old.per_gib)).ok_or_else(no_price)?;
        if let Some(old) = old {
            self.check_jump(quote, quote.price, Some(old.per_gib))?;
        }
        let mbps = quote.mbps.map(|(mbps, _)| mbps).or(old.map(|old| old.mbps)).unwrap_or(DEFAULT_MBPS);
        let (source, held) = (Arc::clone(&quote.source), None);
        let new = EgressPrice { from: from.clone(), to: to.clone(), per_gib, mbps, source, as_of, held };
        let before = old.map(|old| old.per_gib);
        self.change(slot, "perGiB", (before, Some(per_gib)), &quote.source);
        self.egress.insert(key, new);
        Ok(())
    }

    /// A figure far from the last good one is a mistake until someone says otherwise. What was or is 0 has no ratio.
    fn check_jump(
        &self,
        quote: &Quote,
        new: Option<(MicroUsd, &'static str)>,
        old: Option<MicroUsd>,
    ) -> Result<(), Refused> {
        let (Some((new, field)), Some(old)) = (new, old) else { return Ok(()) };
        let limit = i128::from(self.options.max_jump_milli);
        let (more, less) = (i128::from(new.0.max(old.0)), i128::from(new.0.min(old.0)));
        let jumps = old.0 > 0 && more * 1000 > less * limit && !muster_model::mutant!(price_jump_taken);
        if !jumps {
            return Ok(());
        }
        let times = format!("{}.{:03}", limit / 1000, limit % 1000);
        let times = times.trim_end_matches('0').trim_end_matches('.');
        let reason = format!(
            "${new} is more than {times} times away from the last good ${old}; if it is true, import it with a larger --max-jump"
        );
        Err(quote.at.refused(field, reason))
    }

    /// The last good figure stays, and says why; not if what was refused is older than it.
    fn hold(&mut self, slot: &Slot, refused: &Refused) {
        let held = HeldPrice { reason: refused.to_string().into(), at: self.options.now };
        let kept = match slot {
            Slot::Compute(place, model) => self
                .compute
                .get_mut(&(place.clone(), model.clone()))
                .map(|price| (price.as_of, &mut price.held)),
            Slot::Egress(from, to) => {
                self.egress.get_mut(&(from.clone(), to.clone())).map(|price| (price.as_of, &mut price.held))
            }
        };
        if let Some((as_of, kept)) = kept
            && refused.as_of.is_none_or(|refused| refused > as_of)
        {
            *kept = Some(held);
            self.held.push(slot.to_string());
        }
    }

    fn change(
        &mut self,
        slot: &Slot,
        field: &'static str,
        (old, new): (Option<MicroUsd>, Option<MicroUsd>),
        source: &Arc<str>,
    ) {
        if old != new {
            self.changes.push(Change { what: slot.to_string(), field, old, new, source: Arc::clone(source) });
        }
    }

    fn finish(mut self, book: Option<&Value>, name: &str, passed_over: u64) -> Import {
        let spec = PriceBookSpec {
            compute: self.compute.into_values().collect(),
            egress: self.egress.into_values().collect(),
            max_age: Some(self.options.max_age),
        };
        self.refused.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Import {
            document: document::with_figures(book, name, &spec),
            changes: self.changes,
            refused: self.refused,
            held: self.held,
            passed_over,
            figures: spec.compute.len() + spec.egress.len(),
        }
    }
}
