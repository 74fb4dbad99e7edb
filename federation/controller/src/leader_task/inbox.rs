//! The way to the leader's task: what sessions, people and other edges hand in.

use std::sync::Arc;

use muster_leader::{LeaseTimes, PoolOutlook, SessionId};
use muster_model::{JobSpec, Key, MemberName, ToHub};
use muster_placement::PlacementReport;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::agents::SessionOutbox;
use crate::chaos::DayAnswer;
use crate::identity::MemberCertificate;

/// A session that a member opened.
pub struct Opened {
    /// Who.
    pub member: MemberCertificate,
    /// The way to it.
    pub outbox: SessionOutbox,
}

/// A session that the leader took.
#[derive(Clone)]
pub struct Taken {
    /// Its number.
    pub session: SessionId,
    /// Cancelled when the leader wants it closed.
    pub over: CancellationToken,
}

/// What people ask the leader about a job.
pub enum JobQuery {
    /// A job that is stored.
    Stored(Key),
    /// A job that need not be: as if it were next.
    Planned(Key, Arc<JobSpec>),
}

/// What the leader says of a job.
pub struct Explained {
    /// Where it could run, at what price, and why not elsewhere.
    pub report: PlacementReport,
    /// Its number in the queue, from 1, if it waits.
    pub position: Option<u64>,
}

/// What waits, in order.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// How many jobs wait.
    pub total: u64,
    /// The first ones.
    pub first: Vec<WaitingJob>,
}

/// A job that waits.
#[derive(Clone, Debug)]
pub struct WaitingJob {
    /// The job.
    pub key: Key,
    /// Its number, from 1.
    pub position: u64,
    /// Why.
    pub reason: String,
}

/// What is handed in.
pub(super) enum Message {
    Open { opened: Opened, reply: oneshot::Sender<Option<Taken>> },
    From { session: SessionId, message: ToHub },
    Close { session: SessionId },
    Explain { query: JobQuery, reply: oneshot::Sender<Option<Explained>> },
    Pool { pool: Key, reply: oneshot::Sender<Option<PoolOutlook>> },
    Lease { member: MemberName, reply: oneshot::Sender<Option<LeaseTimes>> },
    Queue { limit: usize, reply: oneshot::Sender<Option<Waiting>> },
    DayPlan { day: Arc<str>, reply: oneshot::Sender<Option<DayAnswer>> },
}

/// The way to the task.
#[derive(Clone)]
pub struct LeaderInbox(pub(super) mpsc::Sender<Message>);

impl LeaderInbox {
    /// Opens a session; `None` if this replica does not lead.
    pub async fn open(&self, opened: Opened) -> Option<Taken> {
        let (reply, taken) = oneshot::channel();
        self.0.send(Message::Open { opened, reply }).await.ok()?;
        taken.await.ok()?
    }

    /// Hands in a message of a session.
    pub async fn message(&self, session: SessionId, message: ToHub) {
        let _ = self.0.send(Message::From { session, message }).await;
    }

    /// The session is over.
    pub async fn close(&self, session: SessionId) {
        let _ = self.0.send(Message::Close { session }).await;
    }

    /// A member's lease; `None` if it has none, or this replica does not lead.
    pub async fn lease(&self, member: MemberName) -> Option<LeaseTimes> {
        let (reply, lease) = oneshot::channel();
        self.0.send(Message::Lease { member, reply }).await.ok()?;
        lease.await.ok()?
    }

    /// The first jobs that wait, with their reasons; `None` if this replica does not lead.
    pub async fn queue(&self, limit: usize) -> Option<Waiting> {
        let (reply, waiting) = oneshot::channel();
        self.0.send(Message::Queue { limit, reply }).await.ok()?;
        waiting.await.ok()?
    }

    /// What a burst pool would do; `None` if this replica does not lead, or the pool is not there.
    pub async fn pool_outlook(&self, pool: Key) -> Option<PoolOutlook> {
        let (reply, outlook) = oneshot::channel();
        self.0.send(Message::Pool { pool, reply }).await.ok()?;
        outlook.await.ok()?
    }

    /// The plan of a game day as it is now; `None` if this replica does not lead, or there is no such game day.
    pub async fn day_plan(&self, day: Arc<str>) -> Option<DayAnswer> {
        let (reply, plan) = oneshot::channel();
        self.0.send(Message::DayPlan { day, reply }).await.ok()?;
        plan.await.ok()?
    }

    /// Explains a job; `None` if this replica does not lead, or the job is not there.
    pub async fn explain(&self, query: JobQuery) -> Option<Explained> {
        let (reply, report) = oneshot::channel();
        self.0.send(Message::Explain { query, reply }).await.ok()?;
        report.await.ok()?
    }
}
