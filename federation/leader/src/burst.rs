//! Burst pools: when one more member is worth its price, and when one that is there goes.
//!
//! ```text
//!  queue (jobs that found no place) --pool_demand--> worth its price, for a while --> Request
//!  Requested -> Applying      Joining -> Ready | too late      Ready, idle -> Draining -> Destroying
//! ```
//!
//! Everything here is proposed and checked again by apply. What Terraform does (`Applying`, `Destroying`) is carried out
//! and ended at the leader's edge. One proposal per pool is under way. Clocks begin anew with each leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::State;
use muster_model::{
    Answer, BurstCommand, BurstPool, Command, DurationMs, Intent, IntentId, IntentPhase, IntentStep, Key,
    MemberName, MicroUsd, Object, PoolCondition, PoolConditionKind, Readiness, TimeMs,
};
use muster_placement::{PoolDemand, Rejected, View, pool_demand, pool_price};

use crate::config::Config;
use crate::input::Outcome;
use crate::outbox::{Outbox, Purpose};
use crate::planner::Planner;

/// All pools, as this leader follows them.
#[derive(Clone, Debug, Default)]
pub struct BurstDesk {
    pools: BTreeMap<Key, PoolDesk>,
    looked_at: Option<TimeMs>,
    /// Members of pools that had a job under this leader.
    used: BTreeSet<MemberName>,
}

/// One pool, as this leader follows it.
#[derive(Clone, Debug, Default)]
struct PoolDesk {
    under_way: bool,
    retry_at: Option<TimeMs>,
    /// Since when the queue justifies one more member without a break.
    justified_since: Option<TimeMs>,
    /// Since when each intent is in its phase, or idle, by this leader's clock.
    clocks: BTreeMap<(IntentId, Watched), TimeMs>,
    /// Intents that this leader saw before they were ready: of these it knows whether they were ever used.
    fresh: BTreeSet<IntentId>,
}

/// What is timed of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Joining,
    Idle,
}

/// What the queue says to a pool now, and what the pool says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOutlook {
    /// What a member costs per hour; why not known, if it is not.
    pub hourly: Result<MicroUsd, Rejected>,
    /// What the queue would gain by one more.
    pub demand: PoolDemand,
    /// Why one more is wanted, or why not.
    pub verdict: Verdict,
}

/// Whether one more member is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is, for this reason.
    Wanted(Arc<str>),
    /// It is not: why, and what would change that.
    NotWanted {
        /// Why.
        reason: String,
        /// The next step, for people.
        fix: Option<String>,
    },
}

impl BurstDesk {
    /// A pool came, changed or went.
    pub fn pool_changed(&mut self, key: &Key, is_there: bool) {
        if is_there {
            self.pools.entry(key.clone()).or_default();
        } else {
            self.pools.remove(key);
        }
    }

    /// A job has a place on this member.
    pub fn job_placed(&mut self, member: &MemberName) {
        if !self.pools.is_empty() {
            self.used.insert(member.clone());
        }
    }

    /// A proposal came to its end.
    pub fn done(&mut self, pool: &Key, outcome: &Outcome, now: TimeMs, config: &Config) {
        let Some(desk) = self.pools.get_mut(pool) else { return };
        desk.under_way = false;
        let is_in_vain =
            !matches!(outcome, Outcome::Answered(answer) if !matches!(answer, Answer::Rejected(_)));
        desk.retry_at = is_in_vain.then(|| now.plus(config.retry));
    }

    /// Proposes what is due.
    pub fn run(
        &mut self,
        state: &State,
        planner: &Planner,
        (now, config): (TimeMs, &Config),
        out: &mut Outbox,
    ) {
        let too_early = self.looked_at.is_some_and(|at| now.since(at) < config.burst_look);
        if self.pools.is_empty() || too_early {
            return;
        }
        self.looked_at = Some(now);
        self.used.retain(|member| state.get(&Key::cluster(member.as_str())).is_some());
        let used = &self.used;
        for (key, desk) in &mut self.pools {
            let Some(object) = state.get(key) else { continue };
            let Some(pool) = object.burst_pool() else { continue };
            let look = Look { key, object, pool, state, used, now, config };
            desk.watch(&look);
            if desk.under_way || desk.retry_at.is_some_and(|at| now < at) {
                continue;
            }
            if let Some(command) = desk.next_step(&look).or_else(|| desk.more(&look, planner)) {
                desk.under_way = true;
                out.propose(Purpose::Burst(key.clone()), Command::Burst(Box::new(command)));
            }
        }
    }

