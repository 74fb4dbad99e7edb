//! The histories that break naive designs, one file each: a short schedule whose stages wait for what has to have happened,
//! act, and go on. Seeds vary the times between.
//!
//! ```text
//!  signs of what happens --> Script: stage 1 --> stage 2 --> ... --> reached, counted
//!                               \-- a stage that is not passed in its time fails the run: the history did not come about
//! ```
//!
//! What must hold in them is for the checks of `crate::invariants` to say; here is only that they took place.

mod cloned_member;
mod delete_and_recreate;
mod deposed_leader_side;
mod evict_and_assign;
mod frozen_start;
mod hands;
mod hub_gone_a_day;
mod late_ack_retry;
mod lost_member;
mod script;
mod sign;
mod story;
mod thaw_before_timer;
mod thousand_changes;
mod wiped_folder;

pub(super) use script::Script;
pub(super) use sign::Sign;
pub use story::{NOT_THERE, Story};
