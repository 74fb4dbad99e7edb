//! Chaos on real processes: `muster chaos` and `muster gameday` as people type them, and hands that kill what injects.

mod faults;
mod game_days;
mod many;
mod verbs;
