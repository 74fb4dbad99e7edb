//! S13: same log, same bytes. Every replica has the same digest after the same entry, whether it applied all entries or
//! started from a snapshot.

use std::collections::BTreeMap;

use super::{Violation, note};

/// Digests by index.
#[derive(Debug, Default)]
pub struct SameBytes {
    digests: BTreeMap<u64, (usize, u128)>,
}

impl SameBytes {
    /// A replica applied the entry at this index.
    pub fn applied(&mut self, replica: usize, index: u64, digest: u128, found: &mut Vec<Violation>) {
        let (first, known) = *self.digests.entry(index).or_insert((replica, digest));
        if known != digest {
            let seen =
                format!("after entry {index} replica {replica} has {digest:x}, replica {first} {known:x}");
            note(found, "S13", seen);
        }
    }

    /// A replica restored a snapshot of this index.
    pub fn restored(&self, replica: usize, index: u64, digest: u128, found: &mut Vec<Violation>) {
        // Entries without a command (a new leader's empty one) change nothing: the state is that of the one before.
        let known = self.digests.range(..=index).next_back();
        if let Some((at, (first, known))) = known
            && *known != digest
        {
            let seen = format!(
                "the snapshot at {index} gives replica {replica} {digest:x}, replica {first} had {known:x} after {at}"
            );
            note(found, "S13", seen);
        }
    }
}
