//! Which cluster runs which job: feasibility, cost in money, score, and a report that explains it.
//!
//! ```text
//!  Event -> View (members, queue, placements, datasets, prices)
//!             |
//!  order -> demand -> feasible -> cost -> score -> fit -> Plan { assignments }
//!             \___________________________________________-> jobs that found no place
//! ```
//!
//! Which Nodes of a member a job gets is decided by [`Packer`]: where typical jobs ([`Mix`], [`Typical`]) lose least.
//!
//! One file per stage. [`plan`] places what waits; [`explain`] says of one job, stored or not, where it could run, at
//! what price, and why not elsewhere. Both ask the same stages, so that what is explained is what is done.
//!
//! Pure values: no clock, no I/O, no randomness, no hash maps, no floats; the same view gives the same plan.
#![deny(clippy::float_arithmetic)]

mod basis;
mod burst;
mod carried;
mod cost;
mod demand;
mod feasible;
mod fit;
mod mix;
mod order;
mod packer;
mod plan;
mod prices;
mod rejected;
mod report;
mod reservations;
mod reserving;
mod room;
mod running;
mod score;
mod text;
mod turns;
mod typical;
mod view;

pub use basis::{Basis, DurationSource};
pub use burst::{PoolDemand, pool_demand, pool_price};
pub use cost::{PricedLine, Quote};
pub use fit::fit;
pub use mix::{Ask, Mix};
pub use packer::{Packer, Share};
pub use plan::{PlacementPlan, explain, plan};
pub use rejected::Rejected;
pub use report::{ClusterReport, PlacementReport, Reserved, Verdict, kind_text};
pub use reservations::{MAX_RESERVATIONS, RESERVE_AFTER};
pub use room::Room;
pub use typical::Typical;
pub use view::View;
