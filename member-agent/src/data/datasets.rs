//! The task that keeps datasets: looks at what lies here, runs the transfers that the hub orders, and says how all of it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_model::{DataReport, HeldCopy, Key, TransferOrder, Uid};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::fetcher::{Fetcher, Progress};
use super::folder::{DataFolder, DataId};
use super::scan::scan;
use crate::agent::Event;

/// The folder is looked at so often, or as seldom as takes a twentieth of the time.
const SCAN_PERIOD: Duration = Duration::from_secs(2);
const SCAN_REST: u32 = 20;
/// Reports go out at most so often.
const REPORT_PERIOD: Duration = Duration::from_millis(250);

/// How others reach the task.
#[derive(Clone)]
pub(crate) struct DatasetsLink {
    /// Where the hub's orders go.
    pub(crate) orders: Arc<watch::Sender<Vec<TransferOrder>>>,
}

/// Datasets of this member.
pub(crate) struct Datasets {
    root: DataFolder,
    events: mpsc::UnboundedSender<Event>,
    orders: watch::Receiver<Vec<TransferOrder>>,
    running: BTreeMap<Key, Running>,
    copies: Vec<HeldCopy>,
    limit: watch::Sender<Option<u64>>,
    changed: Arc<Notify>,
    /// Copies that transfers completed.
    finished: (mpsc::UnboundedSender<HeldCopy>, mpsc::UnboundedReceiver<HeldCopy>),
}

/// A transfer that was begun, under way or given up.
struct Running {
    uid: Uid,
    progress: Progress,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Datasets {
    /// Of this folder; what it has to say goes to the agent's loop.
    pub(crate) fn new(root: DataFolder, events: mpsc::UnboundedSender<Event>) -> (Datasets, DatasetsLink) {
        let (sender, orders) = watch::channel(Vec::new());
        let datasets = Datasets {
            root,
            events,
            orders,
            running: BTreeMap::new(),
            copies: Vec::new(),
            limit: watch::channel(None).0,
            changed: Arc::default(),
            finished: mpsc::unbounded_channel(),
        };
        (datasets, DatasetsLink { orders: Arc::new(sender) })
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut said = None;
        let mut scanning = self.begin_scan(Duration::ZERO);
        loop {
            let report = self.report();
            if said.as_ref() != Some(&report) {
                let _ = self.events.send(Event::Data(report.clone()));
                said = Some(report);
                tokio::time::sleep(REPORT_PERIOD).await;
            }
            tokio::select! {
                changed = self.orders.changed() => match changed {
                    Ok(()) => self.follow_orders(),
                    Err(_) => return,
                },
                Some(copy) = self.finished.1.recv() => {
                    self.take_finished(copy);
                    // What is being looked at now may be older than this.
                    scanning.abort();
                    scanning = self.begin_scan(Duration::ZERO);
                }
                found = &mut scanning => {
                    let (took, found) = found.unwrap_or_default();
                    self.copies = found;
                    scanning = self.begin_scan(SCAN_PERIOD.max(took * SCAN_REST));
                }
                () = self.changed.notified() => {}
            }
        }
    }

    fn begin_scan(&self, pause: Duration) -> JoinHandle<(Duration, Vec<HeldCopy>)> {
        let root = self.root.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let look = move || {
                let began = std::time::Instant::now();
                let found = scan(&root);
                (began.elapsed(), found)
            };
            tokio::task::spawn_blocking(look).await.unwrap_or_default()
        })
    }

    /// Begins what is new, and ends what is not wanted any more; what lies here of it stays.
    fn follow_orders(&mut self) {
        let orders = self.orders.borrow_and_update().clone();
        let wanted = |transfer: &Key, running: &Running| {
            orders.iter().any(|order| order.transfer == *transfer && order.uid == running.uid)
        };
        self.running.retain(|transfer, running| wanted(transfer, running));
        for order in &orders {
            if !self.running.contains_key(&order.transfer) {
                self.begin(order);
            }
        }
        let limit = orders.iter().filter_map(|order| order.bytes_per_second).min();
        let sharing = orders.len().max(1) as u64;
        self.limit.send_replace(limit.map(|limit| (limit / sharing).max(1)));
    }

    fn begin(&mut self, order: &TransferOrder) {
        let Some(id) = DataId::new(&order.transfer.namespace, &order.data) else {
            tracing::warn!(transfer = %order.transfer, "its names are not safe as folders");
            return;
        };
        let progress = Progress::new(order);
        let fetcher = Fetcher {
            order: order.clone(),
            id,
            root: self.root.clone(),
            limit: self.limit.subscribe(),
            progress: progress.clone(),
            changed: self.changed.clone(),
        };
        let finished = self.finished.0.clone();
        let task = tokio::spawn(async move {
            if let Some(copy) = fetcher.run().await {
                let _ = finished.send(copy);
            }
        });
        self.running.insert(order.transfer.clone(), Running { uid: order.uid, progress, task });
    }

    fn take_finished(&mut self, copy: HeldCopy) {
        self.copies.retain(|held| held.dataset != copy.dataset || held.copy.version != copy.copy.version);
        self.copies.push(copy);
    }

    fn report(&self) -> DataReport {
        DataReport {
            copies: self.copies.clone(),
            transfers: self.running.values().map(|running| running.progress.get()).collect(),
        }
    }
}
