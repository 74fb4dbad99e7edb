//! The writer thread, and the way to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, oneshot, watch};

use super::books::{CostQuery, CostRow, Question};
use super::item::Item;
use super::segment::SegmentName;
use super::store::{Gap, Heads, HistoryConfig, Store};
use super::stream::{Page, StreamName};
use super::verify::{self, Verdict};

/// Batches that may wait to be written. When they do, the consensus thread waits too: the log would fill the disk as fast.
const QUEUE_MAX: usize = 4_096;

/// Why history cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Writing or reading it failed once: it is not trusted any more until the replica starts again.
    #[error("the history of this replica cannot be used: {0}")]
    Failed(String),
    /// The replica is ending.
    #[error("the replica is ending")]
    Ended,
    /// The answer would be too long.
    #[error(
        "the answer has more than 20000 rows; narrow it with --since, or ask by namespace, cluster or one label"
    )]
    TooManyRows,
}

/// Acknowledges that everything handed over before is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed;

enum Work {
    Items { items: Vec<Item>, revision: u64 },
    Restored(Heads),
    Flush { durably: bool, done: oneshot::Sender<Flushed> },
    Merge { name: StreamName, segment: SegmentName, bytes: Vec<u8>, done: oneshot::Sender<usize> },
    Close { name: StreamName, gap: Gap },
}

/// The history of a replica. Clones share it; the last one to go ends its thread.
#[derive(Clone)]
pub struct History {
    work: SyncSender<Work>,
    shared: Arc<Shared>,
    gaps: watch::Receiver<u64>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

struct Shared {
    /// `None` until the writer has opened it.
    store: Mutex<Option<Store>>,
    failed: RwLock<Option<String>>,
    /// Told once, when it has failed.
    told: Notify,
}

impl Shared {
    fn fail(&self, error: &io::Error) {
        let mut failed = self.failed.write();
        if failed.is_none() {
            let reason = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "the disk is full; nothing acknowledged is lost: free space, then restart this replica"
                        .to_owned()
                }
                _ => error.to_string(),
            };
            *failed = Some(reason);
            self.told.notify_one();
        }
    }
}

