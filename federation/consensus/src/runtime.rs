//! The thread that owns a driver, and the handle to it: the only part of this crate with a clock.
//!
//! ```text
//! Handle::propose, read_index, deliver, ... --> inbox --> [ thread: drain, one turn, one fsync ] --> Outbox
//!                               answers <-----------------------+---> status (watch), snapshot threads
//! ```
//!
//! The loop waits for the inbox or the next tick, whichever comes first; it neither polls nor sleeps. All that lies
//! in the inbox goes into one turn.

mod handle;
mod waiters;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub use self::handle::{Handle, Stopped};

use self::handle::Gauges;
use self::waiters::Waiters;
use crate::driver::{Driver, DriverError, Effects, Event, Input, Outbox, Outcome, SnapshotWritten};
use crate::ids::ReplicaId;
use crate::log_store::LogStore;
use crate::membership::{Membership, MembershipChange};
use crate::replica::{PeerError, ReadOutcome, Role, Status};
use crate::state_machine::StateMachine;

/// Settings of the thread.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Length of a tick.
    pub tick: Duration,
    /// Inputs taken in one turn.
    pub max_turn_inputs: usize,
    /// Requests that may wait in the inbox; more are refused as busy.
    pub max_waiting_requests: usize,
    /// Bytes of peer messages that may wait in the inbox; more are dropped, and raft repeats them.
    pub max_waiting_peer_bytes: usize,
    /// How long a shutdown waits for another replica to take over.
    pub handover: Duration,
}

/// What the thread publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// Where the replica stands.
    pub replica: Status,
    /// False once the thread has ended, or is about to.
    pub running: bool,
    /// Messages of peers that were refused since the start.
    pub refused_messages: u64,
    /// Turns since the start.
    pub turns: u64,
    /// Time spent in turns since the start, fsyncs included.
    pub busy_us: u64,
}

/// Starts threads that own drivers.
#[derive(Debug)]
pub struct Runtime;

enum Request<A> {
    Propose { bytes: Bytes, reply: oneshot::Sender<Outcome<A>> },
    Change { change: MembershipChange, reply: oneshot::Sender<Outcome<Membership>> },
    Read { reply: oneshot::Sender<ReadOutcome> },
    Peer { from: ReplicaId, bytes: Bytes },
    Transfer { to: Option<ReplicaId> },
    HoldBack { held: bool },
    Shutdown,
}

/// The state of the thread.
struct Loop<L: LogStore, M: StateMachine> {
    driver: Driver<L, M>,
    config: RuntimeConfig,
    outbox: Box<dyn Outbox + Send>,
    inbox: Receiver<Request<M::Answer>>,
    gauges: Arc<Gauges>,
    waiters: Waiters<M::Answer>,
    status: watch::Sender<RuntimeStatus>,
    written: (Sender<SnapshotWritten>, Receiver<SnapshotWritten>),
    next_tick: Instant,
    /// Set when a shutdown was asked for: the moment at which it stops waiting for a successor.
    leave_at: Option<Instant>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(50),
            max_turn_inputs: 1_024,
            max_waiting_requests: 16_384,
            max_waiting_peer_bytes: 64 << 20,
            handover: Duration::from_secs(1),
        }
    }
}

impl Runtime {
    /// Start the thread. It ends after [`Handle::shutdown`], when all handles are gone, or when the driver fails.
    pub fn start<L, M>(
        driver: Driver<L, M>,
        config: RuntimeConfig,
        outbox: impl Outbox + Send + 'static,
    ) -> (Handle<M::Answer>, Stopped)
    where
        L: LogStore,
        M: StateMachine + Send,
    {
        let (sender, inbox) = mpsc::channel();
        let (status, watcher) = watch::channel(RuntimeStatus {
            replica: driver.status(),
            running: true,
            refused_messages: 0,
            turns: 0,
            busy_us: 0,
        });
        let (ended, stopped) = oneshot::channel();
        let gauges = Arc::new(Gauges::new(&config));
        let handle = Handle::new(sender, gauges.clone(), watcher);
        let next_tick = Instant::now() + config.tick;
        let this = Loop {
            driver,
            config,
            outbox: Box::new(outbox),
            inbox,
            gauges,
            waiters: Waiters::default(),
            status,
            written: mpsc::channel(),
            next_tick,
            leave_at: None,
        };
        // Without a thread there is no replica: the dropped `ended` tells the caller through `stopped`.
        if let Err(error) =
            thread::Builder::new().name("muster-raft".to_owned()).spawn(move || this.run(ended))
        {
            tracing::error!(%error, "the consensus thread could not be started");
        }
        (handle, Stopped::new(stopped))
    }
}

impl<L: LogStore, M: StateMachine> Loop<L, M> {
    fn run(mut self, ended: oneshot::Sender<Result<(), DriverError>>) {
        let result = self.turns();
        if let Err(error) = &result {
            tracing::error!(%error, "the replica stopped");
        }
        let mut effects = Effects::default();
        self.driver.stop(&mut effects);
        self.waiters.answer(effects.answers);
        self.status.send_modify(|status| status.running = false);
        // The caller may open the folder again as soon as it hears of the end.
        drop(self);
        let _ = ended.send(result);
    }

