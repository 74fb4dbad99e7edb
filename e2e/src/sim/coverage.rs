//! Which branches of the parts under test a run took: commands with what apply answered, and inputs of machine and leader
//! with what they did. What is in no cell was not reached, and a simulator that finds nothing there proves nothing.

use std::collections::BTreeMap;

use muster_leader::{Action as LeaderAction, Input as LeaderInput};
use muster_member_machine::{Action as AgentAction, Input as AgentInput, Observation};
use muster_model::{Answer, BurstCommand, Command, Rejection, ToHub, ToMember};

/// What came in, and what followed: how often.
pub type Cells = BTreeMap<(&'static str, &'static str), u64>;

/// One table: its rows, its columns, and what was seen.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// What it is about.
    pub title: &'static str,
    /// What may come in.
    pub rows: &'static [&'static str],
    /// What may follow.
    pub columns: &'static [&'static str],
    /// Where its cells are.
    pub cells: fn(&Coverage) -> &Cells,
}

/// All tables.
pub const GRIDS: [Grid; 3] = [
    Grid { title: "apply", rows: COMMANDS, columns: ANSWERS, cells: |seen| &seen.apply },
    Grid { title: "agent machine", rows: AGENT_INPUTS, columns: AGENT_ACTIONS, cells: |seen| &seen.agent },
    Grid { title: "leader", rows: LEADER_INPUTS, columns: LEADER_ACTIONS, cells: |seen| &seen.leader },
];

/// What was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    apply: Cells,
    agent: Cells,
    leader: Cells,
}

/// A step that led to nothing.
const NOTHING: &str = "nothing";

impl Coverage {
    /// An entry was applied.
    pub fn applied(&mut self, command: &Command, answer: &Answer) {
        count(&mut self.apply, command_name(command), answer_name(answer));
    }

    /// The machine of an agent took an input.
    pub fn agent(&mut self, input: &'static str, actions: &[AgentAction]) {
        tell(&mut self.agent, input, actions.iter().map(agent_action_name));
    }

    /// A leader took an input.
    pub fn leader(&mut self, input: &'static str, actions: &[LeaderAction]) {
        tell(&mut self.leader, input, actions.iter().map(leader_action_name));
    }

    /// Adds what another run reached.
    pub fn add(&mut self, other: &Coverage) {
        let pairs = [
            (&mut self.apply, &other.apply),
            (&mut self.agent, &other.agent),
            (&mut self.leader, &other.leader),
        ];
        for (ours, theirs) in pairs {
            theirs.iter().for_each(|(cell, times)| *ours.entry(*cell).or_default() += times);
        }
    }
}

impl Grid {
    /// Rows that never came.
    pub fn rows_never(&self, seen: &Coverage) -> Vec<&'static str> {
        let cells = (self.cells)(seen);
        self.rows.iter().filter(|row| !cells.keys().any(|(found, _)| found == *row)).copied().collect()
    }

    /// Columns that never followed.
    pub fn columns_never(&self, seen: &Coverage) -> Vec<&'static str> {
        let cells = (self.cells)(seen);
        self.columns
            .iter()
            .filter(|column| !cells.keys().any(|(_, found)| found == *column))
            .copied()
            .collect()
    }
}

fn tell(cells: &mut Cells, input: &'static str, actions: impl Iterator<Item = &'static str>) {
    let mut none = true;
    for action in actions {
        none = false;
        count(cells, input, action);
    }
    if none {
        count(cells, input, NOTHING);
    }
}

fn count(cells: &mut Cells, row: &'static str, column: &'static str) {
    *cells.entry((row, column)).or_default() += 1;
}

