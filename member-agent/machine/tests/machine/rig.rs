//! A machine with a clock, a journal and a readable log of what it asks for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use muster_member_machine::*;
use muster_model::*;

/// The chosen mutant is one for the whole process.
#[cfg(mutants)]
pub static MUTANTS: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The machine under test.
pub struct Rig {
    pub machine: Machine,
    pub now: Clock,
    pub journal: Vec<Record>,
    pub log: String,
    /// The last report of each attempt.
    pub reports: BTreeMap<Epoch, AttemptReport>,
    session: u64,
}

pub fn capacity(boot: u128) -> CapacityChange {
    let allocatable = Resources { gpu_milli: 4000, cpu_milli: 64_000, memory_bytes: 1 << 38 };
    CapacityChange {
        member: MemberName::new("m"),
        incarnation: Incarnation { folder: 1, boot },
        shapes: vec![NodeShape { gpu_model: Some(GpuModel::new("G")), allocatable, nodes: 2 }],
        agent_version: "0".into(),
        gpu_source: GpuSource::Simulated,
        can_fence: true,
    }
}

/// A job of `pods` pods at a time that needs `completions`, under `Keep`.
pub fn desired(epoch: u64, pods: u32, completions: Option<u32>) -> DesiredAttempt {
    let request = Resources { gpu_milli: 1000, cpu_milli: 1000, memory_bytes: 1 << 30 };
    let completion = Completion { parallelism: pods, completions, indexed: false };
    DesiredAttempt {
        job: Key::job("default", "train"),
        uid: Uid(0xabcd << 100),
        epoch: Epoch(epoch),
        spec: Arc::new(JobSpec {
            pod_sets: vec![PodSet { name: "main".into(), count: pods, request }],
            completion,
            backoff_limit: 2,
            active_deadline: None,
            ttl_after_finished: None,
            grace: DurationMs(3_000),
            suspend: false,
            placement: PlacementChoice::Default,
            tolerations: vec![],
            node_selector: Selector::default(),
            gpu_model: None,
            rules: JobRules::default(),
        }),
        body: "\"spec\":{}".into(),
        claims: vec![PodClaim { pod_set: 0, node: 0, pods }],
        gpu_model: Some(GpuModel::new("G")),
        requests: vec![request],
        policy: GrantPolicy::default(),
        stop: None,
        grace: DurationMs(3_000),
        before: PodCounts::default(),
        completed_indexes: "".into(),
        index_failures: IndexFailures::default(),
        active_deadline_left: None,
        data: vec![],
    }
}

pub fn with_spec(mut desired: DesiredAttempt, change: impl FnOnce(&mut JobSpec)) -> DesiredAttempt {
    change(Arc::make_mut(&mut desired.spec));
    desired
}

pub fn fenced(mut desired: DesiredAttempt, fence_after_ms: u64) -> DesiredAttempt {
    desired.policy =
        GrantPolicy { partition: PartitionPolicy::Fence, fence_after: DurationMs(fence_after_ms) };
    desired
}

pub fn pod(epoch: u64, serial: u32) -> PodId {
    PodId { epoch: Epoch(epoch), serial }
}

pub fn end(reason: EndReason, exit_code: Option<i32>) -> Observation {
    Observation::Ended(PodEnd {
        started: Some(TimeMs(1)),
        finished: TimeMs(2),
        exit_code,
        exits: vec![],
        signal: None,
        reason,
        message: "".into(),
    })
}

pub fn completed() -> Observation {
    end(EndReason::Completed, Some(0))
}

pub fn failed() -> Observation {
    end(EndReason::Error, Some(1))
}

impl Rig {
    /// A new machine that has adopted nothing, at 1,000 s.
    pub fn new() -> Rig {
        let mut rig = Rig {
            machine: Machine::new(capacity(1)),
            now: Clock { boot_ms: 1_000_000, real_ms: 1_000_000 },
            journal: Vec::new(),
            log: String::new(),
            reports: BTreeMap::new(),
            session: 0,
        };
        rig.step(Input::Adopted { pods: vec![], absent: Absent::NeverStarted });
        rig
    }

    /// One in a session whose hello was acknowledged, with this desired set; the log begins at the set.
    pub fn with(wanted: Vec<DesiredAttempt>) -> Rig {
        let mut rig = Rig::new();
        rig.open();
        rig.ack(0, &[]);
        rig.log.clear();
        rig.full(wanted);
        rig
    }

    pub fn open(&mut self) {
        self.session += 1;
        self.step(Input::SessionOpened { session: self.session });
    }

    pub fn step(&mut self, input: Input) {
        for action in self.machine.step(input, self.now) {
            match &action {
                Action::Persist(records) => self.journal.extend(records.iter().cloned()),
                Action::Send { message: ToHub::Hello(hello), .. } => self.keep(&hello.attempts),
                Action::Send { message: ToHub::Reports { reports, .. }, .. } => self.keep(reports),
                _ => {}
            }
            if let Some(line) = describe(&action) {
                writeln!(self.log, "{} {line}", self.now.boot_ms - 1_000_000).unwrap();
            }
        }
    }

    fn keep(&mut self, reports: &[AttemptReport]) {
        self.reports.extend(reports.iter().map(|report| (report.epoch, report.clone())));
    }

    pub fn hear(&mut self, message: ToMember) {
        self.step(Input::FromHub { session: self.session, message });
    }

    pub fn ack(&mut self, seq: u64, epochs: &[u64]) {
        self.hear(ToMember::Ack { seq, epochs: epochs.iter().map(|e| Epoch(*e)).collect() });
    }

