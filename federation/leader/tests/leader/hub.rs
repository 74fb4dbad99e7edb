//! A hub of one replica around a leader: the real state machine, a clock by hand, and proposals that are committed when the
//! test says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::State;
use muster_leader::{Action, Config, Input, Leader, Outcome, ProposalId, RoundId, SessionId};
use muster_model::*;

/// 2026-11-20T10:44:05Z.
pub const START: u64 = 1_795_171_445_000;

pub struct Hub {
    pub state: Arc<State>,
    pub leader: Leader,
    /// Milliseconds since the start.
    pub at: u64,
    pub open: BTreeMap<ProposalId, Command>,
    /// Rounds that were started and not done.
    pub rounds: Vec<RoundId>,
}

impl Hub {
    /// A hub whose members have joined and are ready, and whose leader was just elected and has caught up.
    pub fn new(members: &[&str]) -> Hub {
        let mut state = State::new(1);
        apply(&mut state, 0, create(Key::namespace("default"), Spec::Namespace(NamespaceSpec::default())));
        for member in members {
            join(&mut state, member);
            apply(&mut state, 0, Command::ChangeCapacity(capacity(member, 1, 2)));
            apply(&mut state, 0, Command::SetReady { member: MemberName::new(*member), ready: true });
        }
        Hub::elected(state, 0)
    }

    /// A new leader over this state, caught up.
    pub fn elected(state: State, at: u64) -> Hub {
        let state = Arc::new(state);
        let leader = Leader::new(7, &state, TimeMs(START + at), Config::default());
        let mut hub = Hub { state, leader, at, open: BTreeMap::new(), rounds: Vec::new() };
        hub.tick();
        hub.commit();
        hub
    }

    pub fn step(&mut self, input: Input) -> Vec<Action> {
        let actions = self.leader.step(input, TimeMs(START + self.at));
        for action in &actions {
            match action {
                Action::Propose { id, command } => drop(self.open.insert(*id, command.clone())),
                Action::StartRead { round } => self.rounds.push(*round),
                Action::Send { .. } | Action::Close { .. } => {}
            }
        }
        actions
    }

    pub fn tick(&mut self) -> Vec<Action> {
        self.step(Input::Tick)
    }

    /// Time passes, with ten ticks a second.
    pub fn wait(&mut self, ms: u64) -> Vec<Action> {
        let until = self.at + ms;
        let mut actions = Vec::new();
        while self.at < until {
            self.at = (self.at + 100).min(until);
            actions.extend(self.tick());
        }
        actions
    }

    /// Commits what is proposed, and what follows from it, until nothing is open.
    pub fn commit(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some((id, command)) = self.open.pop_first() {
            actions.extend(self.commit_one(id, command));
        }
        actions
    }

    pub fn commit_one(&mut self, id: ProposalId, command: Command) -> Vec<Action> {
        let (answer, mut actions) = self.apply(command);
        actions.extend(self.step(Input::ProposalDone { id, outcome: Outcome::Answered(answer) }));
        actions
    }

    /// Everything proposed comes to nothing.
    pub fn lose_proposals(&mut self) -> Vec<Action> {
        let lost: Vec<_> = std::mem::take(&mut self.open).into_keys().collect();
        let done = |id| Input::ProposalDone { id, outcome: Outcome::Unknown };
        lost.into_iter().flat_map(|id| self.step(done(id))).collect()
    }

    /// An entry that someone else proposed.
    pub fn apply(&mut self, command: Command) -> (Answer, Vec<Action>) {
        let mut state = State::clone(&self.state);
        let applied = state.apply(&Entry { time: TimeMs(START + self.at), command });
        self.state = Arc::new(state);
        let input = Input::StateChanged { state: Arc::clone(&self.state), events: applied.events };
        (applied.answer, self.step(input))
    }

    pub fn open_session(&mut self, session: u64, member: &str) -> Vec<Action> {
        let (member, session) = (MemberName::new(member), SessionId(session));
        self.step(Input::SessionOpened { member, session, certificate_from: TimeMs(START) })
    }

    pub fn say(&mut self, session: u64, message: ToHub) -> Vec<Action> {
        self.step(Input::FromMember { session: SessionId(session), message })
    }

    pub fn beat(&mut self, session: u64, seq: u64) -> Vec<Action> {
        self.say(session, ToHub::Heartbeat { seq })
    }

