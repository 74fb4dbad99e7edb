//! From what is wanted and seen to pods that start and stop.

use std::collections::BTreeSet;

use muster_model::{AttemptOutcome, DurationMs, Epoch, NodeShape, Resources, mutant};

use crate::action::{Action, Out, PodStart};
use crate::attempt::{Attempt, Ended, Ending, Fence, Phase, Standing};
use crate::clock::Clock;
use crate::gpus::GpuUse;
use crate::machine::{Life, Machine};
use crate::pod::{Pod, PodId, PodState, PodStop, StopDemand, pod_name};
use crate::record::{PodRecord, Record};

/// A demand to stop is repeated so often until the pod is known dead.
const STOP_AGAIN_MS: u64 = 5_000;
/// A pod that may run or not for so long is stopped, which settles it.
const SETTLE_UNKNOWN_MS: u64 = 30_000;
/// Ended attempts whose pods and logs are kept.
const MAX_KEPT_ATTEMPTS: usize = 1_000;

impl Machine {
    /// Ends what its fence deadline demands. Runs before any input is looked at, so that nothing heard late revives it.
    pub(crate) fn check_fences(&mut self, now: Clock, out: &mut Out) {
        if self.life == Life::Recovering {
            return;
        }
        let due = |attempt: &Attempt| {
            let spared = mutant!(start_after_deadline) && !attempt.is_live();
            attempt.is_active() && attempt.fence_due(now) && !spared
        };
        let due: Vec<Epoch> = self.attempts.iter().filter(|(_, a)| due(a)).map(|(e, _)| *e).collect();
        for epoch in due {
            let Some(attempt) = self.attempts.get(&epoch) else { continue };
            let Fence::From(base) = attempt.fence else { continue };
            let left_ms = attempt.kill_after_ms().saturating_sub(now.since(base));
            let grace_ms = attempt.desired.spec.grace.0.min(left_ms);
            let ending =
                Ending { outcome: AttemptOutcome::Fenced, exit_code: None, stop: PodStop::Fenced, grace_ms };
            self.end(epoch, ending, now, out);
            self.stop_pods(epoch, now, out);
        }
    }

    /// After a restart: what runs is held by its shims, which were renewed since the record was written.
    pub(crate) fn settle_fences(&mut self) {
        for attempt in self.attempts.values_mut() {
            if matches!(attempt.fence, Fence::From(_)) && attempt.is_live() {
                attempt.fence = Fence::Held;
            }
        }
    }

    /// Looks at every attempt that something happened to.
    pub(crate) fn reconcile(&mut self, now: Clock, out: &mut Out) {
        if self.life == Life::Recovering {
            return;
        }
        while let Some(epoch) = self.dirty.pop_first() {
            if self.attempts.get(&epoch).is_some_and(Attempt::is_active) {
                self.reconcile_active(epoch, now, out);
            }
            self.stop_pods(epoch, now, out);
            self.finish_if_dead(epoch, now, out);
            self.update_report(epoch);
            self.clean_up(epoch, out);
        }
    }

