//! Carries out what [`Fetch`] asks for: reads from the source's folder, stores here. It decides nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_member_machine::{Fetch, FetchAction, FetchEnd, FetchInput};
use muster_model::{HeldCopy, TransferNews, TransferOrder, TransferProgress};
use tokio::sync::{Notify, watch};

use super::folder::{DataFolder, DataId};
use super::incoming::{Incoming, read_chunk};
use super::manifest::{Manifest, hash};
use super::scan::{held, published, read};

/// Between two looks while nothing may be read.
const LOOK: Duration = Duration::from_millis(20);
/// Left free on this disk beside what is fetched.
const SPARE_BYTES: u64 = 64 << 20;
/// How long the source's manifest is waited for.
const MANIFEST_TRIES: u32 = 10;
const MANIFEST_PAUSE: Duration = Duration::from_millis(300);

/// What others see of a transfer.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<TransferNews>>);

/// One transfer to this member.
pub(crate) struct Fetcher {
    pub(crate) order: TransferOrder,
    pub(crate) id: DataId,
    pub(crate) root: DataFolder,
    pub(crate) limit: watch::Receiver<Option<u64>>,
    pub(crate) progress: Progress,
    /// Woken when others should look at the progress.
    pub(crate) changed: Arc<Notify>,
}

impl Progress {
    pub(crate) fn new(order: &TransferOrder) -> Progress {
        let (transfer, uid) = (order.transfer.clone(), order.uid);
        let progress = TransferProgress::default();
        Progress(Arc::new(Mutex::new(TransferNews { transfer, uid, progress, failed: None })))
    }

    pub(crate) fn get(&self) -> TransferNews {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, progress: TransferProgress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).progress = progress;
    }

    fn fail(&self, reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed = Some(reason.into());
    }
}

/// What the blocking side holds between two actions.
struct Hands {
    source: DataFolder,
    incoming: Incoming,
    root: DataFolder,
    id: DataId,
    manifest: Manifest,
    /// The chunk that was read last.
    in_hand: Vec<u8>,
}

impl Fetcher {
    /// Runs to the end; the copy if it is whole. Dropped, it leaves what it stored for the next one.
    pub(crate) async fn run(mut self) -> Option<HeldCopy> {
        let result = self.fetch().await;
        let copy = match result {
            Ok(copy) => Some(copy),
            Err(reason) => {
                tracing::warn!(transfer = %self.order.transfer.name, reason, "transfer given up");
                self.progress.fail(&reason);
                None
            }
        };
        self.changed.notify_one();
        copy
    }

    async fn fetch(&mut self) -> Result<HeldCopy, String> {
        if let Some(manifest) = self.published().await {
            return Ok(held(&self.root, &self.id, &manifest, 0));
        }
        let manifest = self.manifest().await?;
        let mut hands = self.hands(&manifest)?;
        let began = tokio::time::Instant::now();
        let now = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (held_chunks, stored) = (&hands.incoming.held, hands.incoming.stored_bytes);
        let mut fetch = Fetch::new(manifest.chunks(), held_chunks, stored, now());
        tracing::info!(
            transfer = %self.order.transfer.name,
            source = %self.order.source,
            missing_bytes = fetch.progress().missing_bytes,
            held_chunks = held_chunks.len(),
            "transfer begins"
        );
        check_room(self.root.path(), fetch.progress().missing_bytes)?;
        fetch.limit(*self.limit.borrow(), now());
        self.tell(&fetch);
        let mut input = FetchInput::Tick;
        loop {
            let action = fetch.step(input, now());
            if let Some(end) = fetch.end() {
                return match end {
                    FetchEnd::Complete => Ok(held(&self.root, &self.id, &manifest, 0)),
                    FetchEnd::Failed(reason) => Err(reason.clone()),
                };
            }
            input = match action {
                None => {
                    tokio::time::sleep(LOOK).await;
                    FetchInput::Tick
                }
                Some(action) => {
                    let (back, answer) = carry_out(hands, action).await?;
                    hands = back;
                    answer
                }
            };
            fetch.limit(*self.limit.borrow(), now());
            self.tell(&fetch);
        }
    }

