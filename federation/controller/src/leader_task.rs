//! The task around the pure leader: while this replica leads, it feeds it and does what it says.
//!
//! ```text
//!  sessions, applied events, ticks, ends of reads and proposals --> Leader::step --> actions
//!                                                                      |
//!                            propose, read index, send, close  <-------+
//! ```
//!
//! The leader's state dies with leadership: sessions are closed, and the next leader hears from every member anew.

mod inbox;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use muster_consensus::{Outcome, ReadOutcome, Role, RuntimeStatus};
use muster_leader::{Action, Config, Input, Leader, ProposalId, RoundId, SessionId};
use muster_model::{Answer, Command, Entry, Event, Key, MemberName, kinds};
use muster_proto::federation::HubMessage;
use muster_proto::log;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::agents::{Mirrors, SessionOutbox, Sessions, TravellingDocuments};
use crate::chaos::{self, DayAnswer};
use crate::clock::monotonic;
use crate::hub::{Hub, HubError, now};
use crate::machine::Happened;
use crate::secrets::Vault;

use inbox::Message;
pub use inbox::{Explained, JobQuery, LeaderInbox, Opened, Taken, Waiting, WaitingJob};

/// Messages that may wait for the task.
const INBOX_MAX: usize = 8_192;
/// Between two looks at the time.
const TICK: Duration = Duration::from_millis(100);

/// Between two looks at what the leader cannot know by itself.
const FACTS: Duration = Duration::from_secs(1);

/// What the task needs.
pub struct LeaderParts {
    /// The hub.
    pub hub: Hub,
    /// Everything that is applied.
    pub happened: mpsc::UnboundedReceiver<Happened>,
    /// Sessions by member, for logs.
    pub sessions: Sessions,
    /// Pods, for people.
    pub mirrors: Arc<Mirrors>,
    /// Settings of the pure leader.
    pub config: Config,
    /// Names of all replicas.
    pub replicas: Vec<Arc<str>>,
    /// Opens the Secrets that pods name.
    pub vault: Vault,
}

/// Ends of what the leader asked for.
enum Ended {
    Read { round: RoundId, index: u64, term: u64 },
    Proposal { id: ProposalId, outcome: muster_leader::Outcome, term: u64 },
    Submission { outcome: Result<(), Arc<str>>, term: u64 },
}

/// A session as this task holds it.
struct Held {
    member: MemberName,
    outbox: SessionOutbox,
    over: CancellationToken,
}

struct Task {
    parts: LeaderParts,
    status: watch::Receiver<RuntimeStatus>,
    leader: Option<Reign>,
    next_session: u64,
    held: BTreeMap<SessionId, Held>,
    documents: TravellingDocuments,
    ended: (mpsc::UnboundedSender<Ended>, mpsc::UnboundedReceiver<Ended>),
    proposals: mpsc::UnboundedSender<Proposal>,
    /// What came of the last submission, until the leader was told; `None` inside: one is under way.
    submission: Option<Option<Result<(), Arc<str>>>>,
}

/// A proposal on its way into the log.
struct Proposal {
    id: ProposalId,
    term: u64,
    bytes: Bytes,
}

/// One leadership.
struct Reign {
    leader: Leader,
    term: u64,
    /// Events up to this index were in the state that the leader began with, or were told.
    told: u64,
}