    fn reconcile_active(&mut self, epoch: Epoch, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&epoch) else { return };
        if let Some(ending) = attempt.verdict(now) {
            return self.end(epoch, ending, now, out);
        }
        while let Some(record) = self.next_pod(epoch, now) {
            self.start(record, out);
        }
    }

    /// The next pod that this attempt may start now, if any.
    fn next_pod(&self, epoch: Epoch, now: Clock) -> Option<PodRecord> {
        let attempt = self.attempts.get(&epoch)?;
        let live = attempt.live_pods().count();
        if !self.may_start(attempt, now)
            || live >= attempt.wanted_pods() as usize
            || attempt.live_pods().any(|pod| attempt.is_stale(pod))
            || !attempt.backoff_over(now)
        {
            return None;
        }
        let indexed = attempt.desired.spec.completion.indexed;
        let index = attempt.next_index(now);
        if indexed && index.is_none() {
            return None;
        }
        let (slot, node, gpus) = self.free_slot(attempt)?;
        let serial = attempt.pods.last_key_value().map_or(0, |(last, _)| last + 1);
        let generation = attempt.generation;
        Some(PodRecord { epoch, serial, index, slot, generation, node, gpus, created: now })
    }

    /// Whether pods of this attempt may be started: under the current desired set, before its deadline, and while nothing
    /// of another attempt of the job is alive here.
    fn may_start(&self, attempt: &Attempt, now: Clock) -> bool {
        let before_deadline = match attempt.fence {
            Fence::Never => true,
            Fence::Held => false,
            Fence::From(_) => !attempt.fence_due(now) || mutant!(start_after_deadline),
        };
        let alone = || {
            let other = |a: &&Attempt| {
                a.desired.uid == attempt.desired.uid && a.desired.epoch != attempt.desired.epoch
            };
            !self.attempts.values().filter(other).any(Attempt::is_live)
        };
        self.life == Life::Running
            && self.authority.is_some()
            && attempt.standing == Standing::Wanted
            && !attempt.outlived_boot
            && before_deadline
            && alone()
    }

    /// A claimed place that no live pod of the attempt takes, with GPUs that are free on its Node.
    fn free_slot(&self, attempt: &Attempt) -> Option<(u32, u32, Vec<u32>)> {
        let used: BTreeSet<u32> = attempt.live_pods().map(|pod| pod.slot).collect();
        let free = (0..).zip(attempt.slots()).filter(|(slot, _)| !used.contains(slot));
        let mut full_nodes = BTreeSet::new();
        for (slot, (node, request)) in free {
            if full_nodes.contains(&(node, request.gpu_milli)) {
                continue;
            }
            if let Some(gpus) = self.free_gpus(node, request.gpu_milli) {
                return Some((slot, node, gpus));
            }
            full_nodes.insert((node, request.gpu_milli));
        }
        None
    }

    fn free_gpus(&self, node: u32, gpu_milli: u64) -> Option<Vec<u32>> {
        if gpu_milli == 0 {
            return Some(Vec::new());
        }
        let mut taken = GpuUse::default();
        for attempt in self.attempts.values() {
            for pod in attempt.live_pods().filter(|pod| pod.node == node) {
                taken.add(&pod.gpus, attempt.request_of(pod).gpu_milli);
            }
        }
        let shape = node_shape(&self.capacity.shapes, node)?;
        let failed: Vec<u32> = self.failed_on(node).collect();
        failed.iter().for_each(|gpu| taken.add(&[*gpu], 1000));
        // What is reported is what works; the numbers of what does not are between them.
        let working = u32::try_from(shape.allocatable.gpu_milli / 1000).unwrap_or(u32::MAX);
        let count = working.saturating_add(failed.len() as u32);
        taken.choose(count, gpu_milli)
    }

    fn failed_on(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.failed_gpus.range((node, 0)..=(node, u32::MAX)).map(|(_, gpu)| *gpu)
    }

    fn start(&mut self, record: PodRecord, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&record.epoch) else { return };
        let id = PodId { epoch: record.epoch, serial: record.serial };
        let fence_base = match attempt.fence {
            Fence::From(base) => Some(base),
            Fence::Never | Fence::Held => None,
        };
        out.persist(Record::Pod(record.clone()));
        out.act(Action::StartPod(Box::new(PodStart {
            id,
            name: pod_name(&attempt.desired.job.name, attempt.desired.uid, id, record.index),
            attempt: attempt.desired.clone(),
            index: record.index,
            node: record.node,
            gpus: record.gpus.clone(),
            fence_base,
        })));
        out.act(Action::ShowPod { pod: id });
        let pod = Pod { renewed: fence_base, ..Pod::new(record) };
        attempt.pods.insert(id.serial, pod);
    }

    /// Stops pods: all of an ending attempt, those too many, and those nobody knows about for too long.
    fn stop_pods(&mut self, epoch: Epoch, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
        let (reason, grace_ms, keep) = match &attempt.phase {
            Phase::Ended(_) => return,
            Phase::Ending(ending) => (ending.stop, ending.grace_ms, 0),
            Phase::Active => (PodStop::Stopped, attempt.desired.spec.grace.0, attempt.wanted_pods() as usize),
        };
        let surplus = attempt.surplus();
        let live = attempt.pods.values_mut().filter(|pod| pod.is_live());
        for (position, pod) in live.enumerate() {
            let is_surplus = position >= keep || surplus.contains(&pod.serial);
            if is_surplus || pod.stop.is_some() || unknown_too_long(pod, now) {
                demand_stop(epoch, pod, reason, grace_ms, now, out);
            }
        }
    }

    /// The attempt has ended once its end is decided and every pod is known dead. Not before: absence is not death.
    pub(crate) fn finish_if_dead(&mut self, epoch: Epoch, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
        let Phase::Ending(ending) = &attempt.phase else { return };
        if attempt.is_live() {
            return;
        }
        let (outcome, exit_code) = attempt.final_outcome(ending);
        let ended = Ended { outcome, exit_code, at: now.time() };
        attempt.phase = Phase::Ended(ended.clone());
        self.dirty.insert(epoch);
        out.persist(Record::Ended { epoch, ended });
    }

    /// Lets go of what nobody will ask for again.
    fn clean_up(&mut self, epoch: Epoch, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&epoch) else { return };
        let over = attempt.ended().is_some() && (attempt.forget || attempt.end_taken());
        if over && (attempt.forget || (attempt.pods.is_empty() && attempt.standing == Standing::Gone)) {
            return self.forget(epoch, out);
        }
        if over && self.attempts.len() > MAX_KEPT_ATTEMPTS {
            let oldest = self.attempts.iter().find(|(_, a)| a.end_taken() && a.standing != Standing::Wanted);
            if let Some(oldest) = oldest.map(|(epoch, _)| *epoch) {
                self.forget(oldest, out);
            }
        }
    }

    fn forget(&mut self, epoch: Epoch, out: &mut Out) {
        let Some(attempt) = self.attempts.remove(&epoch) else { return };
        self.outbox.unreported.remove(&epoch);
        out.persist(Record::Forgotten { epoch });
        for pod in attempt.pods.values() {
            let id = PodId { epoch, serial: pod.serial };
            out.act(Action::RemovePod { pod: id });
            let name = pod_name(&attempt.desired.job.name, attempt.desired.uid, id, pod.index);
            out.act(Action::HidePod { job_uid: attempt.desired.uid, name });
        }
    }

    /// The hub no longer has these jobs. What is alive of them is stopped first.
    pub(crate) fn forget_jobs(&mut self, uids: &[muster_model::Uid], now: Clock, out: &mut Out) {
        let of_them = |attempt: &Attempt| uids.contains(&attempt.desired.uid);
        let epochs: Vec<Epoch> =
            self.attempts.iter().filter(|(_, a)| of_them(a)).map(|(epoch, _)| *epoch).collect();
        for epoch in epochs {
            self.gone(epoch, now, out);
            if let Some(attempt) = self.attempts.get_mut(&epoch) {
                attempt.forget = true;
            }
        }
    }
}

