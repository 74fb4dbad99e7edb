//! The task around the pure leader, as the controller has it: fed from one inbox, in order, a little late.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use muster_consensus::{Input as RaftInput, Role};
use muster_leader::{Action, Config, Input, Leader, Outcome, ProposalId, RoundId, SessionId};
use muster_model::{Command, Entry, Epoch, MemberName, TimeMs, ToHub, ToMember};
use muster_proto::log;

use super::coverage::leader_input_name;
use super::event::{Event, Life};
use super::hub_machine::Happened;
use super::replica::{REPLICA_NAMES, Waiter};
use super::stream::Down;
use super::world::World;
use crate::invariants::FenceBeforeGrant;

/// Between two looks of the leader at its clock.
const TICK_MS: u64 = 100;

/// The task of one process.
#[derive(Default)]
pub struct LeaderTask {
    pub(super) inbox: VecDeque<TaskInput>,
    is_due: bool,
    reign: Option<Reign>,
    /// Streams that the leader took, by the number it knows them by.
    held: BTreeMap<SessionId, u64>,
    next_session: u64,
}

/// One leadership.
struct Reign {
    leader: Box<Leader>,
    term: u64,
    told: u64,
    /// Epochs whose lapse it proposed.
    lapsed: BTreeSet<Epoch>,
}

/// What the task hears.
pub enum TaskInput {
    /// Role or term changed.
    Role,
    /// Entries were applied.
    Happened(Happened),
    /// Something that the leader asked for came to its end.
    Ended(Ended),
    /// A member opened a stream.
    Open { stream: u64, member: MemberName, certificate_from: TimeMs },
    /// A member said something.
    From { stream: u64, message: ToHub },
    /// A stream is gone.
    Closed { stream: u64 },
    /// Time passed.
    Tick,
}

/// Ends of what the leader asked for.
pub enum Ended {
    /// A round.
    Read { term: u64, round: RoundId, index: u64 },
    /// A proposal.
    Proposal { term: u64, id: ProposalId, outcome: Outcome },
}

impl World {
    pub(super) fn task_tick(&mut self, replica: usize, life: Life) {
        let next = self.hosts[replica].clock.true_ms_of(TICK_MS).max(1);
        self.queue.push(self.now + next, Event::TaskTick { replica, life });
        if let Some(process) = &mut self.replicas[replica].process
            && process.task.reign.is_some()
        {
            process.task.inbox.push_back(TaskInput::Tick);
        }
        self.wake_task(replica);
    }

    /// Gives the task something.
    pub(super) fn tell_task(&mut self, replica: usize, input: TaskInput) {
        if let Some(process) = &mut self.replicas[replica].process {
            process.task.inbox.push_back(input);
        }
        self.wake_task(replica);
    }

    /// The task has a turn soon if there is something for it.
    pub(super) fn wake_task(&mut self, replica: usize) {
        let life = self.replicas[replica].life;
        let delay = self.random.below(3);
        let Some(process) = &mut self.replicas[replica].process else { return };
        if !process.task.inbox.is_empty() && !std::mem::replace(&mut process.task.is_due, true) {
            self.queue.push(self.now + delay, Event::TaskTurn { replica, life });
        }
    }