    /// What is to be said of a pool.
    pub fn outlook(&self, object: &Object, view: &View, now: TimeMs, config: &Config) -> PoolOutlook {
        match object.burst_pool() {
            Some(pool) => outlook(object, pool, view, (now, config)),
            None => PoolOutlook {
                hourly: Ok(MicroUsd(0)),
                demand: PoolDemand::default(),
                verdict: not_wanted("it is no burst pool", None),
            },
        }
    }
}

/// One pool, looked at once.
struct Look<'a> {
    key: &'a Key,
    object: &'a Object,
    pool: &'a BurstPool,
    state: &'a State,
    used: &'a BTreeSet<MemberName>,
    now: TimeMs,
    config: &'a Config,
}

impl Look<'_> {
    /// Whether nobody wants this intent any more.
    fn is_unwanted(&self, intent: &Intent) -> bool {
        intent.unwanted || self.object.meta.deletion.is_some()
    }

    fn step(&self, intent: &Intent, to: IntentPhase, failure: Option<String>) -> BurstCommand {
        BurstCommand::Step(IntentStep {
            pool: self.key.clone(),
            intent: intent.id,
            from: intent.phase,
            to,
            failure: failure.map(Into::into),
        })
    }

    fn readiness(&self, intent: &Intent) -> Option<Readiness> {
        let key = Key::cluster(intent.member.as_str());
        self.state.get(&key)?.cluster().map(|cluster| cluster.status.ready)
    }

    fn is_busy(&self, intent: &Intent) -> bool {
        self.state.jobs_on(&intent.member).next().is_some()
    }
}

impl PoolDesk {
    /// Starts and stops the clocks.
    fn watch(&mut self, look: &Look<'_>) {
        let active: BTreeMap<IntentId, &Intent> =
            look.pool.active().map(|intent| (intent.id, intent)).collect();
        self.clocks.retain(|(id, _), _| active.contains_key(id));
        self.fresh.retain(|id| active.contains_key(id));
        for (id, intent) in active {
            let is_busy = look.is_busy(intent);
            if intent.phase.is_coming() {
                self.fresh.insert(id);
            }
            self.time((id, Watched::Joining), intent.phase == IntentPhase::Joining, look.now);
            self.time((id, Watched::Idle), intent.phase == IntentPhase::Ready && !is_busy, look.now);
        }
    }

    fn time(&mut self, what: (IntentId, Watched), goes_on: bool, now: TimeMs) {
        if goes_on {
            self.clocks.entry(what).or_insert(now);
        } else {
            self.clocks.remove(&what);
        }
    }

    fn lasted(&self, intent: &Intent, what: Watched, now: TimeMs) -> DurationMs {
        self.clocks.get(&(intent.id, what)).map_or(DurationMs(0), |since| now.since(*since))
    }

    /// The first step that is due of an intent.
    fn next_step(&self, look: &Look<'_>) -> Option<BurstCommand> {
        look.pool.active().find_map(|intent| match intent.phase {
            IntentPhase::Requested if look.is_unwanted(intent) => {
                Some(look.step(intent, IntentPhase::Gone, None))
            }
            IntentPhase::Requested => {
                can_run(look.pool).then(|| look.step(intent, IntentPhase::Applying, None))
            }
            IntentPhase::Joining => self.joined_or_late(look, intent),
            IntentPhase::Ready => self.drained_why(look, intent),
            IntentPhase::Draining => {
                (!look.is_busy(intent)).then(|| look.step(intent, IntentPhase::Destroying, None))
            }
            IntentPhase::Applying | IntentPhase::Destroying | IntentPhase::Gone | IntentPhase::Failed => None,
        })
    }

