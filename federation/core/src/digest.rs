//! The digest of a state: the sum of a hash per object, so that it costs what changed. Two replicas that applied the same
//! entries have the same digest; it is exchanged to find a replica that differs (S13).

use std::hash::{Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

/// The hash of one value under a fixed key. Stable for one version of the model, not across versions.
pub fn hash128(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new_with_keys(0x4d75_7374, 0x6572_0001);
    value.hash(&mut hasher);
    let _ = hasher.finish();
    hasher.finish128().as_u128()
}
