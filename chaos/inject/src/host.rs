//! The one task of a process that faults may be done to: carries out orders, and takes back what is over.
//!
//! Nothing in a step waits for the hub, so that a fault ends in time whatever becomes of the hub.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use muster_model::{FaultKind, FaultNews, FaultOrder, TimeMs, Uid};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock::Moment;
use crate::folder::{FaultFolder, FolderError};
use crate::guard::{GuardArgs, GuardCommand};
use crate::lease::{Lease, lease};
use crate::link::{FaultLink, LinkError, ReportReply};
use crate::process::Target;
use crate::record::FaultRecord;

/// Between two looks at the clock while there is something to look at.
const LOOK: Duration = Duration::from_millis(50);
/// Between two questions to the hub while a partition cuts the session that orders come by.
const ASK: Duration = Duration::from_millis(500);
/// Before a report that was not taken is made again.
const REPEAT: Duration = Duration::from_millis(250);
/// Faults at one time; the hub admits fewer.
const FAULTS_MAX: usize = 64;

/// The task.
pub struct Host<L> {
    folder: FaultFolder,
    link: Arc<L>,
    closed: watch::Sender<bool>,
    guard: GuardCommand,
    orders: watch::Receiver<Vec<FaultOrder>>,
    held: BTreeMap<Arc<str>, Held>,
    replies: (mpsc::UnboundedSender<Reply>, mpsc::UnboundedReceiver<Reply>),
    asked_at: Option<Instant>,
}

/// A fault as the host has it.
struct Held {
    uid: Uid,
    stage: Stage,
    /// Whether a report is under way, and not before when the next one is made.
    report: Report,
}

enum Stage {
    /// Not injected: the hub was asked whether it may be.
    Asking(FaultOrder),
    /// In effect.
    InEffect { record: FaultRecord, pause: Option<Pause> },
    /// Nothing of it is left; the hub is told.
    Over { at: TimeMs },
}

/// A pause of this process.
struct Pause {
    guard: Child,
    _lease: Lease,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Report {
    Due(Instant),
    UnderWay,
    /// Nothing to say until the stage changes.
    None,
}

/// What came of a question to the hub.
enum Reply {
    Report { id: Arc<str>, injecting: bool, reply: Result<ReportReply, LinkError> },
    Orders(Vec<FaultOrder>),
}

impl<L: FaultLink> Host<L> {
    /// A host that goes on with what lies in its folder. `closed` is moved while a partition is in effect; `orders` is what
    /// the hub wanted last.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn recover(
        folder: FaultFolder,
        link: L,
        guard: GuardCommand,
        (closed, orders): (watch::Sender<bool>, watch::Receiver<Vec<FaultOrder>>),
    ) -> Result<Host<L>, FolderError> {
        let mut host = Host {
            folder,
            link: Arc::new(link),
            closed,
            guard,
            orders,
            held: BTreeMap::new(),
            replies: mpsc::unbounded_channel(),
            asked_at: None,
        };
        for record in host.folder.all()? {
            host.take_over(record)?;
        }
        host.move_gate();
        Ok(host)
    }

