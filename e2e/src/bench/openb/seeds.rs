//! `A..B` on the command line, B included.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let wrong = || format!("{text:?} is not A..B with A <= B, such as 42..51");
        let (first, last) = text.split_once("..").ok_or_else(wrong)?;
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Seeds(first..=last)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seed_is_included() {
        assert_eq!("42..51".parse::<Seeds>().map(|seeds| seeds.0.count()), Ok(10));
        for text in ["42", "5..4", "a..b", "1...3", ""] {
            let message = text.parse::<Seeds>().expect_err("refused");
            assert!(message.contains("is not A..B"), "{message}");
        }
    }
}
