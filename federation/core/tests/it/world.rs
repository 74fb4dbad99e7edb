//! A small world to apply commands in: two members, a few jobs, short names.

use std::sync::Arc;

use muster_core::{Applied, State};
use muster_model::*;

pub const GIB: u64 = 1 << 30;

pub fn job_spec(pods: u32, gpus: u64, suspend: bool) -> Arc<JobSpec> {
    let request = Resources { gpu_milli: gpus * 1000, cpu_milli: 1000, memory_bytes: GIB };
    Arc::new(JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count: pods, request }],
        completion: Completion { parallelism: pods, completions: Some(pods), indexed: false },
        backoff_limit: 6,
        active_deadline: None,
        ttl_after_finished: Some(DurationMs::from_secs(60)),
        grace: DurationMs::from_secs(30),
        suspend,
        placement: PlacementChoice::Default,
        tolerations: Vec::new(),
        node_selector: Selector::default(),
        gpu_model: None,
        rules: JobRules::default(),
    })
}

pub fn put(key: Key, mode: PutMode, spec: Spec) -> Command {
    let document = Document::new("", r#""spec":{"x":1}"#, &key.name, "-");
    Command::Put(Box::new(Put {
        key,
        mode,
        spec,
        typed_version: 1,
        document,
        finalizers: Vec::new(),
        owners: Vec::new(),
        principal: Principal::new("dana"),
        idempotency: None,
    }))
}

pub fn create(key: Key, uid: u128, spec: Spec) -> Command {
    put(key, PutMode::Create { uid: Uid(uid) }, spec)
}

pub fn create_job(name: &str, uid: u128, pods: u32, gpus: u64) -> Command {
    create(Key::job("default", name), uid, Spec::Job(job_spec(pods, gpus, false)))
}

pub fn delete(key: Key, propagation: Propagation) -> Command {
    let principal = Principal::new("dana");
    Command::Delete(Delete {
        key,
        precondition: Precondition::default(),
        propagation,
        grace_s: None,
        principal,
    })
}

pub fn incarnation(n: u128) -> Incarnation {
    Incarnation { folder: n, boot: 1 }
}

pub fn shapes(nodes: u32) -> Vec<NodeShape> {
    let allocatable = Resources { gpu_milli: 8000, cpu_milli: 96_000, memory_bytes: 1024 * GIB };
    vec![NodeShape { gpu_model: Some(GpuModel::new("A100")), allocatable, nodes }]
}

pub fn capacity(member: &str, nodes: u32) -> Command {
    Command::ChangeCapacity(CapacityChange {
        member: MemberName::new(member),
        incarnation: incarnation(1),
        shapes: shapes(nodes),
        agent_version: "0.1.0".into(),
        gpu_source: GpuSource::Simulated,
        can_fence: true,
    })
}

pub fn joining(member: &str, uid: u128) -> [Command; 2] {
    let token =
        JoinTokenSpec { hash: DocumentHash(uid), member: MemberName::new(member), expires: TimeMs(1 << 60) };
    let token_key = Key::new(kinds::JOIN_TOKEN, "", &format!("{uid:032x}"));
    let spec = ClusterSpec {
        location: Location::region("onprem", "berlin"),
        price_class: PriceClass::OnPrem,
        backend: Backend::Process,
        labels: Default::default(),
        taints: Vec::new(),
        unschedulable: false,
        transfer_bytes_per_second: None,
    };
    let member = MemberName::new(member);
    let join = Join {
        token: DocumentHash(uid),
        member,
        certificate_from: TimeMs(0),
        uid: Uid(uid),
        spec,
        document: Document::default(),
    };
    [create(token_key, uid + 1000, Spec::JoinToken(token)), Command::Join(join)]
}

pub struct World {
    pub state: State,
    pub now: u64,
    pub log: Vec<Entry>,
    /// What members report of pods.
    pub pods: PodCounts,
}

impl World {
    /// A hub with the namespace `default` and members `a` and `b` of two 8-GPU Nodes each.
    pub fn new() -> World {
        let mut world =
            World { state: State::new(1), now: 1_000, log: Vec::new(), pods: PodCounts::default() };
        world.ok(create(Key::namespace("default"), 1, Spec::Namespace(NamespaceSpec::default())));
        for (member, uid) in [("a", 10), ("b", 20)] {
            for command in joining(member, uid) {
                world.ok(command);
            }
            world.ok(capacity(member, 2));
            world.ok(Command::SetReady { member: MemberName::new(member), ready: true });
        }
        world
    }

    pub fn apply(&mut self, command: Command) -> Applied {
        self.now += 10;
        let entry = Entry { time: TimeMs(self.now), command };
        let applied = self.state.apply(&entry);
        self.log.push(entry);
        applied
    }

    pub fn ok(&mut self, command: Command) -> Answer {
        let answer = self.apply(command).answer;
        assert!(!matches!(answer, Answer::Rejected(_)), "{answer:?}");
        answer
    }

    pub fn job(&self, name: &str) -> Option<&Job> {
        self.state.get(&Key::job("default", name))?.job()
    }

    /// A place for the job that claims the first Nodes of the member with room, or Nodes without room if there are none.
    pub fn place(&self, name: &str, member: &str) -> Option<(Key, Uid, Assignment)> {
        let key = Key::job("default", name);
        let object = self.state.get(&key)?;
        let set = &object.job()?.spec.pod_sets[0];
        let claims = (0..set.count).map(|pod| PodClaim { pod_set: 0, node: pod % 2, pods: 1 }).collect();
        let assignment = Assignment {
            member: MemberName::new(member),
            claims,
            gpu_model: Some(GpuModel::new("A100")),
            requests: vec![set.request],
            hourly: MicroUsd(8_000_000),
            one_off: Vec::new(),
            policy: GrantPolicy::default(),
            after: Vec::new(),
            because: "it is the cheapest".into(),
            data: Vec::new(),
        };
        Some((key, object.meta.uid, assignment))
    }

    pub fn plan(&mut self, name: &str, member: &str) -> PlanAnswer {
        let assignments = self.place(name, member).into_iter().collect();
        let plan = Plan { based_on: self.state.revision(), assignments, evictions: Vec::new() };
        match self.apply(Command::CommitPlan(plan)).answer {
            Answer::Planned(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// A report of the job's attempt, if it has one, by its member.
    pub fn report(&mut self, name: &str, state: ReportedState) {
        let key = Key::job("default", name);
        let Some(object) = self.state.get(&key) else { return };
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { return };
        let report = AttemptReport {
            job: key,
            uid: object.meta.uid,
            epoch: attempt.epoch,
            state,
            pods: self.pods,
            completed_indexes: "".into(),
            index_failures: IndexFailures::default(),
        };
        let member = attempt.assignment.member.clone();
        self.ok(Command::ReportAttempts { member, incarnation: incarnation(1), reports: vec![report] });
    }

    pub fn ended(&mut self, name: &str, outcome: AttemptOutcome) {
        self.report(name, ReportedState::Ended { outcome, exit_code: Some(0), at: TimeMs(self.now) });
    }

    pub fn free_gpus(&self, member: &str) -> u64 {
        let cluster =
            self.state.get(&Key::cluster(member)).and_then(|object| object.cluster()).expect("the member");
        cluster.status.nodes.gpus().iter().map(|(_, _, free)| free / 1000).sum()
    }
}

/// By somebody's will.
pub fn by(name: &str) -> FaultOwner {
    FaultOwner::Principal(Principal::new(name))
}

/// A fault of this kind, to members `a` and `b`, and replicas `c1` to `c3`; 5 is a member that is not there.
pub fn fault_spec(kind: u8, target: u8, ttl_ms: u64) -> FaultSpec {
    let member = |name: &str| FaultTarget::Member(MemberName::new(name));
    let target = match target {
        0 => member("a"),
        1 => member("b"),
        2 => FaultTarget::Replica("c1".into()),
        3 => FaultTarget::Replica("c2".into()),
        4 => FaultTarget::Replica("c3".into()),
        _ => member("nobody"),
    };
    FaultSpec { kind: FaultKind::ALL[usize::from(kind)], target, ttl: DurationMs(ttl_ms) }
}

pub fn start_fault(id: &str, uid: u128, spec: FaultSpec, owner: FaultOwner) -> Command {
    Command::StartFault(Box::new(StartFault {
        id: id.into(),
        uid: Uid(uid),
        spec,
        owner,
        principal: Principal::new("remi"),
        replicas: ["c1", "c2", "c3"].map(Into::into).to_vec(),
    }))
}

/// A game day of three faults.
pub fn game_day() -> GameDaySpec {
    let limits = GameDayLimits { members: 1, replicas: 1, gpus: None, duration: DurationMs(60_000) };
    GameDaySpec { limits, ..GameDaySpec::default() }
}

/// Its plan.
pub fn day_plan(world: &World) -> FaultPlan {
    let uid = |name: &str| world.state.get(&Key::cluster(name)).map_or(Uid(0), |object| object.meta.uid);
    let step = |kind, target, uid| {
        let FaultSpec { kind, target, ttl } = fault_spec(kind, target, 5_000);
        FaultStep { kind, target, target_uid: uid, after: DurationMs(0), ttl }
    };
    FaultPlan { steps: vec![step(0, 0, uid("a")), step(1, 0, uid("a")), step(2, 2, Uid(0))] }
}

/// Asks for a run, with the right hash or without any approval.
pub fn start_day(world: &mut World, approve: bool) -> Answer {
    let hash = DocumentHash(7);
    let Some(uid) = world.state.get(&Key::game_day("d")).map(|object| object.meta.uid) else {
        return Answer::Done;
    };
    let plan = day_plan(world);
    let start = StartGameDay {
        day: "d".into(),
        uid,
        plan,
        hash,
        approved: approve.then_some(hash),
        principal: Principal::new("remi"),
    };
    world.apply(Command::StartGameDay(Box::new(start))).answer
}
