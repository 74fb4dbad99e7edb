//! Members whose cable to the hub is cut, or whose agent is killed, each in a network namespace of its own: what the partition
//! policies promise, by the records of the members themselves.
//!
//! ```text
//! MUSTER_PARTITIONS=all cargo test -p muster-e2e --test it partitions -- --nocapture
//! ```
//!
//! Without that the breaker is left out, which takes a minute of its own.

mod breaker;
mod election;

use std::time::Duration;

use http::Method;
use muster_e2e::local::{Cut, Federation, Lab, Options, Outside, Script, now_ms, until_within};
use serde_json::{Value, json};

use crate::fencing::{FENCE_AFTER_MS, REPLACED_WITHIN_MS, Watched, fence, the_old_ends};

/// What the guarantees give: silent to suspected, lease expired, granted again.
const SUSPECTED_WITHIN_MS: u64 = 10_000;
const LEASE_WITHIN_MS: u64 = 20_000;
const GRANTED_WITHIN_MS: u64 = FENCE_AFTER_MS + 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Does a test in the hub's namespace. Threads are in the namespace of who started them.
fn in_a_lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F + Send) {
    let Some(lab) = Lab::new() else { return };
    let inside = lab.hub.same();
    inside.inside(|| {
        let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
        threads.block_on(test(lab));
    });
}

#[test]
fn members_that_are_cut_off_keep_what_their_policies_promise() {
    in_a_lab(|lab| async move { Box::pin(policies(&lab)).await });
}

async fn policies(lab: &Lab) {
    let federation = Federation::start(&Options::default());
    let (cut, mut killed, lost) = tokio::join!(
        Outside::join(&federation, lab, "cut", 1),
        Outside::join(&federation, lab, "killed", 2),
        Outside::join(&federation, lab, "lost", 3),
    );
    let keep = || json!({"partitionPolicy": "Keep"});
    // Deaf to SIGTERM: only the deadline's SIGKILL ends them.
    let fenced = start_on(&federation, &cut, "fenced", fence(), Script::Stubborn).await;
    let kept = start_on(&federation, &cut, "kept", keep(), Script::Endless).await;
    let doubled =
        start_on(&federation, &cut, "doubled", json!({"partitionPolicy": "DuplicateOk"}), Script::Endless)
            .await;
    let orphan = start_on(&federation, &killed, "orphan", fence(), Script::Stubborn).await;
    let declared = start_on(&federation, &lost, "declared", keep(), Script::Endless).await;
    only(&federation, &federation.names("agent")).await;

    let since = now_ms();
    lab.cut(&cut.cable, Cut::Both);
    lab.cut(&lost.cable, Cut::Both);
    killed.kill_agent();
    let (suspected, silent, granted, orphan_granted, replaced, again, orphan_again, declared_after) = tokio::join!(
        suspected(&federation, &cut, since),
        suspected(&federation, &killed, since),
        granted_again(&federation, &fenced, since),
        granted_again(&federation, &orphan, since),
        granted_again(&federation, &doubled, since),
        fenced.second_life(),
        orphan.second_life(),
        declare_lost(&federation, &lost, &declared, since),
    );
    let dead = end_of_fenced(&cut) - since;
    let orphan_dead = end_of_fenced(&killed) - since;
    println!(
        "ms after the cable was cut: suspected {suspected}, fenced attempt dead {dead}, granted again {granted}, runs again {}, DuplicateOk granted again {replaced}",
        again - since
    );
    println!(
        "ms after SIGKILL of the agent: suspected {silent}, fenced attempt dead {orphan_dead}, granted again {orphan_granted}, runs again {}",
        orphan_again - since
    );
    println!("ms from declare-lost to the job running elsewhere: {declared_after}");
    for (dead, granted, again) in [(dead, granted, again), (orphan_dead, orphan_granted, orphan_again)] {
        assert!(dead < FENCE_AFTER_MS, "the deadline means dead: {dead} ms");
        assert!(granted <= GRANTED_WITHIN_MS && again - since < REPLACED_WITHIN_MS, "{granted} ms");
    }
    assert!(suspected <= SUSPECTED_WITHIN_MS && silent <= SUSPECTED_WITHIN_MS, "{suspected}, {silent} ms");
    assert!(replaced <= LEASE_WITHIN_MS, "{replaced} ms");
    fenced.witness.assert_alone();
    orphan.witness.assert_alone();
    assert!(kept.witness.is_alive() && kept.witness.lives().len() == 1, "Keep: nothing is killed or doubled");

    lab.mend(&cut.cable, Cut::Both);
    lab.mend(&lost.cable, Cut::Both);
    killed.start_agent();
    let mended = now_ms();
    for member in [&cut, &killed, &lost] {
        member.until_ready(&federation).await;
    }
    println!("ms after the cables were mended: all Ready {}", now_ms() - mended);
    // What was started twice by policy or by an operator's word is once again.
    the_old_ends(&doubled).await;
    the_old_ends(&declared).await;
    for (job, lives) in [(&fenced, 2), (&orphan, 2), (&doubled, 2), (&declared, 2), (&kept, 1)] {
        assert_eq!(job.witness.lives().len(), lives, "{}", job.name);
        assert!(job.witness.is_alive(), "{}", job.name);
    }
    assert_eq!(kept.phases(&federation).await, ["Running"]);
}

