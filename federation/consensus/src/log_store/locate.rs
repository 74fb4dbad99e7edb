//! Where a damaged log is damaged. The database says that its pages do not check out, but not which; this looks for the
//! first entry whose own checksum fails, so that the refusal can name an offset. Only for the message: nothing found here
//! is used.
//!
//! ```text
//! leaf page:  1 | unused (1) | pairs (2) | end of each value (4 each) | key of each (8 each) | values
//! ```
//!
//! The layout is that of redb 4 for a table of `u64` to bytes; pages lie at multiples of 4 KiB.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::format;

const PAGE: usize = 4_096;
const HEAD: usize = 4;
/// Larger leaves are not looked at: no entry is that large.
const LEAF_MAX: u32 = 64 << 20;
/// Keys of other tables are text, which read as a number is far above any index.
const INDEX_MAX: u64 = 1 << 48;

/// The first entry that does not check out, as `offset N (log index M)`. None if all that can be recognized do: then the
/// damage is in the database's own pages.
pub(super) fn first_damage(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut terms = BTreeSet::new();
    let mut suspects = Vec::new();
    for start in (0..length).step_by(PAGE) {
        let Ok(Some(leaf)) = read_leaf(&file, start) else { continue };
        for (offset, index, value) in leaf.values() {
            match format::read_entry(index, value) {
                Ok(entry) => drop(terms.insert(entry.term)),
                Err(_) => suspects.push((start + offset as u64, index, format::peek_term(value))),
            }
        }
    }
    // Values of the database's own tables look like entries of a term that nothing else in the log has.
    let (offset, index, _) = suspects.into_iter().find(|(_, _, term)| terms.contains(term))?;
    Some(format!("offset {offset} (log index {index})"))
}

/// A page that holds entries: values by their ends, and their indexes.
struct Leaf {
    content: Vec<u8>,
    ends: Vec<u32>,
    indexes: Vec<u64>,
}

/// The page there, if it holds entries: their indexes follow each other, and what they take fits.
fn read_leaf(file: &File, start: u64) -> io::Result<Option<Leaf>> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, start)?;
    let pairs = usize::from(u16::from_le_bytes([head[2], head[3]]));
    if head[0] != 1 || pairs == 0 {
        return Ok(None);
    }
    let mut tables = vec![0; pairs * 12];
    file.read_exact_at(&mut tables, start + HEAD as u64)?;
    let (ends, indexes) = tables.split_at(pairs * 4);
    let ends: Vec<u32> = ends.as_chunks().0.iter().map(|end| u32::from_le_bytes(*end)).collect();
    let indexes: Vec<u64> = indexes.as_chunks().0.iter().map(|index| u64::from_le_bytes(*index)).collect();
    let first_value = HEAD + tables.len();
    let is_log = (1..INDEX_MAX).contains(&indexes[0])
        && indexes.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    let fits = ends[0] as usize >= first_value + format::ENTRY_HEADER && ends.is_sorted();
    let last = ends[pairs - 1];
    if !is_log || !fits || last > LEAF_MAX {
        return Ok(None);
    }
    let mut content = vec![0; last as usize];
    file.read_exact_at(&mut content, start)?;
    Ok(Some(Leaf { content, ends, indexes }))
}

impl Leaf {
    /// Offset in the page, index and bytes of each value.
    fn values(&self) -> impl Iterator<Item = (usize, u64, &[u8])> {
        let ends = self.ends.iter().map(|end| *end as usize);
        let starts = std::iter::once(HEAD + self.ends.len() * 12).chain(ends.clone());
        let values = starts.zip(ends).map(|(start, end)| (start, &self.content[start..end]));
        self.indexes.iter().zip(values).map(|(index, (start, value))| (start, *index, value))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;

    use super::*;
    use crate::entry::{Batch, EntryKind, LogEntry};
    use crate::ids::{ClusterId, Identity, ReplicaId};
    use crate::log_store::{LogStore, RedbLogStore, RedbOptions, StoreError};

    fn entry(index: u64) -> LogEntry {
        let bytes = Bytes::from(format!("payload of {index}").repeat(100));
        LogEntry { index, term: 1, kind: EntryKind::Normal, bytes }
    }

    #[test]
    fn a_flipped_bit_in_any_entry_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity { cluster: ClusterId(7), replica: ReplicaId::new(1).unwrap() };
        let options = RedbOptions::new(folder.path(), identity);
        let mut store = RedbLogStore::open(&options).unwrap();
        store.load().unwrap();
        store.persist(&Batch { entries: (1..=9).map(entry).collect(), ..Batch::default() }).unwrap();
        drop(store);
        let path = folder.path().join("log.redb");
        assert_eq!(first_damage(&path), None);
        let intact = fs::read(&path).unwrap();
        for index in 1..=9 {
            let wanted = entry(index).bytes;
            let mut damaged = intact.clone();
            let places: Vec<usize> = places(&intact, &wanted);
            places.iter().for_each(|at| damaged[at + 50] ^= 1);
            fs::write(&path, damaged).unwrap();
            let at = places[0] - format::ENTRY_HEADER;
            match RedbLogStore::open(&options).and_then(|mut store| store.load().map(drop)) {
                Err(StoreError::Corrupt { place, .. }) => {
                    assert_eq!(place, format!("offset {at} (log index {index})"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Where the file holds this: in what is live, and in what was before.
    fn places(file: &[u8], wanted: &[u8]) -> Vec<usize> {
        (0..file.len() - wanted.len()).filter(|at| file[*at..].starts_with(wanted)).collect()
    }
}
