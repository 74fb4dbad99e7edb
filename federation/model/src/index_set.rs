//! Completion indexes of an Indexed job, written as `0-3,7`.

use std::collections::BTreeSet;
use std::fmt;

/// A set of completion indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet(BTreeSet<u32>);

impl IndexSet {
    /// Reads `0-3,7`. What is not below `limit` or not a number is passed over: the hub wrote it, and a wrong text must
    /// not cost more memory than the job has indexes.
    pub fn parse(text: &str, limit: u32) -> IndexSet {
        let mut set = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
                set.extend((first..=last).take_while(|index| *index < limit));
            }
        }
        IndexSet(set)
    }

    /// Adds one.
    pub fn insert(&mut self, index: u32) {
        self.0.insert(index);
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Those below `limit`, of a job that was made smaller.
    pub fn below(&self, limit: u32) -> IndexSet {
        IndexSet(self.0.range(..limit).copied().collect())
    }

    /// All, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// How many are in both.
    pub fn common(&self, other: &IndexSet) -> u32 {
        u32::try_from(self.0.intersection(&other.0).count()).unwrap_or(u32::MAX)
    }

    /// Whether it is in.
    pub fn contains(&self, index: u32) -> bool {
        self.0.contains(&index)
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u32> for IndexSet {
    fn from_iter<T: IntoIterator<Item = u32>>(indexes: T) -> IndexSet {
        IndexSet(indexes.into_iter().collect())
    }
}

impl fmt::Display for IndexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if(|next| *next == last + 1) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                1 => write!(f, "{separator}{first},{last}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_set_agree() {
        for (text, len) in [("", 0), ("0", 1), ("0,1", 2), ("0-3,7", 5), ("1,3,5-9", 7)] {
            let set = IndexSet::parse(text, 100);
            assert_eq!((set.to_string().as_str(), set.len()), (text, len));
        }
        assert_eq!(IndexSet::parse("0-4294967295", 3).to_string(), "0-2");
        assert_eq!(IndexSet::parse("x,2-1,5-,4", 100).to_string(), "4");
    }
}