macro_rules! names {
    ($(#[doc = $doc:literal])* $name:ident, $all:ident, $type:ty { $($pattern:pat $(if $guard:expr)? => $word:literal,)* } $(+ $more:expr)?) => {
        const $all: &[&str] = &[$($word,)* $($more)?];

        $(#[doc = $doc])*
        pub fn $name(of: &$type) -> &'static str {
            match of { $($pattern $(if $guard)? => $word,)* }
        }
    };
}

names! {
    /// A command's name.
    command_name, COMMANDS, Command {
        Command::Tick => "tick",
        Command::Put(_) => "put",
        Command::Delete(_) => "delete",
        Command::CommitPlan(_) => "commit-plan",
        Command::ReportAttempts { .. } => "report-attempts",
        Command::FenceAttempts { .. } => "fence-attempts",
        Command::Join(_) => "join",
        Command::ChangeCapacity(_) => "change-capacity",
        Command::SetReady { .. } => "set-ready",
        Command::Revoke { .. } => "revoke",
        Command::DeclareLost { .. } => "declare-lost",
        Command::Expire { .. } => "expire",
        Command::Collect { .. } => "collect",
        Command::Note { .. } => "note",
        Command::Deny { .. } => "deny",
        Command::Burst(burst) if matches!(**burst, BurstCommand::Request { .. }) => "burst-request",
        Command::Burst(_) => "burst-step",
        Command::Connect(_) => "connect",
        Command::StartFault(_) => "start-fault",
        Command::ReportFault(_) => "report-fault",
        Command::AbortFaults(_) => "abort-faults",
        Command::ResumeChaos(_) => "resume-chaos",
        Command::Drain(_) => "drain",
        Command::StartGameDay(_) => "start-game-day",
        Command::ProbeGameDay(_) => "probe-game-day",
        Command::StopGameDay(_) => "stop-game-day",
        Command::ApproveGameDay(_) => "approve-game-day",
        Command::SkipGameDay(_) => "skip-game-day",
        Command::ReportData(_) => "report-data",
    }
}

names! {
    /// What apply answered.
    answer_name, ANSWERS, Answer {
        Answer::Done => "done",
        Answer::Stored(_) => "stored",
        Answer::Removed(_) => "removed",
        Answer::Deleting(_) => "deleting",
        Answer::Planned(plan) if plan.rejected.is_empty() => "planned",
        Answer::Planned(_) => "planned in part",
        Answer::Rejected(Rejection::NotFound(_)) => "not found",
        Answer::Rejected(Rejection::AlreadyExists(_)) => "already exists",
        Answer::Rejected(Rejection::Conflict { .. }) => "conflict",
        Answer::Rejected(Rejection::UidChanged { .. }) => "uid changed",
        Answer::Rejected(Rejection::NamespaceMissing(_)) => "namespace missing",
        Answer::Rejected(Rejection::NamespaceTerminating(_)) => "namespace terminating",
        Answer::Rejected(Rejection::Forbidden(..)) => "forbidden",
        Answer::Rejected(Rejection::Invalid { .. }) => "invalid",
        Answer::Rejected(Rejection::TokenRefused(_)) => "token refused",
        Answer::Rejected(Rejection::OtherIncarnation) => "other incarnation",
        Answer::Rejected(Rejection::TooMany { .. }) => "too many",
    }
}

names! {
    /// What the machine of an agent heard.
    agent_input_name, AGENT_INPUTS, AgentInput {
        AgentInput::Adopted { .. } => "adopted",
        AgentInput::SessionOpened { .. } => "session opened",
        AgentInput::SessionLost { .. } => "session lost",
        AgentInput::FromHub { message: ToMember::Ack { .. }, .. } => "hub: ack",
        AgentInput::FromHub { message: ToMember::Full { .. }, .. } => "hub: full set",
        AgentInput::FromHub { message: ToMember::Delta { .. }, .. } => "hub: delta",
        AgentInput::FromHub { message: ToMember::ReportsTaken { .. }, .. } => "hub: reports taken",
        AgentInput::FromHub { message: ToMember::Close { .. }, .. } => "hub: close",
        AgentInput::FromHub { message: ToMember::Transfers { .. }, .. } => "hub: transfers",
        AgentInput::ForgetJobs { .. } => "forget jobs",
        AgentInput::PodChanged { seen: Observation::Running { .. }, .. } => "pod runs",
        AgentInput::PodChanged { seen: Observation::Ended(_), .. } => "pod ended",
        AgentInput::PodChanged { seen: Observation::Refused { .. }, .. } => "pod refused",
        AgentInput::PodChanged { seen: Observation::Unknown, .. } => "pod unknown",
        AgentInput::PodRestarted { .. } => "pod restarted",
        AgentInput::CapacityChanged(_) => "capacity changed",
        AgentInput::GpusFailed { .. } => "GPUs failed",
        AgentInput::Shutdown { .. } => "shutdown",
        AgentInput::Tick => "tick",
    }
}

names! {
    /// What the machine of an agent did.
    agent_action_name, AGENT_ACTIONS, AgentAction {
        AgentAction::Persist(_) => "persist",
        AgentAction::Send { message: ToHub::Hello(_), .. } => "hello",
        AgentAction::Send { message: ToHub::Heartbeat { .. }, .. } => "heartbeat",
        AgentAction::Send { message: ToHub::Reports { .. }, .. } => "reports",
        AgentAction::Send { message: ToHub::Capacity(_), .. } => "capacity",
        AgentAction::Send { message: ToHub::Data(_), .. } => "data",
        AgentAction::Reconnect { .. } => "reconnect",
        AgentAction::StartPod(_) => "start pod",
        AgentAction::StopPod { .. } => "stop pod",
        AgentAction::RenewDeadline { .. } => "renew deadline",
        AgentAction::RemovePod { .. } => "remove pod",
        AgentAction::ShowPod { .. } => "show pod",
        AgentAction::HidePod { .. } => "hide pod",
        AgentAction::Warn(_) => "warn",
    } + NOTHING
}

names! {
    /// What a leader heard.
    leader_input_name, LEADER_INPUTS, LeaderInput {
        LeaderInput::StateChanged { .. } => "state changed",
        LeaderInput::SessionOpened { .. } => "session opened",
        LeaderInput::FromMember { message: ToHub::Hello(_), .. } => "member: hello",
        LeaderInput::FromMember { message: ToHub::Heartbeat { .. }, .. } => "member: heartbeat",
        LeaderInput::FromMember { message: ToHub::Reports { .. }, .. } => "member: reports",
        LeaderInput::FromMember { message: ToHub::Capacity(_), .. } => "member: capacity",
        LeaderInput::FromMember { message: ToHub::Data(_), .. } => "member: data",
        LeaderInput::SessionClosed { .. } => "session closed",
        LeaderInput::ReadDone { .. } => "read done",
        LeaderInput::ProposalDone { outcome: muster_leader::Outcome::Answered(_), .. } => "proposal answered",
        LeaderInput::ProposalDone { .. } => "proposal unknown",
        LeaderInput::ChaosFacts(_) => "chaos facts",
        LeaderInput::Tick => "tick",
    }
}

names! {
    /// What a leader did.
    leader_action_name, LEADER_ACTIONS, LeaderAction {
        LeaderAction::StartRead { .. } => "start read",
        LeaderAction::Send { message: ToMember::Ack { .. }, .. } => "ack",
        LeaderAction::Send { message: ToMember::Full { .. }, .. } => "full set",
        LeaderAction::Send { message: ToMember::Delta { .. }, .. } => "delta",
        LeaderAction::Send { message: ToMember::ReportsTaken { .. }, .. } => "reports taken",
        LeaderAction::Send { message: ToMember::Transfers { .. }, .. } => "transfers",
        LeaderAction::Send { message: ToMember::Close { .. }, .. } => "close message",
        LeaderAction::Close { .. } => "close",
        LeaderAction::Propose { command: Command::Tick, .. } => "propose tick",
        LeaderAction::Propose { command: Command::CommitPlan(_), .. } => "propose plan",
        LeaderAction::Propose { command: Command::ReportAttempts { .. }, .. } => "propose reports",
        LeaderAction::Propose { command: Command::FenceAttempts { .. }, .. } => "propose fence",
        LeaderAction::Propose { command: Command::ChangeCapacity(_), .. } => "propose capacity",
        LeaderAction::Propose { command: Command::SetReady { .. }, .. } => "propose ready",
        LeaderAction::Propose { command: Command::Expire { .. }, .. } => "propose expire",
        LeaderAction::Propose { command: Command::Collect { .. }, .. } => "propose collect",
        LeaderAction::Propose { command: Command::Burst(_), .. } => "propose burst",
        LeaderAction::Propose { command: Command::ReportData(_), .. } => "propose data",
        LeaderAction::Propose { .. } => "propose another",
    } + NOTHING
}