    pub fn full(&mut self, wanted: Vec<DesiredAttempt>) {
        let attempts = wanted.into_iter().map(Arc::new).collect();
        self.hear(ToMember::Full { revision: Revision(1), attempts });
    }

    pub fn delta(&mut self, changed: Vec<DesiredAttempt>, gone: &[u64]) {
        let changed = changed.into_iter().map(Arc::new).collect();
        let gone = gone.iter().map(|e| Epoch(*e)).collect();
        self.hear(ToMember::Delta { revision: Revision(2), changed, gone });
    }

    pub fn seen(&mut self, pod: PodId, seen: Observation) {
        self.step(Input::PodChanged { pod, seen });
    }

    pub fn running(&mut self, epoch: u64, serial: u32) {
        let since = self.now.time();
        self.seen(pod(epoch, serial), Observation::Running { since });
    }

    /// Time passes on both clocks, with a tick every 500 ms.
    pub fn pass(&mut self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            let part = left.min(500);
            self.now.boot_ms += part;
            self.now.real_ms += part;
            left -= part;
            self.step(Input::Tick);
        }
    }

    /// The agent is killed; a new one finds these pods.
    pub fn restart(&mut self, boot: u128, pods: Vec<(PodId, Observation)>) {
        self.machine = Machine::recover(capacity(boot), self.journal.clone());
        self.step(Input::Adopted { pods, absent: Absent::NeverStarted });
    }

    /// The log so far, and an empty one.
    pub fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log)
    }
}

/// One line for what is worth reading; heartbeats and mirrors are not.
fn describe(action: &Action) -> Option<String> {
    let id = |pod: &PodId| format!("{}/{}", pod.epoch.0, pod.serial);
    Some(match action {
        Action::Persist(records) => {
            format!("persist {}", records.iter().map(describe_record).collect::<Vec<_>>().join(", "))
        }
        Action::Send { message: ToHub::Heartbeat { .. }, .. } | Action::ShowPod { .. } => return None,
        Action::Send { message: ToHub::Hello(hello), session } => {
            format!("hello session {session} {}", describe_reports(&hello.attempts))
        }
        Action::Send { message: ToHub::Reports { seq, reports }, .. } => {
            format!("report {seq}: {}", describe_reports(reports))
        }
        Action::Send { message: ToHub::Capacity(_), .. } => "capacity".to_owned(),
        Action::Send { message: ToHub::Data(_), .. } => "data".to_owned(),
        Action::Reconnect { session } => format!("reconnect {session}"),
        Action::StartPod(start) => {
            let base =
                start.fence_base.map(|b| format!(" from {}", b.boot_ms - 1_000_000)).unwrap_or_default();
            let index = start.index.map(|index| format!(" index {index}")).unwrap_or_default();
            format!("start {}{index} node {} gpus {:?}{base}", id(&start.id), start.node, start.gpus)
        }
        Action::StopPod { pod, grace, reason } => format!("stop {} {} {reason:?}", id(pod), grace.0),
        Action::RenewDeadline { pod, base, .. } => {
            format!("renew {} from {}", id(pod), base.boot_ms - 1_000_000)
        }
        Action::RemovePod { pod } => format!("remove {}", id(pod)),
        Action::HidePod { .. } => "hide".to_owned(),
        Action::Warn(note) => format!("warn {}", note.reason),
    })
}

fn describe_record(record: &Record) -> String {
    match record {
        Record::Life(_) => "life".to_owned(),
        Record::Seen { epoch, .. } => format!("seen {}", epoch.0),
        Record::Attempt(attempt) => format!("attempt {}", attempt.desired.epoch.0),
        Record::Pod(pod) => format!("pod {}/{}", pod.epoch.0, pod.serial),
        Record::PodEnded { epoch, serial, end, .. } => format!("dead {}/{serial} {:?}", epoch.0, end.reason),
        Record::Ending { epoch, ending } => format!("ending {} {}", epoch.0, outcome(&ending.outcome)),
        Record::Ended { epoch, .. } => format!("ended {}", epoch.0),
        Record::Taken { epoch } => format!("taken {}", epoch.0),
        Record::Forgotten { epoch } => format!("forgotten {}", epoch.0),
    }
}

fn describe_reports(reports: &[AttemptReport]) -> String {
    let one = |report: &AttemptReport| {
        let state = match &report.state {
            ReportedState::Running { .. } => "running".to_owned(),
            ReportedState::Ended { outcome: how, exit_code, .. } => match exit_code {
                Some(code) => format!("{} ({code})", outcome(how)),
                None => outcome(how),
            },
        };
        let PodCounts { active, ready, succeeded, failed, terminating } = report.pods;
        let ending = if terminating > 0 { format!(" ending {terminating}") } else { String::new() };
        let IndexFailures { failed: over, counts } = &report.index_failures;
        let indexes = match (over.is_empty(), counts.is_empty()) {
            (true, true) => String::new(),
            _ => format!(" failed {over} of {counts}"),
        };
        format!(
            "{} {state} {active}/{ready}/{succeeded}/{failed} {}{indexes}{ending}",
            report.epoch.0, report.completed_indexes
        )
    };
    reports.iter().map(one).map(|text| format!("[{}]", text.trim_end())).collect::<Vec<_>>().join(" ")
}

fn outcome(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Failed(why) => why.reason.to_string(),
        other => format!("{other:?}"),
    }
}
