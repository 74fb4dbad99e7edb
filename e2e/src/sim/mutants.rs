//! The deliberate bugs that the simulator must catch: in which scenario each shows, and which promise it breaks.
//!
//! A bug that is not caught, or is caught by another check than the one that names it, fails `cargo xtask sim --mutants`: then
//! either the check or the scenario is too weak.

use super::scenario::Story;
use super::schedule::Scenario;

/// Seeds in which each must be caught.
pub const MUTANT_SEEDS: u64 = 500;

/// One bug.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// Its name, as in `mutant!(NAME)`.
    pub name: &'static str,
    /// Where it shows.
    pub scenario: Scenario,
    /// The promise it breaks, as the check that finds it says.
    pub promise: &'static str,
}

const fn mutant(name: &'static str, scenario: Scenario, promise: &'static str) -> Mutant {
    Mutant { name, scenario, promise }
}

const fn story(name: &'static str, story: Story, promise: &'static str) -> Mutant {
    mutant(name, Scenario::Story(story), promise)
}

use Scenario::{BufferedStart, LeaderChurn, Mixed, ThawedAgent};

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    // Raft and the log.
    mutant("ack_before_fsync", LeaderChurn, "S14"),
    mutant("ack_without_quorum", LeaderChurn, "S14"),
    mutant("hard_state_not_in_batch", LeaderChurn, "S14"),
    mutant("stale_read_served", LeaderChurn, "S3"),
    mutant("snapshot_without_grants", Mixed, "S15"),
    // Objects and books.
    mutant("retry_not_idempotent", Mixed, "S2"),
    story("revision_from_raft_index", Story::ThousandChanges, "S3"),
    mutant("watch_gap_unnoticed", LeaderChurn, "S3"),
    mutant("audit_outside_entry", Mixed, "S17"),
    mutant("cut_attempts_not_booked", Mixed, "ledger"),
    // Placement.
    mutant("gpu_counted_twice", Mixed, "S7"),
    mutant("partial_gang_kept", Mixed, "S8"),
    mutant("place_ignores_selector", Mixed, "S21"),
    // Grants, leases, fences: on the hub.
    story("ack_without_read_index", Story::DeposedLeaderSide, "S5"),
    mutant("ack_names_lapsed", ThawedAgent, "S5"),
    mutant("epoch_check_skipped", Mixed, "S6"),
    mutant("fence_ignores_renewal", Mixed, "S5"),
    story("fence_wait_doubled", Story::LostMember, "L4"),
    story("grant_while_live", Story::EvictAndAssign, "S5"),
    mutant("timers_not_reset_on_election", LeaderChurn, "S5"),
    story("incarnation_ignored", Story::ClonedMember, "S5"),
    story("absence_is_death", Story::WipedFolder, "S5"),
    story("deleted_job_forgets_attempt", Story::DeleteAndRecreate, "S5"),
    // The same: on the member.
    story("deadline_from_receipt", Story::ThawBeforeTimer, "S5"),
    mutant("fenced_epoch_revived", ThawedAgent, "S5"),
    mutant("grace_after_deadline", ThawedAgent, "S5"),
    story("keep_ends_without_contact", Story::HubGoneADay, "L2"),
    story("late_ack_revives", Story::LateAckRetry, "S5"),
    mutant("older_epoch_accepted", BufferedStart, "S5"),
    story("start_after_deadline", Story::FrozenStart, "S5"),
];

/// The table in `docs/reference/guarantees.md`.
pub fn mutant_table() -> String {
    let row = |mutant: &Mutant| {
        format!("| `{}` | {} | {} |\n", mutant.name, mutant.scenario.name(), mutant.promise)
    };
    "| Deliberate bug | Scenario | Caught by |\n|---|---|---|\n".to_owned()
        + &MUTANTS.iter().map(row).collect::<String>()
}

/// The table of named histories.
pub fn story_table() -> String {
    let caught = |story: &Story| {
        let here = |mutant: &&Mutant| mutant.scenario == Scenario::Story(*story);
        let names: Vec<String> =
            MUTANTS.iter().filter(here).map(|mutant| format!("`{}`", mutant.name)).collect();
        names.join(", ")
    };
    let row = |story: &Story| format!("| {} | {} | {} |\n", story.name(), story.text(), caught(story));
    let missing = super::scenario::NOT_THERE;
    let missing = missing.iter().map(|(history, why)| format!("| not there | {history}: {why} | |\n"));
    let rows: String = Story::ALL.iter().map(row).chain(missing).collect();
    "| Scenario | History | Deliberate bugs in it |\n|---|---|---|\n".to_owned() + &rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::invariants::PROMISES;

    #[test]
    fn there_are_enough_and_each_history_has_one() {
        let names: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), MUTANTS.len(), "a name is there twice");
        assert!(names.len() >= 25, "{}", names.len());
        for story in Story::ALL {
            let has_one = MUTANTS.iter().any(|mutant| mutant.scenario == Scenario::Story(*story));
            assert!(has_one, "no bug shows in {}", story.name());
        }
        let is_promise = |mutant: &Mutant| {
            mutant.promise == "ledger" || PROMISES.iter().any(|promise| promise.number == mutant.promise)
        };
        assert!(MUTANTS.iter().all(is_promise));
    }
}