    pub(super) fn task_turn(&mut self, replica: usize) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        process.task.is_due = false;
        let inputs = std::mem::take(&mut process.task.inbox);
        for input in inputs {
            self.task_input(replica, input);
        }
    }

    fn task_input(&mut self, replica: usize, input: TaskInput) {
        match input {
            TaskInput::Role => self.follow_role(replica),
            TaskInput::Happened(happened) => self.tell_leader(replica, happened),
            TaskInput::Ended(ended) => self.tell_end(replica, ended),
            TaskInput::Open { stream, member, certificate_from } => {
                self.open_at_leader(replica, stream, member, certificate_from);
            }
            TaskInput::From { stream, message } => {
                if let Some(session) = self.session_of(replica, stream) {
                    self.lead(replica, Input::FromMember { session, message });
                }
            }
            TaskInput::Closed { stream } => {
                if let Some(session) = self.session_of(replica, stream) {
                    self.let_go(replica, session);
                    self.lead(replica, Input::SessionClosed { session });
                }
            }
            TaskInput::Tick => self.lead(replica, Input::Tick),
        }
    }

    fn follow_role(&mut self, replica: usize) {
        let now = self.leader_clock(replica);
        let Some(process) = &mut self.replicas[replica].process else { return };
        let (role, term, _) = process.driver.position();
        let term = (role == Role::Leader).then_some(term);
        if process.task.reign.as_ref().map(|reign| reign.term) == term {
            return;
        }
        self.step_down(replica);
        let (Some(term), Some(process)) = (term, &mut self.replicas[replica].process) else { return };
        let (state, applied) = process.driver.machine().view();
        let leader = Box::new(Leader::new(term, &Arc::new(state.clone()), now, Config::default()));
        process.task.reign = Some(Reign { leader, term, told: applied, lapsed: BTreeSet::new() });
        self.trace.line(
            self.now,
            REPLICA_NAMES[replica],
            "leads",
            format_args!("term {term} from {applied}"),
        );
        self.lead(replica, Input::Tick);
    }

    fn step_down(&mut self, replica: usize) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        if process.task.reign.take().is_none() {
            return;
        }
        let held = std::mem::take(&mut process.task.held);
        self.trace.line(self.now, REPLICA_NAMES[replica], "steps down", format_args!(""));
        for stream in held.into_values() {
            self.close_at_hub(stream);
        }
    }

    fn tell_leader(&mut self, replica: usize, happened: Happened) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        let Some(reign) = &mut process.task.reign else { return };
        if happened.applied <= reign.told {
            return;
        }
        reign.told = happened.applied;
        match happened.events {
            Some(events) if events.is_empty() => {}
            Some(events) => self.lead(replica, Input::StateChanged { state: happened.state, events }),
            None => self.step_down(replica),
        }
    }

    fn tell_end(&mut self, replica: usize, ended: Ended) {
        let Some(process) = &self.replicas[replica].process else { return };
        let Some(reign) = &process.task.reign else { return };
        match ended {
            Ended::Read { term, round, index } if term == reign.term => {
                assert!(reign.told >= index, "the leader is told up to the read index");
                self.lead(replica, Input::ReadDone { round });
            }
            Ended::Proposal { term, id, outcome } if term == reign.term => {
                self.lead(replica, Input::ProposalDone { id, outcome });
            }
            Ended::Read { .. } | Ended::Proposal { .. } => {}
        }
    }

    fn open_at_leader(&mut self, replica: usize, stream: u64, member: MemberName, certificate_from: TimeMs) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        if process.task.reign.is_none() {
            let hint = process.driver.position().2.map(|id| id.get() as usize - 1);
            return self.send_down(stream, Down::Refused { hint });
        }
        process.task.next_session += 1;
        let session = SessionId(process.task.next_session);
        process.task.held.insert(session, stream);
        self.send_down(stream, Down::Accepted);
        self.lead(replica, Input::SessionOpened { member, session, certificate_from });
    }

    fn stream_of(&self, replica: usize, session: SessionId) -> Option<u64> {
        self.replicas[replica].process.as_ref()?.task.held.get(&session).copied()
    }

    fn session_of(&self, replica: usize, stream: u64) -> Option<SessionId> {
        let held = &self.replicas[replica].process.as_ref()?.task.held;
        held.iter().find(|(_, held)| **held == stream).map(|(session, _)| *session)
    }

    fn let_go(&mut self, replica: usize, session: SessionId) {
        if let Some(process) = &mut self.replicas[replica].process {
            process.task.held.remove(&session);
        }
    }

    fn leader_clock(&self, replica: usize) -> TimeMs {
        let boot_ms = self.hosts[replica].clock.boot(self.now);
        self.replicas[replica].process.as_ref().map_or(TimeMs(0), |process| process.clock(boot_ms))
    }

    fn lead(&mut self, replica: usize, input: Input) {
        let now = self.leader_clock(replica);
        let Some(process) = &mut self.replicas[replica].process else { return };
        let Some(reign) = &mut process.task.reign else { return };
        let term = reign.term;
        let heard = leader_input_name(&input);
        let actions = reign.leader.step(input, now);
        self.counts.coverage.leader(heard, &actions);
        for action in &actions {
            match action {
                Action::Propose { command: Command::FenceAttempts { attempts, .. }, .. } => {
                    reign.lapsed.extend(attempts.iter().map(|(_, epoch)| *epoch));
                }
                Action::Send { message: ToMember::Ack { epochs, .. }, .. } => {
                    FenceBeforeGrant::acknowledged(&reign.lapsed, epochs, &mut self.checks.found);
                }
                _ => {}
            }
        }
        actions.into_iter().for_each(|action| self.act_for_leader(replica, term, action));
    }

    fn act_for_leader(&mut self, replica: usize, term: u64, action: Action) {
        match action {
            Action::Propose { id, command } => {
                self.trace.line(
                    self.now,
                    REPLICA_NAMES[replica],
                    "proposes",
                    format_args!("{}", CommandText(&command)),
                );
                let bytes = self.entry(replica, command);
                self.ask(replica, Waiter::Proposal { term, id }, |token| RaftInput::Propose { token, bytes });
            }
            Action::StartRead { round } => {
                self.ask(replica, Waiter::Round { term, round }, |token| RaftInput::Read { token });
            }
            Action::Send { session, message } => {
                if let Some(stream) = self.stream_of(replica, session) {
                    self.send_down(stream, Down::Message(message));
                }
            }
            Action::Close { session, reason } => {
                if let Some(stream) = self.stream_of(replica, session) {
                    self.trace.line(
                        self.now,
                        REPLICA_NAMES[replica],
                        "closes",
                        format_args!("stream {stream}: {reason}"),
                    );
                    self.send_down(stream, Down::Message(ToMember::Close { reason }));
                    self.close_at_hub(stream);
                    self.tell_task(replica, TaskInput::Closed { stream });
                }
            }
        }
    }

    /// An entry with this replica's time of day.
    pub(super) fn entry(&self, replica: usize, command: Command) -> Bytes {
        let time = TimeMs(self.hosts[replica].clock.real(self.now));
        Bytes::from(log::encode_entry(&Entry { time, command }))
    }
}