/// Starts the task.
pub fn start(parts: LeaderParts, cancel: CancellationToken) -> LeaderInbox {
    let (sender, inbox) = mpsc::channel(INBOX_MAX);
    let status = parts.hub.status();
    let ended = mpsc::unbounded_channel();
    let (proposals, queue) = mpsc::unbounded_channel();
    tokio::spawn(propose_in_order(parts.hub.clone(), queue, ended.0.clone()));
    let documents = TravellingDocuments::new(parts.vault.clone());
    let task = Task {
        parts,
        status,
        leader: None,
        next_session: 0,
        held: BTreeMap::new(),
        documents,
        ended,
        proposals,
        submission: None,
    };
    tokio::spawn(task.run(inbox, cancel));
    LeaderInbox(sender)
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looks = tokio::time::interval(FACTS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                changed = self.status.changed() => match changed {
                    Ok(()) => self.follow_role(),
                    Err(_) => break,
                },
                Some(happened) = self.parts.happened.recv() => self.applied(&happened),
                Some(ended) = self.ended.1.recv() => self.ended(ended),
                Some(message) = inbox.recv() => self.message(message),
                _ = ticks.tick() => self.step(Input::Tick),
                _ = looks.tick() => {
                    self.tell_facts();
                    self.follow_keys();
                }
            }
        }
        self.step_down();
    }

    fn follow_role(&mut self) {
        let status = self.status.borrow_and_update().replica.clone();
        let term = (status.role == Role::Leader).then_some(status.term);
        if self.leader.as_ref().map(|reign| reign.term) == term {
            return;
        }
        self.step_down();
        if let Some(term) = term {
            self.step_up(term);
        }
    }

    fn step_up(&mut self, term: u64) {
        let view = self.parts.hub.view().borrow().clone();
        self.parts.mirrors.reset(term);
        let leader = Leader::new(term, &Arc::new(view.state), monotonic(), self.parts.config);
        self.leader = Some(Reign { leader, term, told: view.applied });
        tracing::info!(term, "leads");
        tokio::spawn(found_default_namespace(self.parts.hub.clone()));
        self.step(Input::Tick);
    }

    fn step_down(&mut self) {
        if let Some(reign) = self.leader.take() {
            tracing::info!(term = reign.term, "leads no more");
        }
        for session in self.held.keys().copied().collect::<Vec<_>>() {
            self.drop_session(session);
        }
    }

    fn applied(&mut self, happened: &Happened) {
        let Some(reign) = &mut self.leader else { return };
        if happened.applied <= reign.told {
            return;
        }
        reign.told = happened.applied;
        match &happened.events {
            Some(events) if events.is_empty() => {}
            Some(events) => {
                self.forget_jobs(events);
                for member in chaos::told_members(events) {
                    chaos::tell(&self.parts.sessions, &happened.state, &member);
                }
                let state = Arc::clone(&happened.state);
                self.step(Input::StateChanged { state, events: events.to_vec() });
                for (session, message) in self.documents.changed(events, &happened.state) {
                    self.send(session, message);
                }
            }
            None => self.step_down(),
        }
    }

    fn send(&self, session: SessionId, message: HubMessage) {
        let Some(held) = self.held.get(&session) else { return };
        if !held.outbox.try_send(message) {
            tracing::warn!(member = %held.member, "does not read; session closed");
            held.over.cancel();
        }
    }

    /// Members need not keep pods and logs of jobs that are gone. A message that is lost is sent again when the member shows
    /// such a pod the next time.
    fn forget_jobs(&self, events: &[Event]) {
        for event in events {
            let Event::Changed { key, old: Some(old), new: None, .. } = event else { continue };
            if !key.is(kinds::JOB) {
                continue;
            }
            for member in self.parts.mirrors.forget_job(old.meta.uid) {
                if let Some(outbox) = self.parts.sessions.outbox(&member) {
                    outbox.try_send(HubMessage::ForgetJobs { uids: vec![old.meta.uid] });
                }
            }
        }
    }

    /// Whoever heard that something was applied is answered by a leader that was told of it.
    fn catch_up(&mut self) {
        while let Ok(happened) = self.parts.happened.try_recv() {
            self.applied(&happened);
        }
    }

    /// The end of a read or proposal. What was applied before it is told first, and so is the end of a leadership: a round
    /// that the next leader confirmed renews nothing here.
    fn ended(&mut self, ended: Ended) {
        self.follow_role();
        self.catch_up();
        let Some(reign) = &self.leader else { return };
        match ended {
            Ended::Read { round, index, term } if reign.term == term => {
                assert!(reign.told >= index, "the state is told up to the read index");
                self.step(Input::ReadDone { round });
            }
            Ended::Proposal { id, outcome, term } if reign.term == term => {
                self.step(Input::ProposalDone { id, outcome });
            }
            Ended::Submission { outcome, term } if reign.term == term => {
                self.submission = Some(Some(outcome));
            }
            Ended::Submission { .. } => self.submission = None,
            Ended::Read { .. } | Ended::Proposal { .. } => {}
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Open { opened, reply } => {
                let taken = self.open(opened);
                let _ = reply.send(taken);
            }
            Message::From { session, message } => {
                if self.held.contains_key(&session) {
                    self.step(Input::FromMember { session, message });
                }
            }
            Message::Close { session } => {
                if self.held.contains_key(&session) {
                    self.drop_session(session);
                    self.step(Input::SessionClosed { session });
                }
            }
            Message::Explain { query, reply } => {
                self.catch_up();
                let explained = self.leader.as_ref().and_then(|reign| explain(&reign.leader, query));
                let _ = reply.send(explained);
            }
            Message::Pool { pool, reply } => {
                let outlook = self.leader.as_ref().and_then(|reign| reign.leader.pool_outlook(&pool));
                let _ = reply.send(outlook);
            }
            Message::Lease { member, reply } => {
                let lease = self.leader.as_ref().and_then(|reign| reign.leader.lease(&member));
                let _ = reply.send(lease);
            }
            Message::Queue { limit, reply } => {
                let _ = reply.send(self.leader.as_ref().map(|reign| waiting(&reign.leader, limit)));
            }
            Message::DayPlan { day, reply } => {
                let plan = self.leader.as_ref().and_then(|reign| DayAnswer::of(&reign.leader, &day));
                let _ = reply.send(plan);
            }
        }
    }

    fn open(&mut self, opened: Opened) -> Option<Taken> {
        self.leader.as_ref()?;
        self.next_session += 1;
        let session = SessionId(self.next_session);
        let (member, certificate_from) = (opened.member.name.clone(), opened.member.not_before);
        let over = CancellationToken::new();
        self.parts.sessions.set(session, opened.outbox.clone(), opened.member);
        self.held.insert(session, Held { member: member.clone(), outbox: opened.outbox, over: over.clone() });
        chaos::tell(&self.parts.sessions, &self.parts.hub.stale(), &member);
        self.step(Input::SessionOpened { member, session, certificate_from });
        Some(Taken { session, over })
    }

    fn drop_session(&mut self, session: SessionId) {
        let Some(held) = self.held.remove(&session) else { return };
        self.parts.sessions.clear(&held.member, session);
        self.documents.closed(session);
        held.over.cancel();
    }

    /// What the leader's game-day timer cannot know by itself.
    fn tell_facts(&mut self) {
        let Some(reign) = &self.leader else {
            self.submission = None;
            return;
        };
        let (term, wanted) = (reign.term, reign.leader.wants_submissions());
        let state = self.parts.hub.stale();
        for member in chaos::late_members(&state) {
            chaos::tell(&self.parts.sessions, &state, &member);
        }
        let submitted = self.submission.take_if(|outcome| outcome.is_some()).flatten();
        let facts = chaos::facts(&state, &self.parts.replicas, submitted, now());
        self.step(Input::ChaosFacts(facts));
        if wanted && self.submission.is_none() {
            self.submission = Some(None);
            let (hub, ended) = (self.parts.hub.clone(), self.ended.0.clone());
            tokio::spawn(async move {
                let outcome = chaos::submit(hub).await;
                let _ = ended.send(Ended::Submission { outcome, term });
            });
        }
    }

    fn follow_keys(&mut self) {
        let state = self.parts.hub.stale();
        for (session, message) in self.documents.keys_changed(&state) {
            self.send(session, message);
        }
    }

    fn step(&mut self, input: Input) {
        let Some(reign) = &mut self.leader else { return };
        let term = reign.term;
        let actions = reign.leader.step(input, monotonic());
        for action in actions {
            self.act(action, term);
        }
    }

    fn act(&mut self, action: Action, term: u64) {
        match action {
            Action::Propose { id, command } => self.propose(id, command, term),
            Action::StartRead { round } => self.read(round, term),
            Action::Send { session, message } => {
                let state = self.parts.hub.stale();
                for documents in self.documents.before(session, &message, &state) {
                    self.send(session, documents);
                }
                self.send(session, HubMessage::ToMember(message));
            }
            Action::Close { session, reason } => {
                let Some(held) = self.held.get(&session) else { return };
                tracing::info!(member = %held.member, %reason, "session closed");
                held.outbox.try_send(HubMessage::ToMember(muster_model::ToMember::Close { reason }));
                held.over.cancel();
            }
        }
    }

    fn propose(&self, id: ProposalId, command: Command, term: u64) {
        let entry = Entry { time: now(), command };
        // The other end lives as long as this task.
        let _ = self.proposals.send(Proposal { id, term, bytes: Bytes::from(log::encode_entry(&entry)) });
    }

    fn read(&self, round: RoundId, term: u64) {
        let (hub, ended) = (self.parts.hub.clone(), self.ended.0.clone());
        tokio::spawn(async move {
            // One that fails is begun anew by the leader.
            if let ReadOutcome::Ready { index } = hub.consensus().read_index().await {
                let _ = ended.send(Ended::Read { round, index, term });
            }
        });
    }
}