    fn turns(&mut self) -> Result<(), DriverError> {
        let mut inputs = Vec::new();
        while self.gather(&mut inputs) {
            let begun = Instant::now();
            let mut effects = Effects::default();
            let turn = self.driver.handle(inputs.drain(..), &mut *self.outbox, &mut effects);
            // Whoever gets an answer finds a status at least as new: a round that another leader confirmed is not taken for
            // one of an own leadership that has ended.
            self.publish(begun, &effects.events);
            self.waiters.answer(std::mem::take(&mut effects.answers));
            turn?;
            self.start_job(effects);
            if self.may_leave() {
                break;
            }
        }
        Ok(())
    }

    /// Wait for work and take all there is. False when nobody is left to work for.
    fn gather(&mut self, inputs: &mut Vec<Input>) -> bool {
        let wait = self.next_tick.saturating_duration_since(Instant::now());
        match self.inbox.recv_timeout(wait) {
            Ok(request) => inputs.extend(self.take(request)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while inputs.len() < self.config.max_turn_inputs {
            match self.inbox.try_recv() {
                Ok(request) => inputs.extend(self.take(request)),
                Err(_) => break,
            }
        }
        inputs.extend(self.written.1.try_iter().map(Input::SnapshotWritten));
        self.tick_if_due(inputs);
        true
    }

    /// One tick per turn at most: after a pause of the process, ticks that were missed are not made up for, or a
    /// follower would campaign before it has read what lies in its inbox.
    fn tick_if_due(&mut self, inputs: &mut Vec<Input>) {
        let now = Instant::now();
        if now >= self.next_tick {
            inputs.push(Input::Tick);
            self.next_tick = (self.next_tick + self.config.tick).max(now);
        }
    }

    fn take(&mut self, request: Request<M::Answer>) -> Option<Input> {
        match request {
            Request::Propose { bytes, reply } => {
                self.gauges.request_taken();
                Some(Input::Propose { token: self.waiters.proposal(reply), bytes })
            }
            Request::Change { change, reply } => {
                self.gauges.request_taken();
                Some(Input::ChangeMembership { token: self.waiters.change(reply), change })
            }
            Request::Read { reply } => {
                self.gauges.request_taken();
                Some(Input::Read { token: self.waiters.read(reply) })
            }
            Request::Peer { from, bytes } => {
                self.gauges.peer_taken(bytes.len());
                Some(Input::Peer { from, bytes })
            }
            Request::Transfer { to } => Some(Input::TransferLeadership { to }),
            Request::HoldBack { held } => Some(Input::HoldBack { held }),
            Request::Shutdown => {
                self.leave_at.get_or_insert(Instant::now() + self.config.handover);
                Some(Input::TransferLeadership { to: None })
            }
        }
    }

    fn publish(&mut self, begun: Instant, events: &[Event]) {
        let mut refused = 0;
        for event in events {
            match event {
                Event::PeerRefused { from, error } => {
                    refused += 1;
                    note_refusal(*from, error);
                }
                Event::SnapshotFailed { reason } => tracing::warn!(reason, "snapshot failed"),
                event => tracing::info!(?event, "consensus"),
            }
        }
        let replica = self.driver.status();
        let busy_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.status.send_modify(|status| {
            status.replica = replica;
            status.refused_messages += refused;
            status.turns += 1;
            status.busy_us += busy_us;
        });
    }

    fn start_job(&self, effects: Effects<L, M>) {
        let Some(job) = effects.snapshot_job else { return };
        let written = self.written.0.clone();
        let index = job.index();
        let work = move || {
            // The loop may have ended meanwhile; then nobody needs the snapshot.
            let _ = written.send(job.run());
        };
        if let Err(error) = thread::Builder::new().name("muster-snapshot".to_owned()).spawn(work) {
            tracing::warn!(index, %error, "the snapshot thread could not be started");
        }
    }

    /// Whether a shutdown that was asked for can end: another replica leads, or nobody took over in time.
    fn may_leave(&self) -> bool {
        let Some(leave_at) = self.leave_at else { return false };
        let status = self.driver.status();
        let alone = status.membership.voters.len() <= 1;
        status.role != Role::Leader || alone || Instant::now() >= leave_at
    }
}

/// Some refusals mean that a promise of raft is broken somewhere; the rest is noise of a network.
fn note_refusal(from: ReplicaId, error: &PeerError) {
    match error {
        PeerError::BeyondLog { .. } => {
            tracing::warn!(%from, %error, "message refused, acknowledged entries may be lost")
        }
        PeerError::TwoLeaders { .. } => tracing::warn!(%from, %error, "message refused"),
        _ => tracing::debug!(%from, %error, "message refused"),
    }
}