    fn joined_or_late(&self, look: &Look<'_>, intent: &Intent) -> Option<BurstCommand> {
        if look.is_unwanted(intent) && !look.is_busy(intent) {
            return Some(look.step(intent, IntentPhase::Destroying, None));
        }
        if matches!(look.readiness(intent), Some(Readiness::Ready { .. })) || look.is_busy(intent) {
            return Some(look.step(intent, IntentPhase::Ready, None));
        }
        let timeout = look.pool.spec.join_timeout;
        let late = self.lasted(intent, Watched::Joining, look.now) >= timeout;
        let why = || format!("its agent did not join within {} s (spec.joinTimeout)", timeout.0 / 1000);
        late.then(|| look.step(intent, IntentPhase::Destroying, Some(why())))
    }

    /// A member goes when it is not wanted, when its object is gone, or when it was idle for long enough.
    fn drained_why(&self, look: &Look<'_>, intent: &Intent) -> Option<BurstCommand> {
        let drain = |failure| Some(look.step(intent, IntentPhase::Draining, failure));
        if look.is_unwanted(intent) {
            return drain(None);
        }
        if look.readiness(intent).is_none() {
            return drain(Some("its Cluster object was deleted".to_owned()));
        }
        let ready = look.pool.active().filter(|intent| intent.phase == IntentPhase::Ready).count();
        let spec = &look.pool.spec;
        let is_idle = self.clocks.contains_key(&(intent.id, Watched::Idle))
            && self.lasted(intent, Watched::Idle, look.now) >= spec.idle_ttl;
        if !is_idle || ready <= spec.min as usize {
            return None;
        }
        let was_used = look.used.contains(&intent.member) || !self.fresh.contains(&intent.id);
        drain((!was_used && spec.min == 0).then(|| "no job ran on it while it was there".to_owned()))
    }

    /// What is to be told of the price, or one more member, if it is wanted for long enough.
    fn more(&mut self, look: &Look<'_>, planner: &Planner) -> Option<BurstCommand> {
        if !planner.is_settled(look.now) {
            return None;
        }
        let outlook = outlook(look.object, look.pool, &planner.view, (look.now, look.config));
        if let Some(news) = price_news(look.pool, &outlook.hourly, look.now) {
            return Some(BurstCommand::Tell { pool: look.key.clone(), condition: news });
        }
        let (Verdict::Wanted(because), Ok(hourly)) = (outlook.verdict, outlook.hourly) else {
            self.justified_since = None;
            return None;
        };
        let since = *self.justified_since.get_or_insert(look.now);
        if look.now.since(since) < look.config.burst_settle {
            return None;
        }
        self.justified_since = None;
        let (pool, uid) = (look.key.clone(), look.object.meta.uid);
        Some(BurstCommand::Request { pool, uid, hourly, because })
    }
}

/// Whether the leader's edge said that it can run Terraform.
fn can_run(pool: &BurstPool) -> bool {
    pool.condition(PoolConditionKind::Terraform).is_some_and(|condition| condition.holds)
}

fn not_wanted(reason: impl Into<String>, fix: Option<&str>) -> Verdict {
    Verdict::NotWanted { reason: reason.into(), fix: fix.map(str::to_owned) }
}

fn outlook(object: &Object, pool: &BurstPool, view: &View, (now, config): (TimeMs, &Config)) -> PoolOutlook {
    let coming = pool.active().filter(|intent| intent.phase.is_coming()).count();
    let demand = pool_demand(view, &pool.spec, coming, now);
    let hourly = pool_price(view, &pool.spec);
    let refused = refusal(object, pool, &hourly, (now, config));
    let verdict = refused.unwrap_or_else(|| judge(pool, &demand, hourly.clone().unwrap_or_default()));
    PoolOutlook { hourly, demand, verdict }
}

