//! S3, in part: a read on any replica shows at least what the same client was told before it asked.

use muster_model::Revision;

use super::{Violation, note};

/// A read ended with the state of this revision.
pub fn check_read(replica: usize, known: Revision, seen: Revision, found: &mut Vec<Violation>) {
    if seen < known {
        let seen = format!("replica {replica} read revision {}, the client knows {}", seen.0, known.0);
        note(found, "S3", seen);
    }
}
