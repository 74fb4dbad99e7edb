//! Every value comes back, and no bytes make a decoder panic.

use muster_proto::log::{decode_entry, decode_object, encode_entry, encode_object};
use proptest::prelude::*;

use super::strategies;

proptest! {
    #[test]
    fn any_entry_comes_back(entry in strategies::entry()) {
        prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
    }

    #[test]
    fn any_object_comes_back(object in strategies::object()) {
        prop_assert_eq!(decode_object(&encode_object(&object)), Ok(object));
    }

    #[test]
    fn random_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_bytes(&bytes)?;
    }

    /// Bytes that come close to real ones get deeper into the decoders than random ones.
    #[test]
    fn changed_bytes_are_taken_or_refused(
        entry in strategies::entry(),
        object in strategies::object(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for mut bytes in [encode_entry(&entry), encode_object(&object)] {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            check_bytes(&bytes)?;
        }
    }
}

/// What is taken is a value like any other: it comes back from its own bytes.
fn check_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(entry) = decode_entry(bytes) {
        prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
    }
    if let Ok(object) = decode_object(bytes) {
        prop_assert_eq!(decode_object(&encode_object(&object)), Ok(object));
    }
    Ok(())
}
