//! All price books as one: looked up by place and model, and by pair of regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{DurationMs, EgressPrice, GpuModel, GpuPrice, Key, Location, PriceBookSpec};

use crate::basis::Provenance;

/// A figure, and after how long its book calls it stale.
#[derive(Clone, Debug)]
pub struct Figure<P> {
    /// The figure.
    pub price: P,
    max_age: DurationMs,
}

impl Figure<GpuPrice> {
    /// Where it is from, and how good it is.
    pub fn provenance(&self) -> Provenance {
        let GpuPrice { source, as_of, held, .. } = &self.price;
        Provenance { source: Arc::clone(source), as_of: *as_of, held: held.clone(), max_age: self.max_age }
    }
}

impl Figure<EgressPrice> {
    /// Where it is from, and how good it is.
    pub fn provenance(&self) -> Provenance {
        let EgressPrice { source, as_of, held, .. } = &self.price;
        Provenance { source: Arc::clone(source), as_of: *as_of, held: held.clone(), max_age: self.max_age }
    }
}

/// The price books, and what they say together. Where two books price the same thing, the more recent figure holds, and
/// of equally recent ones that of the first book by name.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    books: BTreeMap<Key, Arc<PriceBookSpec>>,
    compute: BTreeMap<(Location, GpuModel), Figure<GpuPrice>>,
    egress: BTreeMap<(Location, Location), Figure<EgressPrice>>,
}

impl Prices {
    /// Takes a book in, or out. `false` if nothing changed.
    pub fn set(&mut self, key: &Key, book: Option<Arc<PriceBookSpec>>) -> bool {
        if self.books.get(key) == book.as_ref() {
            return false;
        }
        match book {
            Some(book) => self.books.insert(key.clone(), book),
            None => self.books.remove(key),
        };
        self.merge();
        true
    }

    /// The price of a model at a place: its zone's, else its region's.
    pub fn compute(&self, place: &Location, model: &GpuModel) -> Option<&Figure<GpuPrice>> {
        self.compute
            .get(&(place.clone(), model.clone()))
            .or_else(|| self.compute.get(&(region_of(place), model.clone())))
    }

    /// The price and speed from one region to another.
    pub fn egress(&self, from: &Location, to: &Location) -> Option<&Figure<EgressPrice>> {
        self.egress.get(&(region_of(from), region_of(to)))
    }

    fn merge(&mut self) {
        self.compute.clear();
        self.egress.clear();
        for book in self.books.values() {
            for price in &book.compute {
                let slot = (price.place.clone(), price.gpu_model.clone());
                if self.compute.get(&slot).is_none_or(|known| known.price.as_of < price.as_of) {
                    self.compute.insert(slot, Figure { price: price.clone(), max_age: book.max_age() });
                }
            }
            for price in &book.egress {
                let slot = (region_of(&price.from), region_of(&price.to));
                if self.egress.get(&slot).is_none_or(|known| known.price.as_of < price.as_of) {
                    self.egress.insert(slot, Figure { price: price.clone(), max_age: book.max_age() });
                }
            }
        }
    }
}

/// The region of a place as a whole.
fn region_of(place: &Location) -> Location {
    Location { zone: None, ..place.clone() }
}
