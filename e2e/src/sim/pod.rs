//! A pod in true time, with its shim: what runs whatever the agent thinks, and dies by its own deadline.
//!
//! ```text
//!  start --launch--> Running --own end | demand to stop | fence deadline--> Ended
//! ```
//!
//! The shim refuses to launch after the deadline, sends SIGTERM so early that grace and kill fit before it, and takes no
//! renewal once it began (architecture, section 5). It looks at the clock late, but within the kill budget.

use muster_member_machine::{Clock, EndReason, KILL_BUDGET_MS, Observation, PodEnd, PodStart, PodStop};
use muster_model::TimeMs;

use super::clock::HostClock;

/// A pod with its shim.
#[derive(Debug)]
pub struct Pod {
    pub(super) start: PodStart,
    pub(super) life: PodLife,
    /// When its command is executed.
    pub(super) launch_at: u64,
    /// How long it runs if nothing ends it.
    pub(super) runs_ms: u64,
    pub(super) fails: bool,
    /// How long it takes to follow SIGTERM; `None`: it ignores it.
    pub(super) follows_term_ms: Option<u64>,
    /// What its deadline counts from.
    base: Option<Clock>,
    fence_after_ms: u64,
    grace_ms: u64,
    demand: Option<Demand>,
    /// When the fence sent SIGTERM. Final.
    fenced_at: Option<u64>,
    /// Its host was suspended, and the shim has not looked at the clock since.
    pub(super) is_unchecked: bool,
    /// The folder in which an agent would find it is gone.
    pub(super) is_hidden: bool,
    /// When its shim looks next.
    pub(super) next_look: u64,
}

/// Where a pod stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodLife {
    /// On record, not executed.
    Launching,
    /// Its processes run.
    Running { since: u64 },
    /// Nothing of it is left.
    Ended(PodEnd),
}

#[derive(Clone, Copy, Debug)]
struct Demand {
    at: u64,
    kill_at: u64,
    reason: EndReason,
}

/// How a pod behaves, by chance.
#[derive(Clone, Copy, Debug)]
pub struct Nature {
    /// Until its command is executed.
    pub launch_ms: u64,
    /// How long it runs.
    pub runs_ms: u64,
    /// Whether its exit code tells of a failure.
    pub fails: bool,
    /// How long it takes to follow SIGTERM, if it does.
    pub follows_term_ms: Option<u64>,
}

impl Pod {
    /// The backend has it on record.
    pub(super) fn new(start: PodStart, now: u64, nature: Nature) -> Pod {
        Pod {
            life: PodLife::Launching,
            launch_at: now + nature.launch_ms,
            runs_ms: nature.runs_ms,
            fails: nature.fails,
            follows_term_ms: nature.follows_term_ms,
            base: start.fence_base,
            fence_after_ms: start.attempt.policy.fence_after.0,
            grace_ms: start.attempt.spec.grace.0,
            demand: None,
            fenced_at: None,
            is_unchecked: false,
            is_hidden: false,
            next_look: 0,
            start,
        }
    }

    /// Whether its processes run.
    pub(super) fn runs(&self) -> bool {
        matches!(self.life, PodLife::Running { .. })
    }

    /// Whether it takes GPUs of this Node.
    pub(super) fn is_on(&self, node: u32) -> bool {
        self.start.node == node
    }

    /// What the backend tells of it.
    pub(super) fn observation(&self, clock: &HostClock) -> Observation {
        match &self.life {
            PodLife::Launching => Observation::Unknown,
            PodLife::Running { since } => Observation::Running { since: TimeMs(clock.real(*since)) },
            PodLife::Ended(end) => Observation::Ended(end.clone()),
        }
    }

    /// The agent wants it stopped. A later demand can only shorten the grace.
    pub(super) fn stop(&mut self, now: u64, grace_ms: u64, reason: PodStop) {
        let reason = match reason {
            PodStop::Stopped => EndReason::Stopped,
            PodStop::DeadlineExceeded => EndReason::DeadlineExceeded,
            PodStop::Fenced => EndReason::Fenced,
        };
        let kill_at = now + grace_ms;
        let demand = self.demand.get_or_insert(Demand { at: now, kill_at, reason });
        demand.kill_at = demand.kill_at.min(kill_at);
    }

    /// The agent renews its deadline. Nothing is taken once the fence began, and nothing that is older.
    pub(super) fn renew(&mut self, base: Clock, now: u64, clock: &HostClock) {
        let Some(held) = self.base else { return };
        let reading = clock.read(now);
        let late = self.fenced_at.is_some() || reading.since(held) >= self.terminate_after_ms();
        if !late && reading.since(base) < reading.since(held) {
            self.base = Some(base);
        }
    }

