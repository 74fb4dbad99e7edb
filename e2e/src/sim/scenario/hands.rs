//! What stages do to the world, and what they look at.

use std::sync::Arc;

use muster_core::State;
use muster_model::{
    Command, Completion, Delete, DocumentHash, DurationMs, Epoch, JobRules, JobSpec, Key, Object,
    PartitionPolicy, PlacementChoice, PlacementSpec, PodSet, Precondition, Principal, Propagation, PutMode,
    Resources, Selector, Spec, Uid,
};

use crate::invariants::unready_members;
use crate::sim::client::FOUNDER;
use crate::sim::commands::put;
use crate::sim::event::{Event, MEMBERS, REPLICAS, member_host};
use crate::sim::fault::around;
use crate::sim::pod::Nature;
use crate::sim::world::World;

/// A pod that runs so long, and follows SIGTERM only when it is killed.
pub fn stubborn(runs_ms: u64) -> Nature {
    Nature { launch_ms: 10, runs_ms, fails: false, follows_term_ms: None }
}

/// A job of one pod.
pub fn job(policy: PartitionPolicy, fence_after_ms: u64, gpus: u64) -> JobSpec {
    let fence_after = Some(DurationMs(fence_after_ms));
    let options = PlacementSpec { partition_policy: policy, fence_after, ..PlacementSpec::default() };
    let request = Resources { gpu_milli: 1_000 * gpus, cpu_milli: 1_000, memory_bytes: 1 << 30 };
    JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count: 1, request }],
        completion: Completion { parallelism: 1, completions: Some(1), indexed: false },
        backoff_limit: 6,
        active_deadline: None,
        ttl_after_finished: None,
        grace: DurationMs(2_000),
        suspend: false,
        placement: PlacementChoice::Inline(Arc::new(options)),
        tolerations: Vec::new(),
        node_selector: Selector::default(),
        gpu_model: None,
        rules: JobRules::default(),
    }
}

impl World {
    /// The state of whoever applied most.
    pub(super) fn newest_state(&self) -> Option<&State> {
        let views = self.replicas.iter().filter_map(|replica| replica.process.as_ref());
        let views = views.map(|process| process.driver.machine().view());
        views.max_by_key(|(_, applied)| *applied).map(|(state, _)| state)
    }

    /// An object in it.
    pub(super) fn object(&self, key: &Key) -> Option<&Arc<Object>> {
        self.newest_state()?.get(key)
    }

    /// The live attempt of a job, and the member it is on.
    pub(super) fn attempt(&self, key: &Key) -> Option<(Epoch, usize)> {
        let attempt = self.object(key)?.job()?.attempt.as_deref()?;
        let member = (0..MEMBERS).find(|member| self.members[*member].name == attempt.assignment.member)?;
        Some((attempt.epoch, member))
    }

    /// Whether there is a leader and all members are ready.
    pub(super) fn stands(&self) -> bool {
        let Some(state) = self.newest_state().filter(|_| self.leader().is_some()) else { return false };
        unready_members(state, &self.incarnations()).is_empty()
    }

    /// Whether a pod of this epoch runs, by true time.
    pub(super) fn has_live_pod(&self, epoch: Epoch) -> bool {
        self.members.iter().any(|member| member.pods.iter().any(|(id, pod)| id.epoch == epoch && pod.runs()))
    }

    /// The founder asks for something.
    pub(super) fn ask_for(&mut self, command: Command) {
        self.found(vec![command]);
    }

    /// The founder submits a job.
    pub(super) fn submit(&mut self, key: &Key, spec: JobSpec) {
        self.next_serial += 1;
        let submit = DocumentHash(u128::from(self.next_serial));
        self.checks.submits.submitted(submit);
        let uid = Uid(u128::from(self.random.bits()) << 64 | u128::from(self.random.bits()));
        self.ask_for(put(key, PutMode::Create { uid }, Spec::Job(Arc::new(spec)), Some(submit)));
    }

    /// The founder deletes an object.
    pub(super) fn delete(&mut self, key: &Key) {
        self.checks.acknowledged.delete_asked(key);
        self.ask_for(Command::Delete(Delete {
            key: key.clone(),
            precondition: Precondition::default(),
            propagation: Propagation::Background,
            grace_s: None,
            principal: Principal::new("dana"),
        }));
    }

    /// Whether the founder has all answers.
    pub(super) fn founder_is_idle(&self) -> bool {
        self.clients[FOUNDER].is_idle()
    }

    /// An agent stands still; what arrives meanwhile is taken before its timers when it goes on.
    pub(super) fn freeze(&mut self, host: usize) {
        let _ = self.pause(host, false, 0);
    }

    /// It goes on.
    pub(super) fn thaw(&mut self, host: usize) {
        self.resume(host);
    }

    /// Something that the network brought waits in a host's kernel.
    pub(super) fn holds_arrivals(&self, host: usize) -> bool {
        self.hosts[host].waiting.iter().any(|event| matches!(event, Event::Arrived { .. }))
    }

    /// Cuts a member off from all replicas.
    pub(super) fn cut_off(&mut self, member: usize) {
        self.cut_links(&around(&[member_host(member)]));
    }

    /// And lets it back.
    pub(super) fn let_back(&mut self, member: usize) {
        self.join_links(&around(&[member_host(member)]));
    }

    /// Replicas other than this one.
    pub(super) fn others(replica: usize) -> impl Iterator<Item = usize> {
        (0..REPLICAS).filter(move |other| *other != replica)
    }
}
