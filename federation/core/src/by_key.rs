//! An object in a set that is ordered by key.
//!
//! A map would hold each key a second time, and a copied node of the map would copy the counts of all its texts. A set of
//! these holds one pointer per object.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use muster_model::{Key, Object};

/// Equal and ordered by the object's key alone.
#[derive(Clone, Debug)]
pub struct ByKey(pub Arc<Object>);

impl PartialEq for ByKey {
    fn eq(&self, other: &ByKey) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &ByKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &ByKey) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        &self.0.key
    }
}