/// Starts a job on this member.
async fn start_on(
    federation: &Federation,
    member: &Outside,
    name: &'static str,
    placement: Value,
    script: Script,
) -> Watched {
    only(federation, std::slice::from_ref(&member.name)).await;
    let job = Watched::start(federation, name, placement, script).await;
    job.until_phases(federation, &["Running"]).await;
    assert_eq!(job.cluster(federation).await, member.name);
    job
}

/// Cordons all members but these.
async fn only(federation: &Federation, names: &[String]) {
    let path = "/apis/muster.sh/v1alpha1/clusters";
    let list = federation.get(path).await.expect("the hub answers");
    for cluster in list["items"].as_array().expect("a list") {
        let name = cluster["metadata"]["name"].as_str().expect("a name");
        let patch = json!({"spec": {"unschedulable": !names.iter().any(|known| known == name)}});
        let body = ("application/merge-patch+json", patch.to_string().into());
        let path = format!("{path}/{name}");
        let reply = federation.api().request_as(Method::PATCH, &path, "application/json", Some(body)).await;
        reply.expect("the hub answers").json().expect("patched");
    }
}

/// Milliseconds until the hub calls a member not ready.
async fn suspected(federation: &Federation, member: &Outside, since: u64) -> u64 {
    until_within(PATIENCE, "the member to be suspected", || async {
        (member.readiness(federation).await? != "True").then_some(())
    })
    .await;
    now_ms() - since
}

/// Milliseconds until there is a second grant.
async fn granted_again(federation: &Federation, job: &Watched, since: u64) -> u64 {
    until_within(PATIENCE, &format!("a second grant of {}", job.name), || async {
        (job.phases(federation).await.len() > 1).then_some(())
    })
    .await;
    now_ms() - since
}

/// The only end under a fence, as the member's shim wrote it down.
fn end_of_fenced(member: &Outside) -> u64 {
    let ends = member.ends();
    let fenced: Vec<u64> = ends.iter().filter(|(_, reason)| reason == "Fenced").map(|(at, _)| *at).collect();
    assert_eq!(fenced.len(), 1, "{ends:?}");
    fenced[0]
}

/// Declares a member lost as soon as it is suspected; milliseconds until its job runs elsewhere.
async fn declare_lost(federation: &Federation, member: &Outside, job: &Watched, since: u64) -> u64 {
    suspected(federation, member, since).await;
    let path = format!("/muster/v1/clusters/{}/declare-lost", member.name);
    let reply = federation.api().request(Method::POST, &path, Some(&json!({}))).await;
    reply.expect("the hub answers").json().expect("declared");
    let declared = now_ms();
    let again = job.second_life().await;
    assert!(job.witness.lives()[0].last_ms + 1_000 > again, "the hub cannot end what it cannot reach");
    again - declared
}