impl History {
    /// Starts the writer of a folder. The folder is made at once; what is in it is read by the thread, which takes as long
    /// as the ledger is large.
    ///
    /// # Errors
    /// The folder cannot be made, or no thread can.
    pub fn start(folder: &Path, config: HistoryConfig) -> io::Result<History> {
        std::fs::create_dir_all(folder)?;
        let (work, queue) = sync_channel(QUEUE_MAX);
        let shared =
            Arc::new(Shared { store: Mutex::new(None), failed: RwLock::new(None), told: Notify::new() });
        let (told, gaps) = watch::channel(0);
        let (folder, writer) = (folder.to_owned(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            match Store::open(&folder, &config) {
                Ok(store) => *writer.store.lock() = Some(store),
                Err(error) => writer.fail(&error),
            }
            write(&queue, &writer, &told);
        })?;
        Ok(History { work, shared, gaps, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Waits until it has failed. Only for one waiter: without a history a replica could take no snapshot, so it ends.
    pub async fn failed(&self) -> HistoryError {
        self.shared.told.notified().await;
        self.failure()
    }

    /// Waits until everything is durable and the writer has ended. Only for the last handle: the writer goes on while
    /// another one is there.
    pub fn finish(self) {
        let thread = self.thread.lock().take();
        drop(self);
        if let Some(thread) = thread {
            // A writer that panicked has said so.
            let _ = thread.join();
        }
    }

    /// Hands over what apply emitted, in order, with the revision of the state behind it.
    pub fn append(&self, items: Vec<Item>, revision: u64) {
        // The thread lives as long as this handle.
        let _ = self.work.send(Work::Items { items, revision });
    }

    /// A state was restored: what it has and history has not, must come from a peer.
    pub fn restored(&self, heads: Heads) {
        let _ = self.work.send(Work::Restored(heads));
    }

    /// Waits until everything handed over before is durable.
    ///
    /// # Errors
    /// History has failed.
    pub fn sync(&self) -> Result<(), HistoryError> {
        let (done, flushed) = oneshot::channel();
        self.work.send(Work::Flush { durably: true, done }).map_err(|_| HistoryError::Ended)?;
        flushed.blocking_recv().map_err(|_| self.failure())?;
        self.check()
    }

    /// Waits until everything handed over before can be read.
    ///
    /// # Errors
    /// History has failed.
    pub async fn flush(&self) -> Result<(), HistoryError> {
        let (done, flushed) = oneshot::channel();
        let work = self.work.clone();
        let sent = tokio::task::spawn_blocking(move || work.send(Work::Flush { durably: false, done })).await;
        sent.map_err(|_| HistoryError::Ended)?.map_err(|_| HistoryError::Ended)?;
        flushed.await.map_err(|_| self.failure())?;
        self.check()
    }

    /// Puts a peer's segment beside what is here. Gives how many records were new.
    ///
    /// # Errors
    /// History has failed.
    pub async fn merge(
        &self,
        name: StreamName,
        segment: SegmentName,
        bytes: Vec<u8>,
    ) -> Result<usize, HistoryError> {
        let (done, merged) = oneshot::channel();
        let (work, message) = (self.work.clone(), Work::Merge { name, segment, bytes, done });
        let sent = tokio::task::spawn_blocking(move || work.send(message)).await;
        sent.map_err(|_| HistoryError::Ended)?.map_err(|_| HistoryError::Ended)?;
        merged.await.map_err(|_| self.failure())
    }

    /// A gap is closed.
    pub fn close(&self, name: StreamName, gap: Gap) {
        let _ = self.work.send(Work::Close { name, gap });
    }

    /// Moves when something is found to be missing.
    pub fn gaps_moved(&self) -> watch::Receiver<u64> {
        self.gaps.clone()
    }

    /// What is missing of a stream.
    pub fn gaps(&self, name: StreamName) -> Vec<Gap> {
        self.with(|store| store.gaps(name)).unwrap_or_default()
    }

    /// The last key of a stream and its bytes on disk; zeros until it is opened.
    pub fn extent(&self, name: StreamName) -> (u64, u64) {
        self.with(|store| store.extent(name)).unwrap_or_default()
    }

    /// The segments of a stream, oldest first.
    ///
    /// # Errors
    /// History has failed, or is not open yet.
    pub fn pages(&self, name: StreamName) -> Result<Vec<Page>, HistoryError> {
        self.with(|store| store.pages(name))
    }

    /// One segment of a stream.
    ///
    /// # Errors
    /// History has failed, or is not open yet.
    pub fn page(&self, name: StreamName, segment: SegmentName) -> Result<Option<Page>, HistoryError> {
        self.with(|store| store.page(name, segment))
    }

    /// Answers a question about costs. Blocks: it may read the ledger.
    ///
    /// # Errors
    /// History has failed, or the answer is too long.
    pub fn cost(&self, query: CostQuery) -> Result<Vec<CostRow>, HistoryError> {
        let ask = |store: &Store| Question::new(query, store.books(), store.pages(StreamName::Ledger));
        let question = self.with(ask)?;
        question.answer().map_err(failed)?.ok_or(HistoryError::TooManyRows)
    }

    /// Reads a chained stream up to a record. Blocks: it reads all of it.
    ///
    /// # Errors
    /// History has failed.
    pub fn verify(&self, name: StreamName, up_to: u64) -> Result<Verdict, HistoryError> {
        let (anchor, pages) = self.with(|store| (store.anchor(name), store.pages(name)))?;
        verify::verify(name, anchor.map_err(failed)?, &pages, up_to).map_err(failed)
    }

    /// The hash of one record of a chained stream, if it is there.
    ///
    /// # Errors
    /// History has failed.
    pub fn hash_at(&self, name: StreamName, sequence: u64) -> Result<Option<[u8; 32]>, HistoryError> {
        verify::hash_at(name, &self.pages(name)?, sequence).map_err(failed)
    }

    fn with<T>(&self, read: impl FnOnce(&Store) -> T) -> Result<T, HistoryError> {
        match self.shared.store.lock().as_ref() {
            Some(store) => Ok(read(store)),
            None => Err(self.failure()),
        }
    }

    fn check(&self) -> Result<(), HistoryError> {
        match &*self.shared.failed.read() {
            Some(reason) => Err(HistoryError::Failed(reason.clone())),
            None => Ok(()),
        }
    }

    fn failure(&self) -> HistoryError {
        self.check().err().unwrap_or(HistoryError::Ended)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn failed(error: io::Error) -> HistoryError {
    HistoryError::Failed(error.to_string())
}

/// Writes what comes until nobody can send any more; then makes it durable.
fn write(queue: &Receiver<Work>, shared: &Shared, told: &watch::Sender<u64>) {
    while let Ok(work) = queue.recv() {
        if let Err(error) = step(work, shared, told) {
            shared.fail(&error);
        }
    }
    if shared.failed.read().is_none()
        && let Some(store) = shared.store.lock().as_mut()
        && let Err(error) = store.sync()
    {
        shared.fail(&error);
    }
}

fn step(work: Work, shared: &Shared, told: &watch::Sender<u64>) -> io::Result<()> {
    // Encoded before the lock is taken: readers wait for the write alone.
    let work = match work {
        Work::Items { items, revision } => {
            let records: Vec<_> = items.iter().filter_map(Item::encode).collect();
            let mut store = shared.store.lock();
            let Some(store) = store.as_mut().filter(|_| shared.failed.read().is_none()) else {
                return Ok(());
            };
            store.append(records)?;
            store.handed_over(revision);
            return Ok(());
        }
        other => other,
    };
    let mut store = shared.store.lock();
    let Some(store) = store.as_mut().filter(|_| shared.failed.read().is_none()) else { return Ok(()) };
    match work {
        Work::Items { .. } => {}
        Work::Restored(heads) => {
            store.restored(&heads)?;
            told.send_modify(|count| *count += 1);
        }
        Work::Flush { durably, done } => {
            if durably {
                store.sync()?;
            }
            // Who asked may have gone.
            let _ = done.send(Flushed);
        }
        Work::Merge { name, segment, bytes, done } => {
            let _ = done.send(store.merge(name, segment, &bytes)?);
        }
        Work::Close { name, gap } => store.close(name, gap)?,
    }
    Ok(())
}