    /// The oldest round that is not done, is.
    pub fn read_done(&mut self) -> Vec<Action> {
        let round = self.rounds.remove(0);
        self.step(Input::ReadDone { round })
    }

    /// A heartbeat and its acknowledgement.
    pub fn contact(&mut self, session: u64, seq: u64) -> Vec<Action> {
        self.beat(session, seq);
        self.read_done()
    }

    /// A member's session, live; the hub's answer to its hello.
    pub fn connect(&mut self, session: u64, member: &str) -> Vec<Action> {
        self.connect_as(session, member, 1, vec![])
    }

    pub fn connect_as(
        &mut self,
        session: u64,
        member: &str,
        incarnation: u128,
        attempts: Vec<AttemptReport>,
    ) -> Vec<Action> {
        let mut actions = self.open_session(session, member);
        actions.extend(self.say(session, hello(member, incarnation, attempts)));
        if !self.rounds.is_empty() {
            actions.extend(self.read_done());
        }
        actions
    }

    /// Creates a job under this policy; the planner places it when that is committed.
    pub fn create_job(&mut self, name: &str, policy: PartitionPolicy) -> Vec<Action> {
        let (_, mut actions) =
            self.apply(create(Key::job("default", name), Spec::Job(Arc::new(job_spec(policy)))));
        actions.extend(self.commit());
        actions
    }

    pub fn job(&self, name: &str) -> &Job {
        self.state.get(&Key::job("default", name)).and_then(|object| object.job()).expect("a job")
    }

    pub fn epoch(&self, name: &str) -> Epoch {
        self.job(name).attempt.as_ref().expect("a live attempt").epoch
    }

    pub fn report(&self, name: &str, state: ReportedState) -> AttemptReport {
        let object = self.state.get(&Key::job("default", name)).expect("a job");
        let epoch = self.epoch(name);
        let (job, uid) = (object.key.clone(), object.meta.uid);
        AttemptReport {
            job,
            uid,
            epoch,
            state,
            pods: PodCounts::default(),
            completed_indexes: "".into(),
            index_failures: IndexFailures::default(),
        }
    }
}

pub fn running() -> ReportedState {
    ReportedState::Running { since: TimeMs(START) }
}

pub fn succeeded() -> ReportedState {
    ReportedState::Ended { outcome: AttemptOutcome::Succeeded, exit_code: Some(0), at: TimeMs(START) }
}

pub fn apply(state: &mut State, at: u64, command: Command) -> Answer {
    let answer = state.apply(&Entry { time: TimeMs(START + at), command }).answer;
    assert!(!matches!(answer, Answer::Rejected(_)), "{answer:?}");
    answer
}

pub fn create(key: Key, spec: Spec) -> Command {
    let uid = Uid(key.to_string().bytes().fold(1, |sum, byte| sum * 31 % (1 << 60) + u128::from(byte)));
    Command::Put(Box::new(Put {
        key,
        mode: PutMode::Create { uid },
        spec,
        typed_version: 1,
        document: Document::default(),
        finalizers: vec![],
        owners: vec![],
        principal: Principal::new("petra"),
        idempotency: None,
    }))
}

fn join(state: &mut State, member: &str) {
    let token = DocumentHash(7);
    let spec = JoinTokenSpec { hash: token, member: MemberName::new(member), expires: TimeMs(START + 1_000) };
    let key = Key::new(kinds::JOIN_TOKEN, "", &format!("{:032x}", token.0));
    apply(state, 0, create(key, Spec::JoinToken(spec)));
    let spec = ClusterSpec {
        location: Location::region("onprem", "berlin"),
        price_class: PriceClass::OnPrem,
        backend: Backend::Simulated,
        labels: BTreeMap::new(),
        taints: vec![],
        unschedulable: false,
        transfer_bytes_per_second: None,
    };
    let uid = Uid(u128::from(member.as_bytes()[0]));
    let (member, document) = (MemberName::new(member), Document::default());
    apply(
        state,
        0,
        Command::Join(Join { token, member, certificate_from: TimeMs(START), uid, spec, document }),
    );
}

pub fn incarnation(folder: u128) -> Incarnation {
    Incarnation { folder, boot: 1 }
}

