//! Most of the fleet falls silent at once: the hub suspects itself. Work that may run twice is not started twice; what ends by its
//! own clock is started again all the same.

use muster_e2e::local::{Cut, Federation, Frozen, Lab, Options, Outside, Script, now_ms, until_within};
use serde_json::json;

use super::{GRANTED_WITHIN_MS, LEASE_WITHIN_MS, PATIENCE, granted_again, in_a_lab, only, start_on};
use crate::fencing::fence;

/// How long after the end of all leases nothing may have been doubled.
const LONGER_MS: u64 = 10_000;

#[test]
fn when_most_members_fall_silent_at_once_nothing_is_doubled() {
    if std::env::var("MUSTER_PARTITIONS").is_err() {
        println!("left out: MUSTER_PARTITIONS=all is not set");
        return;
    }
    in_a_lab(|lab| async move { Box::pin(most_are_silent(&lab)).await });
}

async fn most_are_silent(lab: &Lab) {
    let federation = Federation::start(&Options::default());
    let (one, two) =
        tokio::join!(Outside::join(&federation, lab, "one", 1), Outside::join(&federation, lab, "two", 2));
    let may_double = json!({"partitionPolicy": "DuplicateOk"});
    let doubled = start_on(&federation, &one, "doubled", may_double, Script::Endless).await;
    let fenced = start_on(&federation, &two, "fenced", fence(), Script::Stubborn).await;
    let inside = federation.names("agent");
    only(&federation, &inside).await;

    // With the two outside that is four of six.
    let since = now_ms();
    let frozen: Vec<Frozen> = inside[..2].iter().map(|name| Frozen::freeze(&federation, name)).collect();
    lab.cut(&one.cable, Cut::Both);
    lab.cut(&two.cable, Cut::Both);
    let granted = granted_again(&federation, &fenced, since).await;
    assert!(granted <= GRANTED_WITHIN_MS, "{granted} ms");
    fenced.second_life().await;
    let long = since + LEASE_WITHIN_MS + LONGER_MS;
    until_within(PATIENCE, "the silence to last", || async { (now_ms() > long).then_some(()) }).await;
    assert_eq!(doubled.phases(&federation).await, ["Running"], "the hub suspects itself");
    println!(
        "4 of 6 members silent: Fence granted again after {granted} ms, DuplicateOk not within {} ms",
        now_ms() - since
    );

    lab.mend(&one.cable, Cut::Both);
    lab.mend(&two.cable, Cut::Both);
    frozen.into_iter().for_each(Frozen::thaw);
    tokio::join!(one.until_ready(&federation), two.until_ready(&federation));
    fenced.witness.assert_alone();
    assert!(doubled.witness.is_alive() && doubled.witness.lives().len() == 1);
    assert_eq!(doubled.phases(&federation).await, ["Running"]);
}
