//! Cables that are cut in one direction only, and a new leader in the middle: it counts from its own election, so it waits longer
//! and never shorter.

use muster_e2e::local::{Cut, Federation, Lab, Options, Outside, Script, now_ms, until_within};
use nix::sys::signal::Signal;

use super::{GRANTED_WITHIN_MS, PATIENCE, end_of_fenced, granted_again, in_a_lab, only, start_on};
use crate::fencing::{FENCE_AFTER_MS, fence};

/// When the leader is killed, after the cut.
const ELECTION_MS: u64 = 5_000;

#[test]
fn a_new_leader_gives_members_that_hear_or_speak_no_more_the_whole_time_again() {
    in_a_lab(|lab| async move { Box::pin(election(&lab)).await });
}

async fn election(lab: &Lab) {
    let federation = Federation::start(&Options::default());
    let (deaf, mute) =
        tokio::join!(Outside::join(&federation, lab, "deaf", 1), Outside::join(&federation, lab, "mute", 2));
    let unheard = start_on(&federation, &deaf, "unheard", fence(), Script::Stubborn).await;
    let unsaid = start_on(&federation, &mute, "unsaid", fence(), Script::Stubborn).await;
    only(&federation, &federation.names("agent")).await;

    let since = now_ms();
    lab.cut(&deaf.cable, Cut::FromHub);
    lab.cut(&mute.cable, Cut::FromMember);
    let what = "the moment of the election";
    until_within(PATIENCE, what, || async { (now_ms() > since + ELECTION_MS).then_some(()) }).await;
    assert!(federation.signal(&federation.leader().await, Signal::SIGKILL));
    let killed = now_ms() - since;
    let (first, second) =
        tokio::join!(granted_again(&federation, &unheard, since), granted_again(&federation, &unsaid, since));
    let dead = [&deaf, &mute].map(|member| end_of_fenced(member) - since);
    println!(
        "ms after one direction was cut: leader killed {killed}, attempts dead {dead:?}, granted again {first} and {second}"
    );
    for (dead, granted) in dead.into_iter().zip([first, second]) {
        assert!(dead < FENCE_AFTER_MS, "{dead} ms");
        assert!(granted > killed + FENCE_AFTER_MS, "a new leader counts from its election: {granted} ms");
        assert!(granted <= killed + GRANTED_WITHIN_MS, "{granted} ms");
    }
    for job in [&unheard, &unsaid] {
        job.second_life().await;
        job.witness.assert_alone();
    }
    lab.mend(&deaf.cable, Cut::FromHub);
    lab.mend(&mute.cable, Cut::FromMember);
    tokio::join!(deaf.until_ready(&federation), mute.until_ready(&federation));
    for job in [&unheard, &unsaid] {
        assert!(job.witness.is_alive() && job.witness.lives().len() == 2, "{}", job.name);
        job.witness.assert_alone();
    }
}