/// A command for the trace: short.
pub struct CommandText<'a>(pub &'a Command);

impl std::fmt::Display for CommandText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Command::Put(put) => write!(f, "put {}", put.key),
            Command::Delete(delete) => write!(f, "delete {}", delete.key),
            Command::Burst(burst) => write!(f, "{burst:?}"),
            Command::CommitPlan(plan) => {
                f.write_str("plan")?;
                plan.assignments
                    .iter()
                    .try_for_each(|(key, _, to)| write!(f, " {} on {}", key.name, to.member))
            }
            Command::ReportAttempts { member, reports, .. } => {
                write!(f, "reports of {member}")?;
                reports.iter().try_for_each(|report| {
                    write!(f, " {}@{:x} {:?}", report.job.name, report.epoch.0, report.state)
                })
            }
            Command::FenceAttempts { member, attempts, reason } => {
                write!(f, "fence on {member} by {reason:?}")?;
                attempts.iter().try_for_each(|(key, epoch)| write!(f, " {}@{:x}", key.name, epoch.0))
            }
            Command::SetReady { member, ready } => write!(f, "ready {member} {ready}"),
            Command::ChangeCapacity(change) => write!(f, "capacity of {}", change.member),
            Command::Join(join) => write!(f, "join {}", join.member),
            Command::DeclareLost { member, .. } => write!(f, "declare lost {member}"),
            Command::Tick => f.write_str("tick"),
            Command::Expire { .. } => f.write_str("expire"),
            Command::Collect { .. } => f.write_str("collect"),
            Command::Revoke { member, .. } => write!(f, "revoke {member}"),
            Command::Note { involved, reason, .. } => write!(f, "note {involved} {reason}"),
            Command::Deny { denials } => write!(f, "deny {}", denials.len()),
            Command::Connect(connect) => write!(f, "connect {}", connect.pod),
            Command::StartFault(start) => write!(f, "start fault {}", start.id),
            Command::ReportData(report) => write!(f, "data of {}", report.member),
            Command::ReportFault(report) => write!(f, "report of fault {}", report.id),
            Command::AbortFaults(abort) => write!(f, "abort faults {:?}", abort.id),
            Command::ResumeChaos(_) => f.write_str("resume chaos"),
            Command::Drain(drain) => write!(f, "drain {} for {}: {}", drain.member, drain.owner, drain.on),
            Command::StartGameDay(start) => write!(f, "start game day {}", start.day),
            Command::ProbeGameDay(probe) => write!(f, "probe game day {}", probe.day),
            Command::StopGameDay(stop) => write!(f, "stop game day {}", stop.day),
            Command::ApproveGameDay(approve) => write!(f, "approve game day {}", approve.day),
            Command::SkipGameDay(skip) => write!(f, "skip game day {}", skip.day),
        }
    }
}