    /// What lies here already: an earlier life died after it put the files in their place, or people put them there.
    async fn published(&self) -> Option<Manifest> {
        let (root, id, digest) = (self.root.clone(), self.id.clone(), self.order.data.digest);
        let look = move || {
            let manifest = published(&root, &id, digest)?;
            // What is left of a transfer would be taken for one under way.
            drop(std::fs::remove_dir_all(root.incoming(&id)));
            Some(manifest)
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    fn tell(&self, fetch: &Fetch) {
        let progress = fetch.progress();
        if self.progress.get().progress != progress {
            self.progress.set(progress);
            self.changed.notify_one();
        }
    }

    /// The manifest whose hash was asked for: an earlier life may have left it, else the source has it.
    async fn manifest(&self) -> Result<Manifest, String> {
        let left = tokio::task::block_in_place(|| Incoming::look(&self.root, &self.id));
        if let Some((manifest, _)) = left.filter(|(left, _)| left.digest() == self.order.data.digest) {
            return Ok(manifest);
        }
        let path = DataFolder::of_other(&self.order.folder).manifest(&self.id, self.order.data.digest);
        for _ in 0..MANIFEST_TRIES {
            let found = tokio::task::block_in_place(|| read(&path));
            match found {
                Some(manifest) if manifest.digest() == self.order.data.digest => return Ok(manifest),
                Some(_) => return Err("its manifest is not the one that its digest names".to_owned()),
                None => tokio::time::sleep(MANIFEST_PAUSE).await,
            }
        }
        Err(format!("{} cannot be read from this member's machine", path.display()))
    }

    fn hands(&self, manifest: &Manifest) -> Result<Hands, String> {
        let opened = tokio::task::block_in_place(|| Incoming::open(&self.root, &self.id, manifest));
        let incoming =
            opened.map_err(|error| format!("{}: {error}", self.root.incoming(&self.id).display()))?;
        Ok(Hands {
            source: DataFolder::of_other(&self.order.folder),
            incoming,
            root: self.root.clone(),
            id: self.id.clone(),
            manifest: manifest.clone(),
            in_hand: Vec::new(),
        })
    }
}

/// Says before the first byte that a disk is too small.
fn check_room(path: &Path, missing: u64) -> Result<(), String> {
    let found = nix::sys::statvfs::statvfs(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    if missing.saturating_add(SPARE_BYTES) <= free {
        return Ok(());
    }
    Err(format!(
        "needs {missing} bytes and {SPARE_BYTES} to spare, {free} are free at {}: free some, or keep the job from this cluster",
        path.display()
    ))
}

async fn carry_out(mut hands: Hands, action: FetchAction) -> Result<(Hands, FetchInput), String> {
    let work = move || {
        let answer = hands.carry_out(&action);
        (hands, answer)
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

impl Hands {
    fn carry_out(&mut self, action: &FetchAction) -> FetchInput {
        let disk_failed = |error: &std::io::Error| FetchInput::DiskFailed {
            reason: format!("this member's disk: {error}"),
        };
        match *action {
            FetchAction::Read { chunk } => self.read(chunk),
            FetchAction::Store { chunk } => match self.incoming.store(chunk, &self.in_hand) {
                Ok(()) => FetchInput::Stored { chunk },
                Err(error) => disk_failed(&error),
            },
            FetchAction::CheckAll => match self.incoming.damaged() {
                Ok(damaged) => FetchInput::Checked { damaged },
                Err(error) => disk_failed(&error),
            },
            FetchAction::Publish => match self.incoming.publish(&self.root, &self.id, &self.manifest) {
                Ok(()) => FetchInput::Published,
                Err(error) => {
                    let place = self.root.files(&self.id);
                    let reason = format!("{}: {error}; remove what lies there", place.display());
                    FetchInput::DiskFailed { reason }
                }
            },
        }
    }

    fn read(&mut self, chunk: usize) -> FetchInput {
        let (place, _) = self.incoming.place(chunk);
        let path = self.source.files(&self.id).join(&place.path);
        match read_chunk(&path, place) {
            Ok(bytes) => {
                self.in_hand = bytes;
                FetchInput::ChunkRead { chunk, hash: hash(&self.in_hand) }
            }
            Err(error) => FetchInput::NotRead {
                chunk,
                reason: format!("could not be read: {}: {error}", path.display()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_model::{DataUse, Key, MemberName, Uid};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_copy_that_was_published_before_anybody_was_told_is_not_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = DataFolder::of_state(dir.path()).unwrap();
        let digest = muster_model::ContentDigest([0; 32]);
        let mut data = DataUse { dataset: "d".into(), version: "1".into(), digest };
        let id = DataId::new("n", &data).unwrap();
        std::fs::create_dir_all(root.files(&id)).unwrap();
        std::fs::write(root.files(&id).join("a"), "whole").unwrap();
        let manifest = Manifest::of_folder(&root.files(&id)).unwrap();
        data.digest = manifest.digest();
        // What the life before left: the record of a transfer whose files are not below it any more.
        Incoming::open(&root, &id, &manifest).unwrap();
        let order = TransferOrder {
            transfer: Key::transfer("n", "d", "here"),
            uid: Uid(1),
            data,
            source: MemberName::new("gone"),
            folder: "/nonexistent".into(),
            bytes_per_second: None,
        };
        let (_limit, limit) = watch::channel(None);
        let progress = Progress::new(&order);
        let fetcher =
            Fetcher { order, id: id.clone(), root: root.clone(), limit, progress, changed: Arc::default() };
        assert_eq!(fetcher.run().await, Some(held(&root, &id, &manifest, 0)));
        assert!(!root.incoming(&id).exists());
        assert!(root.manifest(&id, manifest.digest()).is_file(), "pods may read it");
    }

    #[test]
    fn a_dataset_larger_than_any_disk_is_refused_with_both_figures() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_room(dir.path(), 1), Ok(()));
        let refused = check_room(dir.path(), u64::MAX / 2).unwrap_err();
        assert!(refused.starts_with("needs 9223372036854775807 bytes and 67108864 to spare, "), "{refused}");
        assert!(refused.contains("keep the job from this cluster"), "{refused}");
    }
}