/// What keeps the pool from one more member whatever the queue says.
fn refusal(
    object: &Object,
    pool: &BurstPool,
    hourly: &Result<MicroUsd, Rejected>,
    (now, config): (TimeMs, &Config),
) -> Option<Verdict> {
    let (spec, status) = (&pool.spec, &pool.status);
    if object.meta.deletion.is_some() {
        return Some(not_wanted("the pool is being deleted", None));
    }
    if !can_run(pool) {
        let told =
            pool.condition(PoolConditionKind::Terraform).map(|condition| condition.message.to_string());
        return Some(not_wanted(
            told.unwrap_or_else(|| "no leader has looked for Terraform yet".to_owned()),
            None,
        ));
    }
    match hourly {
        Err(missing) => {
            let reason = format!("a member has no price: {missing}");
            return Some(Verdict::NotWanted { reason, fix: Some(missing.fix()) });
        }
        Ok(hourly) if *hourly > spec.price_cap => {
            let reason = format!("a member costs ${hourly}/h, and spec.priceCap is ${}/h", spec.price_cap);
            return Some(not_wanted(
                reason,
                Some("raise spec.priceCap, or choose smaller nodes or another place"),
            ));
        }
        Ok(_) => {}
    }
    if pool.active().count() >= spec.max as usize {
        let reason = format!("it has as many members as it may (spec.max: {})", spec.max);
        return Some(not_wanted(reason, Some("raise spec.max, or wait until a member is gone")));
    }
    let wait = backoff(status.failures, config);
    if status.failures > 0 && now.since(status.failed_at) < wait {
        let reason = format!(
            "the last {} came to nothing; the next try is {} s after that",
            status.failures,
            wait.0 / 1000
        );
        return Some(not_wanted(reason, Some("see the pool's Events")));
    }
    None
}

/// Whether what waits is worth the price. What no member could ever hold waits without end: it is worth any price that the
/// pool's owner allows.
fn judge(pool: &BurstPool, demand: &PoolDemand, hourly: MicroUsd) -> Verdict {
    let active = pool.active().count();
    if active < pool.spec.min as usize {
        return Verdict::Wanted(format!("{active} members, and spec.min is {}", pool.spec.min).into());
    }
    let first =
        demand.first.as_ref().map(|key| format!("{}/{}", key.namespace, key.name)).unwrap_or_default();
    let (jobs, worth) = (demand.jobs, demand.wait_cost_per_hour);
    if jobs == 0 {
        return not_wanted("no job waits that would fit a member and finds no place", None);
    }
    if demand.homeless > 0 {
        let because = format!("{} of {jobs} jobs that wait fit nowhere else, first {first}", demand.homeless);
        return Verdict::Wanted(because.into());
    }
    if worth >= hourly {
        let because = format!(
            "{jobs} jobs wait, which costs ${worth}/h, and a member costs ${hourly}/h; first {first}"
        );
        return Verdict::Wanted(because.into());
    }
    let reason =
        format!("{jobs} jobs that would fit wait, which costs ${worth}/h, less than a member: ${hourly}/h");
    not_wanted(
        reason,
        Some("say what waiting costs: annotate the namespace with muster.sh/wait-cost-per-hour"),
    )
}

/// What is to be told of the price, if it is not what was told last.
fn price_news(pool: &BurstPool, hourly: &Result<MicroUsd, Rejected>, now: TimeMs) -> Option<PoolCondition> {
    let cap = pool.spec.price_cap;
    let (holds, reason, message) = match hourly {
        Err(missing) => (false, "NoPrice", format!("{missing}; {}", missing.fix())),
        Ok(hourly) if *hourly > cap => {
            let message = format!(
                "a member costs ${hourly}/h, more than spec.priceCap, ${cap}/h: raise it, or choose smaller nodes or another place"
            );
            (false, "OverCap", message)
        }
        Ok(hourly) => (true, "UnderCap", format!("a member costs ${hourly}/h, at most ${cap}/h is allowed")),
    };
    let told = pool.condition(PoolConditionKind::Price);
    let is_told = told.is_some_and(|told| (told.holds, &*told.message) == (holds, message.as_str()));
    let condition = PoolCondition {
        kind: PoolConditionKind::Price,
        holds,
        reason: reason.into(),
        message: message.into(),
        since: now,
    };
    (!is_told).then_some(condition)
}

/// How long a pool waits after so many members in a row that came to nothing.
fn backoff(failures: u32, config: &Config) -> DurationMs {
    let doublings = failures.saturating_sub(1).min(16);
    DurationMs((config.burst_backoff.0 << doublings).min(config.burst_backoff_max.0))
}
