//! Input that is wrong, hostile, too large or breaks off: a clear answer, nothing half stored, and the hub goes on.

mod bodies;
mod crowds;
mod h2;
mod vanishing;

use muster_e2e::local::{Federation, Options};

/// One federation: each part leaves it as it found it, which the next one would notice.
#[tokio::test(flavor = "multi_thread")]
async fn the_hub_takes_what_it_gets() {
    let federation = Federation::start(&Options::default());
    bodies::each_is_answered(&federation).await;
    bodies::queries_are_read(&federation).await;
    vanishing::clients_leave_nothing_behind(&federation).await;
    crowds::two_thousand_watches(&federation).await;
    crowds::more_than_may_be_in_flight(&federation).await;
}