    /// Whether it would be launched after its deadline.
    pub(super) fn is_too_late(&self, now: Clock) -> bool {
        self.base.is_some_and(|base| now.since(base) >= self.kill_after_ms())
    }

    /// The shim looks at the clock; whether that changed anything.
    pub(super) fn look(&mut self, now: u64, clock: &HostClock) -> bool {
        self.is_unchecked = false;
        let elapsed = self.base.map(|base| clock.read(now).since(base));
        if elapsed.is_some_and(|elapsed| elapsed >= self.terminate_after_ms()) {
            self.fenced_at.get_or_insert(now);
        }
        match self.life {
            PodLife::Launching if now >= self.launch_at => self.launch(now, clock),
            PodLife::Running { since } => self.run(now, since, elapsed, clock),
            PodLife::Launching | PodLife::Ended(_) => false,
        }
    }

    fn launch(&mut self, now: u64, clock: &HostClock) -> bool {
        let refusal = match (self.fenced_at, self.demand) {
            (Some(_), _) => Some(EndReason::Fenced),
            (None, Some(demand)) => Some(demand.reason),
            (None, None) => None,
        };
        match refusal {
            Some(reason) => self.end(reason, None, now, clock),
            None => self.life = PodLife::Running { since: now },
        }
        true
    }

    fn run(&mut self, now: u64, since: u64, elapsed: Option<u64>, clock: &HostClock) -> bool {
        let followed = |at: u64| self.follows_term_ms.is_some_and(|takes| at + takes <= now);
        let fenced = elapsed.is_some_and(|elapsed| elapsed >= self.kill_after_ms())
            || self.fenced_at.is_some_and(followed);
        let demanded = self.demand.filter(|demand| demand.kill_at <= now || followed(demand.at));
        let reason = match demanded {
            _ if fenced => EndReason::Fenced,
            Some(demand) => demand.reason,
            None if since + self.runs_ms > now => return false,
            None if self.fails => EndReason::Error,
            None => EndReason::Completed,
        };
        self.end(reason, Some(since), now, clock);
        true
    }

    /// Nothing of it is left.
    pub(super) fn end(&mut self, reason: EndReason, since: Option<u64>, now: u64, clock: &HostClock) {
        let exit_code = match reason {
            EndReason::Completed => Some(0),
            EndReason::Error => Some(1),
            EndReason::Lost => None,
            _ => since.map(|_| 143),
        };
        self.life = PodLife::Ended(PodEnd {
            started: since.map(|since| TimeMs(clock.real(since))),
            finished: TimeMs(clock.real(now)),
            exit_code,
            exits: Vec::new(),
            signal: None,
            reason,
            message: "".into(),
        });
    }

    /// The machine under it went down.
    pub(super) fn power_lost(&mut self, now: u64, clock: &HostClock) {
        match self.life {
            PodLife::Launching => self.end(EndReason::NotStarted, None, now, clock),
            PodLife::Running { since } => self.end(EndReason::Lost, Some(since), now, clock),
            PodLife::Ended(_) => {}
        }
    }

    /// When the shim has something to do next, if ever.
    pub(super) fn next_due(&self, now: u64, clock: &HostClock) -> Option<u64> {
        let by_life = match self.life {
            PodLife::Launching => self.launch_at,
            PodLife::Running { since } => since + self.runs_ms,
            PodLife::Ended(_) => return None,
        };
        let elapsed = self.base.map(|base| clock.read(now).since(base));
        let fence_looks = [self.terminate_after_ms(), self.kill_after_ms()];
        let by_fence = elapsed.into_iter().flat_map(|elapsed| {
            fence_looks.into_iter().filter_map(move |after| {
                let left = after.checked_sub(elapsed).filter(|left| *left > 0)?;
                Some(now + clock.true_ms_of(left))
            })
        });
        let followed = |at: u64| self.follows_term_ms.map(|takes| at + takes);
        let by_signal =
            self.demand.into_iter().flat_map(|demand| [Some(demand.kill_at), followed(demand.at)]);
        let by_fenced = self.fenced_at.map(followed);
        let others = by_fence.chain(by_signal.flatten()).chain(by_fenced.flatten());
        others.chain([by_life]).filter(|at| *at > now).min()
    }

    fn kill_after_ms(&self) -> u64 {
        self.fence_after_ms.saturating_sub(KILL_BUDGET_MS)
    }

    fn terminate_after_ms(&self) -> u64 {
        self.kill_after_ms().saturating_sub(self.grace_ms)
    }
}
