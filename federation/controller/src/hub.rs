//! The hub as the edges of one replica see it: propose a command, read the state, watch it change. Any replica answers any
//! request; what only the leader can do is forwarded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use muster_consensus::{Handle, Outcome, ReadOutcome, ReplicaId, Role, RuntimeStatus};
use muster_core::State;
use muster_model::{Answer, Command, Entry, Kind, Revision, TimeMs};
use muster_proto::log;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::history::History;
use crate::machine::{RecentAnswers, View};
use crate::peers::{Forwarded, Peers};
use crate::watch_cache::{Change, Gone, WatchCache};

/// How long a request waits for a leader, for a commit, or for this replica to catch up. Longer than an election.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for a leader.
const LEADER_RETRY: Duration = Duration::from_millis(20);

/// Why the hub did not do what it was asked. A business "no" is an [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// No leader in time: nothing was done.
    #[error("no leader was found within 10 s; nothing was changed; try again")]
    NoLeader,
    /// Too much is in flight: nothing was done.
    #[error("too many requests are in flight; try again in a second")]
    Busy,
    /// The request cannot be carried out by any replica.
    #[error("{0}")]
    Refused(String),
    /// It may or may not be done.
    #[error(
        "the outcome is unknown: the leader changed while the request was in flight; read the object before you try again"
    )]
    Unknown,
}

/// A replica's hub. Clones share it.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    id: ReplicaId,
    handle: Handle<Answer>,
    status: watch::Receiver<RuntimeStatus>,
    view: watch::Receiver<View>,
    watch_cache: Arc<WatchCache>,
    answers: Arc<RecentAnswers>,
    history: History,
    peers: Peers,
    clock_off_ms: watch::Sender<Option<i64>>,
}

/// The parts a [`Hub`] is made of.
pub struct HubParts {
    /// This replica.
    pub id: ReplicaId,
    /// Its consensus.
    pub handle: Handle<Answer>,
    /// The published view.
    pub view: watch::Receiver<View>,
    /// Changes by kind.
    pub watch_cache: Arc<WatchCache>,
    /// Answers by index.
    pub answers: Arc<RecentAnswers>,
    /// What apply emitted.
    pub history: History,
    /// The other replicas.
    pub peers: Peers,
}

impl Hub {
    /// A hub of these parts.
    pub fn new(parts: HubParts) -> Hub {
        let HubParts { id, handle, view, watch_cache, answers, history, peers } = parts;
        let status = handle.status();
        let clock_off_ms = watch::channel(None).0;
        let inner = Inner { id, handle, status, view, watch_cache, answers, history, peers, clock_off_ms };
        Hub { inner: Arc::new(inner) }
    }

    /// This replica's number.
    pub fn id(&self) -> ReplicaId {
        self.inner.id
    }