/// Puts proposals into the log in the order given: each is handed over before the next one is looked at.
async fn propose_in_order(
    hub: Hub,
    mut queue: mpsc::UnboundedReceiver<Proposal>,
    ended: mpsc::UnboundedSender<Ended>,
) {
    while let Some(Proposal { id, term, bytes }) = queue.recv().await {
        let handle = hub.consensus().clone();
        let mut proposed = Box::pin(async move { handle.propose(bytes).await });
        // The first poll hands it over.
        let first = futures::poll!(&mut proposed);
        let ended = ended.clone();
        tokio::spawn(async move {
            let outcome = match first {
                std::task::Poll::Ready(outcome) => outcome,
                std::task::Poll::Pending => proposed.await,
            };
            let outcome = match outcome {
                Outcome::Committed { answer, .. } => muster_leader::Outcome::Answered(answer),
                Outcome::Refused(_) | Outcome::Superseded | Outcome::Unknown => {
                    muster_leader::Outcome::Unknown
                }
            };
            let _ = ended.send(Ended::Proposal { id, outcome, term });
        });
    }
}

fn explain(leader: &Leader, query: JobQuery) -> Option<Explained> {
    match query {
        JobQuery::Stored(key) => {
            let report = leader.explain_stored(&key, monotonic())?;
            Some(Explained { report, position: leader.position(&key) })
        }
        JobQuery::Planned(key, spec) => {
            Some(Explained { report: leader.explain(&key, &spec, monotonic()), position: None })
        }
    }
}

fn waiting(leader: &Leader, limit: usize) -> Waiting {
    let keys: Vec<Key> = leader.waiting_in_order().take(limit).cloned().collect();
    let jobs = keys.into_iter().zip(1..).filter_map(|(key, position)| {
        let reason = leader.explain_stored(&key, monotonic())?.summary();
        Some(WaitingJob { key, position, reason })
    });
    Waiting { total: leader.waiting() as u64, first: jobs.collect() }
}

/// The namespace `default` is always there.
async fn found_default_namespace(hub: Hub) {
    let Ok(state) = hub.linearizable().await else { return };
    let key = Key::namespace("default");
    if state.get(&key).is_none() {
        // Another leader may do the same at the same time: one of them is told that it exists.
        let result: Result<Answer, HubError> = hub.propose(muster_kubeapi::kinds::default_namespace()).await;
        if let Err(error) = result {
            tracing::warn!(%error, "the namespace default could not be made; the next leader tries again");
        }
    }
}