/// Nodes of 8 GPUs.
pub fn capacity(member: &str, incarnation_folder: u128, nodes: u32) -> CapacityChange {
    let allocatable = Resources { gpu_milli: 8_000, cpu_milli: 96_000, memory_bytes: 1 << 40 };
    CapacityChange {
        member: MemberName::new(member),
        incarnation: incarnation(incarnation_folder),
        shapes: vec![NodeShape { gpu_model: Some(GpuModel::new("A100")), allocatable, nodes }],
        agent_version: "0.1.0".into(),
        gpu_source: GpuSource::Simulated,
        can_fence: true,
    }
}

pub fn hello(member: &str, folder: u128, attempts: Vec<AttemptReport>) -> ToHub {
    ToHub::Hello(Hello { incarnation: incarnation(folder), capacity: capacity(member, folder, 2), attempts })
}

/// One pod with one GPU.
pub fn job_spec(policy: PartitionPolicy) -> JobSpec {
    let options = PlacementSpec {
        partition_policy: policy,
        fence_after: Some(DurationMs::from_secs(60)),
        ..PlacementSpec::default()
    };
    let request = Resources { gpu_milli: 1_000, cpu_milli: 1_000, memory_bytes: 1 << 30 };
    JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count: 1, request }],
        completion: Completion { parallelism: 1, completions: Some(1), indexed: false },
        backoff_limit: 6,
        active_deadline: Some(DurationMs::from_secs(600)),
        ttl_after_finished: Some(DurationMs::from_secs(5)),
        grace: DurationMs::from_secs(30),
        suspend: false,
        placement: PlacementChoice::Inline(Arc::new(options)),
        tolerations: vec![],
        node_selector: Selector::default(),
        gpu_model: None,
        rules: JobRules::default(),
    }
}

/// Actions as lines.
pub fn show(actions: &[Action]) -> String {
    actions.iter().map(|action| format!("{}\n", line(action))).collect()
}

fn line(action: &Action) -> String {
    match action {
        Action::Propose { command, .. } => format!("propose {}", command_line(command)),
        Action::StartRead { .. } => "start read".to_owned(),
        Action::Send { session, message } => format!("to {}: {}", session.0, message_line(message)),
        Action::Close { session, reason } => format!("close {}: {reason}", session.0),
    }
}

fn command_line(command: &Command) -> String {
    match command {
        Command::CommitPlan(plan) => {
            let line = |(key, _, to): &(Key, Uid, Assignment)| format!("{} on {}", key.name, to.member);
            format!("plan {}", plan.assignments.iter().map(line).collect::<Vec<_>>().join(", "))
        }
        Command::ReportAttempts { member, incarnation, reports } => {
            format!("reports of {member}/{}: {}", incarnation.folder, jobs(reports.iter().map(|r| &r.job)))
        }
        Command::FenceAttempts { member, attempts, reason } => {
            format!("fence on {member} by {reason:?}: {}", jobs(attempts.iter().map(|(job, _)| job)))
        }
        Command::ChangeCapacity(change) => {
            format!(
                "capacity of {}/{}: {} Nodes",
                change.member, change.incarnation.folder, change.shapes[0].nodes
            )
        }
        Command::SetReady { member, ready } => format!("ready {member} {ready}"),
        other => format!("{other:?}"),
    }
}

fn message_line(message: &ToMember) -> String {
    let names = |attempts: &[Arc<DesiredAttempt>]| {
        let line = |a: &Arc<DesiredAttempt>| match a.stop {
            None => a.job.name.to_string(),
            Some(reason) => format!("{} stop {reason:?}", a.job.name),
        };
        attempts.iter().map(line).collect::<Vec<_>>().join(", ")
    };
    match message {
        ToMember::Ack { seq, epochs } => format!("ack {seq} renews {}", epochs.len()),
        ToMember::Full { attempts, .. } => format!("full [{}]", names(attempts)),
        ToMember::Delta { changed, gone, .. } => format!("delta [{}] gone {}", names(changed), gone.len()),
        ToMember::ReportsTaken { seq } => format!("taken {seq}"),
        ToMember::Close { reason } => format!("close: {reason}"),
        ToMember::Transfers { orders } => format!("{} transfers", orders.len()),
    }
}

fn jobs<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    keys.map(|key| key.name.to_string()).collect::<Vec<_>>().join(", ")
}