    /// Commits a command, here or at the leader, and waits until it is applied here.
    ///
    /// # Errors
    /// See [`HubError`]; only `Unknown` may have been done.
    pub async fn propose(&self, command: Command) -> Result<Answer, HubError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader_by(deadline).await?;
            let attempt = if leader == self.inner.id {
                self.propose_here(&command).await
            } else {
                self.propose_at(leader, &command, deadline).await
            };
            match attempt {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again => tokio::time::sleep(LEADER_RETRY).await,
            }
        }
    }

    async fn propose_here(&self, command: &Command) -> Attempt {
        let entry = Entry { time: now(), command: command.clone() };
        self.propose_entry(&entry).await.map_or_else(|end| end, |(_, answer)| Attempt::Done(answer))
    }

    /// Proposes an entry at this replica, which must lead.
    async fn propose_entry(&self, entry: &Entry) -> Result<(u64, Answer), Attempt> {
        use muster_consensus::Refusal;
        match self.inner.handle.propose(Bytes::from(log::encode_entry(entry))).await {
            Outcome::Committed { index, answer } => Ok((index, answer)),
            Outcome::Refused(Refusal::NotLeader { .. } | Refusal::HandingOver { .. })
            | Outcome::Superseded => Err(Attempt::Again),
            Outcome::Refused(Refusal::Busy) => Err(Attempt::Failed(HubError::Busy)),
            Outcome::Refused(refusal) => Err(Attempt::Failed(HubError::Refused(refusal.to_string()))),
            Outcome::Unknown => Err(Attempt::Failed(HubError::Unknown)),
        }
    }

    /// Proposes for another replica: stamps the time; says how it ended.
    pub(crate) async fn propose_forwarded(&self, entry: &[u8]) -> Forwarded {
        let mut entry = match log::decode_entry(entry) {
            Ok(entry) => entry,
            Err(error) => return Forwarded::Refused { reason: error.to_string(), retry: false, busy: false },
        };
        entry.time = now();
        match self.propose_entry(&entry).await {
            Ok((index, _)) => Forwarded::Committed(index),
            Err(Attempt::Again) => {
                Forwarded::Refused { reason: "not the leader".to_owned(), retry: true, busy: false }
            }
            Err(Attempt::Failed(HubError::Unknown)) => Forwarded::Unknown,
            Err(Attempt::Failed(error)) => {
                let busy = error == HubError::Busy;
                Forwarded::Refused { reason: error.to_string(), retry: false, busy }
            }
            Err(Attempt::Done(_)) => unreachable!("an entry that is done is not an error"),
        }
    }

    async fn propose_at(&self, leader: ReplicaId, command: &Command, deadline: Instant) -> Attempt {
        let entry = log::encode_entry(&Entry { time: now(), command: command.clone() });
        match self.inner.peers.propose(leader, entry).await {
            Forwarded::Committed(index) => match self.answer_of(index, deadline).await {
                Some(answer) => Attempt::Done(answer),
                None => Attempt::Failed(HubError::Unknown),
            },
            Forwarded::NotSent => Attempt::Again,
            Forwarded::Refused { retry: true, .. } => Attempt::Again,
            Forwarded::Refused { busy: true, .. } => Attempt::Failed(HubError::Busy),
            Forwarded::Refused { reason, .. } => Attempt::Failed(HubError::Refused(reason)),
            Forwarded::Unknown => Attempt::Failed(HubError::Unknown),
        }
    }

    async fn answer_of(&self, index: u64, deadline: Instant) -> Option<Answer> {
        let mut view = self.inner.view.clone();
        timeout_at(deadline, view.wait_for(|view| view.applied >= index)).await.ok()?.ok()?;
        self.inner.answers.get(index)
    }

    /// The state as of now or later: nothing acknowledged before this call is missing.
    ///
    /// # Errors
    /// `NoLeader` if no quorum confirmed it in time.
    pub async fn linearizable(&self) -> Result<State, HubError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let read = timeout_at(deadline, self.inner.handle.read_index()).await;
            if let Ok(ReadOutcome::Ready { index }) = read {
                let mut view = self.inner.view.clone();
                let view = timeout_at(deadline, view.wait_for(|view| view.applied >= index)).await;
                return view
                    .ok()
                    .and_then(Result::ok)
                    .map(|view| view.state.clone())
                    .ok_or(HubError::NoLeader);
            }
        }
        Err(HubError::NoLeader)
    }

    /// The state as this replica has it: perhaps old.
    pub fn stale(&self) -> State {
        self.inner.view.borrow().state.clone()
    }

    /// The published view, to wait on.
    pub fn view(&self) -> watch::Receiver<View> {
        self.inner.view.clone()
    }

    /// Changes of a kind after a revision, oldest first.
    ///
    /// # Errors
    /// `Gone` if the ring does not reach back so far.
    pub fn changes(&self, kind: &Kind, after: Revision, limit: usize) -> Result<Vec<Arc<Change>>, Gone> {
        self.inner.watch_cache.since(kind, after, limit)
    }

    /// Moves when something of this kind changed.
    pub fn moved(&self, kind: &Kind) -> watch::Receiver<Revision> {
        self.inner.watch_cache.moved(kind)
    }

    /// Where this replica stands.
    pub fn status(&self) -> watch::Receiver<RuntimeStatus> {
        self.inner.status.clone()
    }

    /// Whether this replica leads, and in which term.
    pub fn leads(&self) -> Option<u64> {
        let status = self.inner.status.borrow();
        (status.replica.role == Role::Leader).then_some(status.replica.term)
    }

    /// The leader this replica knows.
    pub fn leader(&self) -> Option<ReplicaId> {
        self.inner.status.borrow().replica.leader
    }

    /// The consensus handle, for what is not a command.
    pub fn consensus(&self) -> &Handle<Answer> {
        &self.inner.handle
    }

    /// What apply emitted here.
    pub fn history(&self) -> &History {
        &self.inner.history
    }

    /// The other replicas.
    pub fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    /// Milliseconds that the clock here is ahead of the majority's; `None` while that is not known.
    pub fn clock_off_ms(&self) -> Option<i64> {
        *self.inner.clock_off_ms.borrow()
    }

    /// Says how the clock here stands.
    pub(crate) fn set_clock_off(&self, off_ms: Option<i64>) {
        self.inner.clock_off_ms.send_replace(off_ms);
    }

    async fn leader_by(&self, deadline: Instant) -> Result<ReplicaId, HubError> {
        let mut status = self.inner.status.clone();
        let found = timeout_at(deadline, status.wait_for(|status| status.replica.leader.is_some())).await;
        let status = found.map_err(|_| HubError::NoLeader)?.map_err(|_| HubError::NoLeader)?;
        status.replica.leader.ok_or(HubError::NoLeader)
    }
}

/// How one try ended.
enum Attempt {
    Done(Answer),
    Again,
    Failed(HubError),
}

/// The wall clock of this process. The only place in the controller that reads it for the log.
pub fn now() -> TimeMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
