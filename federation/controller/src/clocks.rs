//! Asks the other replicas what time it is, and keeps this one from leading while its clock is off. The rule is
//! [`muster_leader::Clocks`].

use std::time::Duration;

use futures::future::join_all;
use muster_consensus::ReplicaId;
use muster_leader::{ClockSample, Clocks};
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, now};

/// Where a replica says what time it is, among other things.
pub const REPLICA_PATH: &str = "/muster/v1/replica";
/// Between two rounds, and between the first two: at a start the others may answer in a moment.
const PERIOD: Duration = Duration::from_secs(1);
const FIRST_PERIOD: Duration = Duration::from_millis(100);

/// Compares until it is cancelled.
pub async fn compare_clocks(hub: Hub, others: Vec<ReplicaId>, cancel: CancellationToken) {
    let mut clocks = Clocks::new(others.len() + 1);
    let mut period = FIRST_PERIOD;
    while !others.is_empty() {
        let answers = join_all(others.iter().map(|id| ask(&hub, *id))).await;
        let could_lead = clocks.may_lead();
        clocks.compare(&answers.into_iter().flatten().collect::<Vec<_>>());
        hub.set_clock_off(clocks.off_ms());
        tell(&clocks, could_lead);
        // Again while it leads all the same: nobody may have been able to take over.
        if clocks.may_lead() != could_lead || (!clocks.may_lead() && hub.leads().is_some()) {
            hub.consensus().hold_back(!clocks.may_lead());
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(period) => period = PERIOD.min(period * 2),
        }
    }
}

fn tell(clocks: &Clocks, could_lead: bool) {
    let off_ms = clocks.off_ms().unwrap_or_default();
    match (could_lead, clocks.may_lead()) {
        (true, false) => {
            tracing::error!(
                off_ms,
                "this machine's clock is off those of the other replicas: this replica does not lead until it is set right"
            );
        }
        (false, true) => tracing::info!(off_ms, "this machine's clock is right again: this replica may lead"),
        _ => {}
    }
}

/// The clock of another replica against this one's; `None` if it does not say.
async fn ask(hub: &Hub, other: ReplicaId) -> Option<ClockSample> {
    let asked = now();
    let answer = hub.peers().get_json(other, REPLICA_PATH).await?;
    let answered = now();
    let time_ms = i128::from(answer["timeMs"].as_u64()?);
    // A clock that was set meanwhile makes this long, and the sample worthless, not wrong.
    let took_ms = answered.0.abs_diff(asked.0);
    let middle_ms = i128::from(asked.0) + (i128::from(answered.0) - i128::from(asked.0)) / 2;
    let ahead_ms = i64::try_from(time_ms - middle_ms).ok()?;
    Some(ClockSample { ahead_ms, error_ms: took_ms.div_ceil(2) })
}
