//! Datasets at members: who holds which bytes, and transfers of what is missing.
//!
//! ```text
//!  grant --needs data--> open a transfer, or share the one that is open      the cost is booked once
//!  ReportData ---------> copies; a whole one completes the transfer
//!  failed, dataset changed, copy gone --> granted attempts that wait for it are evicted and placed again
//! ```
//!
//! A transfer starts no attempt and ends none that runs: it decides only whether one that waits for its data goes on waiting.

use std::sync::Arc;

use muster_model::{
    Answer, Assignment, AttemptState, CostKind, CostLine, DataFetch, DataNeed, DataUse, Dataset, Document,
    Epoch, EventSeverity, Eviction, HeldCopy, Key, MemberName, Meta, MicroUsd, Object, ReportData, Revision,
    Status, Transfer, TransferNews, TransferPhase, TransferProgress, Uid, kinds,
};

use super::Step;
use crate::digest::hash128;

/// A transfer to be opened.
pub(super) struct Fetch {
    data: DataUse,
    fetch: DataFetch,
    folder: Arc<str>,
    target: MemberName,
}

impl Step<'_> {
    /// Whether the data of an assignment can still be had as it says. S21: regions are looked at again here.
    pub(super) fn check_data(&self, job: &Key, assignment: &Assignment) -> Result<(), &'static str> {
        for need in &assignment.data {
            let dataset = self.dataset(&job.namespace, &need.data.dataset).ok_or("a dataset is gone")?;
            if !dataset.offers(&need.data) {
                return Err("a dataset has another version now");
            }
            if !self.may_go_to(dataset, &assignment.member) {
                return Err("a dataset may not be at that member");
            }
            let there = dataset.whole_at(&assignment.member).is_some()
                || self.open_transfer(&job.namespace, &need.data, &assignment.member).is_some();
            let source = need.fetch.as_ref().and_then(|fetch| dataset.whole_at(&fetch.source));
            if !there && source.is_none() {
                return Err("nobody holds a whole copy of a dataset any more");
            }
        }
        Ok(())
    }

    /// What has to be moved for a grant that is about to be made. What is there or on its way already is not paid again.
    pub(super) fn data_to_fetch(&self, job: &Key, assignment: &mut Assignment) -> Vec<Fetch> {
        let target = assignment.member.clone();
        let mut fetches = Vec::new();
        for need in assignment.data.clone() {
            let DataNeed { data, fetch: Some(fetch) } = need else { continue };
            let Some(dataset) = self.dataset(&job.namespace, &data.dataset) else { continue };
            let is_there = dataset.whole_at(&target).is_some();
            let shared = is_there || self.open_transfer(&job.namespace, &data, &target).is_some();
            if shared && !muster_model::mutant!(transfer_paid_twice) {
                spare(&mut assignment.one_off, fetch.egress);
            }
            if let (false, Some(source)) = (shared, dataset.whole_at(&fetch.source)) {
                let folder = Arc::clone(&source.folder);
                fetches.push(Fetch { data, fetch, folder, target: target.clone() });
            }
        }
        fetches
    }

    /// Opens the transfers of a grant.
    pub(super) fn open_transfers(&mut self, job: &Key, epoch: Epoch, fetches: Vec<Fetch>) {
        for Fetch { data, fetch, folder, target } in fetches {
            let key = Key::transfer(&job.namespace, &data.dataset, target.as_str());
            let progress = TransferProgress { missing_bytes: fetch.bytes, ..TransferProgress::default() };
            let transfer = Transfer {
                data,
                source: fetch.source,
                target,
                folder,
                bytes: fetch.bytes,
                egress: fetch.egress,
                job: job.clone(),
                epoch,
                started: self.time,
                progress,
                phase: TransferPhase::Open,
            };
            let meta = self.transfer_meta(&key);
            let status = Status::Transfer(Arc::new(transfer));
            let object = self.store(Object { key, meta, document: Document::default(), status });
            self.tell_transfer(&object, "TransferStarted", EventSeverity::Normal);
        }
    }

    /// A transfer that follows another of the same name is not the same: news of the old one are not its own.
    fn transfer_meta(&self, key: &Key) -> Meta {
        Meta {
            uid: Uid(hash128(&(key, self.next_revision()))),
            created: self.time,
            generation: 0,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        }
    }

    /// What a member says that it holds, and how its transfers are. It can speak of itself only.
    pub(super) fn report_data(&mut self, report: &ReportData) -> Answer {
        let ReportData { member, copies, gone, transfers } = report;
        copies.iter().for_each(|held| self.take_copy(member, held));
        for news in transfers {
            self.take_news(member, news);
        }
        for key in gone {
            self.change_dataset(key, |dataset| drop(dataset.copies.remove(member)));
            self.release_waiting(member, &key.namespace, &key.name);
        }
        Answer::Done
    }

    fn take_copy(&mut self, member: &MemberName, held: &HeldCopy) {
        let Some(dataset) = self.state.get(&held.dataset).and_then(|object| object.dataset()) else { return };
        if !dataset.is_of_it(&held.copy) {
            return;
        }
        self.change_dataset(&held.dataset, |dataset| {
            dataset.copies.insert(member.clone(), held.copy.clone());
        });
        let (namespace, name) = (&held.dataset.namespace, &held.dataset.name);
        if held.copy.is_whole() {
            self.complete_transfer(namespace, name, member);
        } else {
            self.release_waiting(member, namespace, name);
        }
    }

    fn complete_transfer(&mut self, namespace: &str, dataset: &str, target: &MemberName) {
        let at = self.time;
        let key = Key::transfer(namespace, dataset, target.as_str());
        let changed = self.change_transfer(&key, |transfer| {
            transfer.phase = TransferPhase::Complete { at };
            transfer.progress.missing_bytes = 0;
        });
        if let Some(object) = changed {
            self.tell_transfer(&object, "TransferComplete", EventSeverity::Normal);
        }
    }

    fn take_news(&mut self, member: &MemberName, news: &TransferNews) {
        let there = self.state.get(&news.transfer).filter(|object| object.meta.uid == news.uid);
        if there.and_then(|object| object.transfer()).is_none_or(|transfer| transfer.target != *member) {
            return;
        }
        self.set_progress(&news.transfer, news.progress);
        if let Some(reason) = &news.failed {
            self.fail_transfer(&news.transfer, reason);
        }
    }

    /// Progress may come with, or after, the copy that completed the transfer.
    fn set_progress(&mut self, key: &Key, progress: TransferProgress) {
        let Some(there) = self.state.get(key).cloned() else { return };
        let Some(transfer) = there.transfer() else { return };
        let missing_bytes =
            if transfer.is_open() { progress.missing_bytes } else { transfer.progress.missing_bytes };
        let progress = TransferProgress { missing_bytes, ..progress };
        if transfer.progress != progress {
            let status = Status::Transfer(Arc::new(Transfer { progress, ..Transfer::clone(transfer) }));
            self.store(Object { status, ..Object::clone(&there) });
        }
    }

    /// Gives a transfer up: what was not moved is not paid, and who waits for it is placed again.
    fn fail_transfer(&mut self, key: &Key, reason: &Arc<str>) {
        let at = self.time;
        let failed = |transfer: &mut Transfer| {
            transfer.phase = TransferPhase::Failed { at, reason: Arc::clone(reason) };
        };
        let Some(object) = self.change_transfer(key, failed) else { return };
        let Some(transfer) = object.transfer().cloned() else { return };
        self.tell_transfer(&object, "TransferFailed", EventSeverity::Warning);
        self.give_back(&transfer);
        self.release_waiting(&transfer.target, &key.namespace, &transfer.data.dataset);
    }

    fn give_back(&mut self, transfer: &Transfer) {
        let Some(object) = self.state.get(&transfer.job).cloned() else { return };
        if self.is_live(&transfer.job, transfer.epoch) {
            self.change_job(&object, |job| {
                if let Some(attempt) = &mut job.attempt {
                    spare(&mut attempt.assignment.one_off, transfer.unspent());
                }
            });
        }
    }

    /// Attempts that have not begun and wait for a dataset that is neither at their member nor on its way.
    fn release_waiting(&mut self, member: &MemberName, namespace: &str, name: &str) {
        let waiting: Vec<(Key, Epoch)> = self
            .state
            .jobs_on(member)
            .filter_map(|key| self.waits_in_vain(key, member, namespace, name))
            .collect();
        for (job, epoch) in waiting {
            let message = format!("Dataset {name} does not come to {member}: placed again");
            self.evict(&Eviction { job, epoch, message: message.into() });
        }
    }

    fn waits_in_vain(
        &self,
        key: &Key,
        member: &MemberName,
        namespace: &str,
        name: &str,
    ) -> Option<(Key, Epoch)> {
        let attempt = self.state.get(key)?.job()?.attempt.as_deref()?;
        let here = *key.namespace == *namespace && attempt.assignment.member == *member;
        let need = attempt.assignment.data.iter().find(|need| *need.data.dataset == *name)?;
        let dataset = self.dataset(namespace, name).filter(|dataset| dataset.offers(&need.data));
        let comes = dataset.is_some_and(|dataset| dataset.whole_at(member).is_some())
            || self.open_transfer(namespace, &need.data, member).is_some();
        (here && attempt.state == AttemptState::Granted && !comes).then(|| (key.clone(), attempt.epoch))
    }

    /// A dataset changed or went: transfers of what it is no more, or to where it may not be, end before another byte is
    /// asked for.
    pub(super) fn follow_dataset(&mut self, key: &Key) {
        if !key.is(kinds::DATASET) {
            return;
        }
        let members: Vec<(MemberName, Key)> = self
            .state
            .indexes
            .open_transfers
            .iter()
            .filter(|(_, transfer)| self.is_of(transfer, key))
            .cloned()
            .collect();
        for (member, transfer) in members {
            if let Some(reason) = self.obstacle(&transfer, key, &member) {
                self.fail_transfer(&transfer, &reason.into());
            }
        }
    }

    fn is_of(&self, transfer: &Key, dataset: &Key) -> bool {
        let transfer = self.state.get(transfer).and_then(|object| Some((object, object.transfer()?)));
        transfer.is_some_and(|(object, one)| one.dataset(&object.key.namespace) == *dataset)
    }

    fn obstacle(&self, transfer: &Key, dataset: &Key, member: &MemberName) -> Option<&'static str> {
        let data = &self.state.get(transfer)?.transfer()?.data;
        match self.state.get(dataset).and_then(|object| object.dataset()) {
            None => Some("the dataset was deleted"),
            Some(dataset) if !dataset.offers(data) => Some("the dataset has another version now"),
            Some(dataset) if !self.may_go_to(dataset, member) => {
                Some("allowedRegions does not hold the member's region any more")
            }
            Some(_) => None,
        }
    }

    /// A member is gone, and what it held with it.
    pub(super) fn forget_copies(&mut self, cluster: &Key) {
        if !cluster.is(kinds::CLUSTER) {
            return;
        }
        let member = MemberName(Arc::clone(&cluster.name));
        for transfer in self.state.open_transfers_to(&member).cloned().collect::<Vec<_>>() {
            self.fail_transfer(&transfer, &"the member was deleted".into());
        }
        for dataset in self.state.copies_at(&member).cloned().collect::<Vec<_>>() {
            self.change_dataset(&dataset, |dataset| drop(dataset.copies.remove(&member)));
        }
    }

    fn may_go_to(&self, dataset: &Dataset, member: &MemberName) -> bool {
        let cluster = self.state.get(&Key::cluster(member.as_str())).and_then(|object| object.cluster());
        cluster.is_some_and(|cluster| dataset.may_go_to(&cluster.spec.location))
    }

    fn dataset(&self, namespace: &str, name: &str) -> Option<&Arc<Dataset>> {
        self.state.get(&Key::new(kinds::DATASET, namespace, name))?.dataset()
    }

    fn open_transfer(&self, namespace: &str, data: &DataUse, target: &MemberName) -> Option<&Arc<Transfer>> {
        let key = Key::transfer(namespace, &data.dataset, target.as_str());
        self.state.get(&key)?.transfer().filter(|transfer| transfer.is_open() && transfer.data == *data)
    }

    fn change_dataset(&mut self, key: &Key, change: impl FnOnce(&mut Dataset)) {
        let Some(there) = self.state.get(key).cloned() else { return };
        let Some(dataset) = there.dataset() else { return };
        let mut changed = Dataset::clone(dataset);
        change(&mut changed);
        if changed != **dataset {
            self.store(Object { status: Status::Dataset(Arc::new(changed)), ..Object::clone(&there) });
        }
    }

    /// Changes an open transfer.
    fn change_transfer(&mut self, key: &Key, change: impl FnOnce(&mut Transfer)) -> Option<Arc<Object>> {
        let there = self.state.get(key).cloned()?;
        let mut transfer =
            there.transfer().filter(|transfer| transfer.is_open()).map(|one| Transfer::clone(one))?;
        change(&mut transfer);
        let status = Status::Transfer(Arc::new(transfer));
        Some(self.store(Object { status, ..Object::clone(&there) }))
    }

    /// Says at the dataset, and at the job that pays, what became of a transfer.
    fn tell_transfer(&mut self, object: &Object, reason: &str, severity: EventSeverity) {
        let Some(transfer) = object.transfer() else { return };
        let Transfer { data, source, target, bytes, phase, .. } = &**transfer;
        let what = format!("{} {}: {bytes} bytes from {source} to {target}", data.dataset, data.version);
        let message = match phase {
            TransferPhase::Failed { reason, .. } => format!("{what}: {reason}"),
            TransferPhase::Open | TransferPhase::Complete { .. } => what,
        };
        for key in [transfer.dataset(&object.key.namespace), transfer.job.clone()] {
            if let Some(about) = self.state.get(&key).cloned() {
                self.note(&about, reason, &message, severity);
            }
        }
    }
}

/// Takes an amount off the egress line, and the line away when nothing is left of it.
fn spare(lines: &mut Vec<CostLine>, amount: MicroUsd) {
    if let Some(line) = lines.iter_mut().find(|line| line.kind == CostKind::Egress) {
        line.amount = MicroUsd(line.amount.0.saturating_sub(amount.0).max(0));
    }
    lines.retain(|line| line.kind != CostKind::Egress || line.amount != MicroUsd(0));
}