    /// A fault of the process's earlier life. A partition goes on; a pause ended with the process, a kill with [`crate::hold`].
    fn take_over(&mut self, record: FaultRecord) -> Result<(), FolderError> {
        let (Some(uid), id) = (record.uid(), Arc::<str>::from(record.id.as_str())) else { return Ok(()) };
        let goes_on = record.is_in_effect() && record.kind() == Some(FaultKind::Partition);
        let (stage, report) = match record.reverted() {
            Some(at) => (Stage::Over { at }, Report::Due(Instant::now())),
            None if goes_on => (Stage::InEffect { record, pause: None }, Report::None),
            None => (Stage::Over { at: self.note_end(record)? }, Report::Due(Instant::now())),
        };
        self.held.insert(id, Held { uid, stage, report });
        Ok(())
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let busy = !self.held.is_empty();
            tokio::select! {
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let orders = self.orders.borrow_and_update().clone();
                    self.obey(orders);
                }
                Some(reply) = self.replies.1.recv() => self.hear(reply),
                _ = look.tick(), if busy => {}
            }
            self.end_what_is_over();
            self.report_what_is_due();
            self.ask_if_cut();
        }
    }

    /// Takes in what the hub wants. What it does not name is not changed: a list may be older than what we know.
    fn obey(&mut self, orders: Vec<FaultOrder>) {
        for order in orders {
            match self.held.get(&order.id) {
                None if order.wanted => self.ask_for(order),
                // Wiped, or never begun: the hub waits for the word that nothing is left.
                None => self.say_over(order.id, order.uid),
                Some(_) if order.wanted => {}
                Some(_) => self.end(&order.id),
            }
        }
    }

    fn ask_for(&mut self, order: FaultOrder) {
        if order.left.0 == 0 || !order.kind.needs_host() || self.held.len() >= FAULTS_MAX {
            return;
        }
        let (id, uid) = (Arc::clone(&order.id), order.uid);
        let report = Report::Due(Instant::now());
        self.held.insert(id, Held { uid, stage: Stage::Asking(order), report });
    }

    fn say_over(&mut self, id: Arc<str>, uid: Uid) {
        let at = now_ms();
        self.held.insert(id, Held { uid, stage: Stage::Over { at }, report: Report::Due(Instant::now()) });
    }

    fn hear(&mut self, reply: Reply) {
        let (id, injecting, reply) = match reply {
            Reply::Orders(orders) => return self.obey(orders),
            Reply::Report { id, injecting, reply } => (id, injecting, reply),
        };
        let Some(held) = self.held.get_mut(&id) else { return };
        held.report = Report::Due(Instant::now() + REPEAT);
        match (reply, &held.stage) {
            (Ok(ReportReply::Taken), Stage::Asking(order)) if injecting => {
                let order = order.clone();
                self.inject(&order);
            }
            (Ok(ReportReply::Refused(reason)), Stage::Asking(_)) => {
                tracing::info!(fault = %id, reason, "not injected");
                self.held.remove(&id);
            }
            (Ok(_), Stage::Over { .. }) if !injecting => match self.folder.remove(&id) {
                Ok(()) => drop(self.held.remove(&id)),
                Err(error) => tracing::warn!(fault = %id, %error, "the record of a fault that is over stays"),
            },
            (Err(error), _) => tracing::debug!(fault = %id, %error, "the hub was not told"),
            (Ok(_), _) => {}
        }
    }

    /// Injects what the hub agreed to, after it lies on disk.
    fn inject(&mut self, order: &FaultOrder) {
        let stored = Moment::now().map_err(|error| error.to_string()).and_then(|now| {
            let record = FaultRecord::new(order, &now);
            tokio::task::block_in_place(|| self.folder.store(&record)).map_err(|error| error.to_string())?;
            Ok(record)
        });
        let record = match stored {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(fault = %order.id, error, "not injected: it cannot be written down");
                return self.say_over(Arc::clone(&order.id), order.uid);
            }
        };
        tracing::warn!(fault = %order.id, kind = order.kind.word(), "fault injected");
        let pause = match order.kind {
            FaultKind::Drain | FaultKind::Partition => None,
            FaultKind::Kill => {
                // It cannot fail on ourselves; nothing is done after it.
                let _ = kill(Pid::this(), Signal::SIGKILL);
                None
            }
            FaultKind::Pause => match self.pause(&record) {
                Ok(pause) => Some(pause),
                Err(error) => {
                    tracing::warn!(fault = %order.id, %error, "no guard: not paused");
                    None
                }
            },
        };
        let failed = order.kind == FaultKind::Pause && pause.is_none();
        let stage = Stage::InEffect { record, pause };
        self.held.insert(Arc::clone(&order.id), Held { uid: order.uid, stage, report: Report::None });
        if failed {
            self.end(&order.id);
        }
        self.move_gate();
    }

    fn pause(&self, record: &FaultRecord) -> std::io::Result<Pause> {
        let (kept, given) = lease()?;
        let folder = self.folder.path().to_owned();
        let args = GuardArgs { folder, id: record.id.clone(), target: Target::of_self()? };
        Ok(Pause { guard: self.guard.spawn(&args, given)?, _lease: kept })
    }

    fn end_what_is_over(&mut self) {
        let Ok(now) = Moment::now() else { return };
        let is_over = |held: &mut Held| match &mut held.stage {
            Stage::InEffect { record, pause } => {
                let guard_ended = pause.as_mut().is_some_and(|p| !matches!(p.guard.try_wait(), Ok(None)));
                guard_ended || record.deadline.is_over(&now)
            }
            Stage::Asking(_) | Stage::Over { .. } => false,
        };
        let over: Vec<Arc<str>> =
            self.held.iter_mut().filter_map(|(id, held)| is_over(held).then(|| Arc::clone(id))).collect();
        over.iter().for_each(|id| self.end(id));
    }

    /// Takes a fault back.
    fn end(&mut self, id: &Arc<str>) {
        let Some(held) = self.held.get_mut(id) else { return };
        let at = now_ms();
        let due = Report::Due(Instant::now());
        let before = std::mem::replace(&mut held.stage, Stage::Over { at });
        match before {
            Stage::Over { at } => held.stage = Stage::Over { at },
            Stage::Asking(_) => held.report = due,
            Stage::InEffect { record, pause } => {
                held.report = due;
                if let Some(mut pause) = pause {
                    // The kernel wakes us if it is what held us.
                    let _ = pause.guard.kill();
                    let _ = pause.guard.wait();
                }
                tracing::warn!(fault = %id, "fault taken back");
                if let Err(error) = self.note_end(record) {
                    tracing::warn!(fault = %id, %error, "the end of a fault cannot be written down");
                }
            }
        }
        self.move_gate();
    }

    fn note_end(&self, record: FaultRecord) -> Result<TimeMs, FolderError> {
        let at = now_ms();
        self.folder.store(&record.ended(at))?;
        Ok(at)
    }

    fn move_gate(&self) {
        let cut = self.is_cut();
        self.closed.send_if_modified(|closed| std::mem::replace(closed, cut) != cut);
    }

    fn is_cut(&self) -> bool {
        self.held.values().any(|held| match &held.stage {
            Stage::InEffect { record, .. } => record.kind() == Some(FaultKind::Partition),
            Stage::Asking(_) | Stage::Over { .. } => false,
        })
    }

    fn report_what_is_due(&mut self) {
        let now = Instant::now();
        for (id, held) in &mut self.held {
            let news = match &held.stage {
                Stage::Asking(_) => FaultNews::Injecting,
                Stage::Over { at } => FaultNews::Reverted { at: *at },
                Stage::InEffect { .. } => continue,
            };
            if !matches!(held.report, Report::Due(at) if at <= now) {
                continue;
            }
            held.report = Report::UnderWay;
            let (link, replies) = (Arc::clone(&self.link), self.replies.0.clone());
            let (id, uid) = (Arc::clone(id), held.uid);
            tokio::spawn(async move {
                let reply = link.report(&id, uid, news).await;
                let injecting = news == FaultNews::Injecting;
                // Nobody hears it when the host is gone.
                let _ = replies.send(Reply::Report { id, injecting, reply });
            });
        }
    }

    /// While a partition is in effect no orders come by themselves: an abort has to be asked for.
    fn ask_if_cut(&mut self) {
        let recently = self.asked_at.is_some_and(|at| at.elapsed() < ASK);
        if recently || !self.is_cut() {
            return;
        }
        self.asked_at = Some(Instant::now());
        let (link, replies) = (Arc::clone(&self.link), self.replies.0.clone());
        tokio::spawn(async move {
            if let Ok(orders) = link.orders().await {
                let _ = replies.send(Reply::Orders(orders));
            }
        });
    }
}

/// The time of day.
fn now_ms() -> TimeMs {
    Moment::now().map_or(TimeMs(0), |now| now.time())
}
