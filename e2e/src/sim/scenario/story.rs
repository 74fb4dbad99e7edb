//! The list of histories.

use super::script::Stage;
use super::{
    cloned_member, delete_and_recreate, deposed_leader_side, evict_and_assign, frozen_start, hub_gone_a_day,
    late_ack_retry, lost_member, thaw_before_timer, thousand_changes, wiped_folder,
};

macro_rules! stories {
    ($($(#[doc = $doc:literal])* $story:ident = $name:literal from $module:ident,)*) => {
        /// A named history.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Story { $($(#[doc = $doc])* $story,)* }

        impl Story {
            /// All of them.
            pub const ALL: &[Story] = &[$(Story::$story,)*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Story::$story => $name,)* }
            }

            /// What happens in it, in one sentence.
            pub fn text(self) -> &'static str {
                match self { $(Story::$story => concat!($($doc),*).trim_ascii(),)* }
            }

            pub(super) fn stages(self) -> &'static [Stage] {
                match self { $(Story::$story => $module::STAGES,)* }
            }
        }
    };
}

stories! {
    /// A thawed agent hears the answer to a heartbeat from before its freeze before its own timer runs.
    ThawBeforeTimer = "thaw-before-timer" from thaw_before_timer,
    /// A command to start a pod waits in the kernel of a frozen agent until its time has passed.
    FrozenStart = "frozen-start" from frozen_start,
    /// An acknowledgement comes after the fence deadline, while a local retry is pending.
    LateAckRetry = "late-ack-retry" from late_ack_retry,
    /// A clone of a member's machine says hello with an empty observation while the original runs, cut off.
    ClonedMember = "cloned-member" from cloned_member,
    /// A member's data folder is gone while its pods run.
    WipedFolder = "wiped-folder" from wiped_folder,
    /// A deposed leader sits on the member's side of a partition and takes its heartbeats.
    DeposedLeaderSide = "deposed-leader-side" from deposed_leader_side,
    /// One plan evicts an attempt and assigns its place, or its job, anew.
    EvictAndAssign = "evict-and-assign" from evict_and_assign,
    /// A job is deleted and made again under its name while its attempt runs out of reach.
    DeleteAndRecreate = "delete-and-recreate" from delete_and_recreate,
    /// One entry changes a thousand watched objects, and a watcher is cut off in the middle of it.
    ThousandChanges = "thousand-changes" from thousand_changes,
    /// All replicas are down for a day.
    HubGoneADay = "hub-gone-a-day" from hub_gone_a_day,
    /// A member falls silent for good while the hub and the other member are well.
    LostMember = "lost-member" from lost_member,
}

/// Histories that are named but cannot be played, and why.
pub const NOT_THERE: &[(&str, &str)] = &[
    ("a Node cut off from its API server", "members of Kubernetes are not built"),
    ("a restore of an older backup while a newer attempt runs", "backup and restore are not built"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{RunSpec, Scenario, Show, run};

    #[test]
    fn every_history_comes_about_and_breaks_nothing() {
        for story in Story::ALL {
            let scenario = Scenario::Story(*story);
            let report = run(&RunSpec { seed: 3, scenario, plan: None, show: Show::Nothing });
            assert_eq!(report.violation, None, "{}", story.name());
            assert_eq!(report.counts.stories.get(story.name()), Some(&1), "{}", story.name());
        }
    }
}