impl Attempt {
    /// The claimed places, one for each pod that may run at a time: Node and what the pod takes there.
    fn slots(&self) -> impl Iterator<Item = (u32, Resources)> {
        self.desired.claims.iter().flat_map(|claim| {
            let request = self.desired.requests.get(usize::from(claim.pod_set)).copied().unwrap_or_default();
            std::iter::repeat_n((claim.node, request), claim.pods as usize)
        })
    }

    fn request_of(&self, pod: &Pod) -> Resources {
        self.slots().nth(pod.slot as usize).map(|(_, request)| request).unwrap_or_default()
    }
}

fn unknown_too_long(pod: &Pod, now: Clock) -> bool {
    matches!(&pod.state, PodState::Unknown { since } if now.since(*since) >= SETTLE_UNKNOWN_MS)
}

/// Asks for the end of a pod: at once, again from time to time, and when the grace got shorter.
fn demand_stop(epoch: Epoch, pod: &mut Pod, reason: PodStop, grace_ms: u64, now: Clock, out: &mut Out) {
    let again = |demand: &StopDemand| now.since(demand.last) >= STOP_AGAIN_MS || grace_ms < demand.grace_ms;
    if pod.stop.as_ref().is_some_and(|demand| !again(demand)) {
        return;
    }
    let first = pod.stop.map_or(now, |demand| demand.first);
    pod.stop = Some(StopDemand { first, last: now, grace_ms });
    let grace = DurationMs(grace_ms.saturating_sub(now.since(first)));
    out.act(Action::StopPod { pod: PodId { epoch, serial: pod.serial }, grace, reason });
}

/// The shape of the Node at this position; Nodes are counted shape by shape.
fn node_shape(shapes: &[NodeShape], node: u32) -> Option<&NodeShape> {
    let mut first = 0u32;
    shapes.iter().find(|shape| {
        first = first.saturating_add(shape.nodes);
        node < first
    })
}
