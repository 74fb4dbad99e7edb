//! L4: a lost member's fenced jobs are granted again within `fenceAfter` and ten seconds of the last contact.

use muster_model::Key;

use super::{Violation, note};

/// Beyond `fenceAfter`.
const SLACK_MS: u64 = 10_000;

/// A fenced job that got a new attempt.
#[derive(Clone, Copy, Debug)]
pub struct GrantedAgain<'a> {
    /// Which.
    pub job: &'a Key,
    /// After the last heartbeat that the hub took, in true time.
    pub after_ms: u64,
    /// Of its old attempt.
    pub fence_after_ms: u64,
}

/// Whether it was in time.
pub fn check_granted_again(granted: GrantedAgain<'_>, found: &mut Vec<Violation>) {
    let GrantedAgain { job, after_ms, fence_after_ms } = granted;
    if after_ms > fence_after_ms + SLACK_MS {
        let seen = format!(
            "{job} was granted again {after_ms} ms after the last contact, fenceAfter is {fence_after_ms} ms"
        );
        note(found, "L4", seen);
    }
}
