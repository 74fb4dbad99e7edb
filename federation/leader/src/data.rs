//! Datasets at members: what they say is committed when it differs from what is, at most once a second, ends at once; and
//! each is told which transfers to it are open.

use std::collections::BTreeSet;

use muster_core::State;
use muster_model::{
    Command, DataReport, Dataset, HeldCopy, Key, MemberName, ReportData, TimeMs, ToMember, Transfer,
    TransferNews, TransferOrder,
};

use crate::config::Config;
use crate::input::SessionId;
use crate::leader::Leader;
use crate::outbox::Purpose;
use crate::session::{Progress, Session};

/// Copies and transfers of one member that are taken at most; what is over it is not there for the hub.
const MAX_ITEMS: usize = 10_000;

/// What a member said of its data.
#[derive(Clone, Debug, Default)]
pub struct DataDesk {
    latest: Option<DataReport>,
    /// Whether it was not compared with the state since one of the two changed.
    changed: bool,
    proposed: Option<TimeMs>,
    under_way: bool,
    /// The transfers that the member was told of.
    told: Vec<TransferOrder>,
}

impl DataDesk {
    /// The member said what it has.
    pub fn arrived(&mut self, mut report: DataReport) {
        report.copies.truncate(MAX_ITEMS);
        report.transfers.truncate(MAX_ITEMS);
        self.latest = Some(report);
        self.changed = true;
    }

    /// A dataset or transfer changed.
    pub fn look_again(&mut self) {
        self.changed = self.latest.is_some();
    }

    /// What to propose now.
    pub fn next(
        &mut self,
        state: &State,
        member: &MemberName,
        now: TimeMs,
        config: &Config,
    ) -> Option<ReportData> {
        if self.under_way || !self.changed {
            return None;
        }
        let report = difference(self.latest.as_ref()?, state, member);
        if report.copies.is_empty() && report.gone.is_empty() && report.transfers.is_empty() {
            self.changed = false;
            return None;
        }
        let early = self.proposed.is_some_and(|at| now.since(at) < config.capacity_interval);
        if early && !matters_at_once(&report) {
            return None;
        }
        self.proposed = Some(now);
        self.under_way = true;
        Some(report)
    }

    /// The proposal came to its end; what it said is compared with the state again.
    pub fn done(&mut self) {
        self.under_way = false;
        self.changed = true;
    }
}

/// A whole copy, the loss of one, and the end of a transfer decide what may run.
fn matters_at_once(report: &ReportData) -> bool {
    report.copies.iter().any(|held| held.copy.is_whole())
        || !report.gone.is_empty()
        || report.transfers.iter().any(|news| news.failed.is_some())
}

fn difference(report: &DataReport, state: &State, member: &MemberName) -> ReportData {
    let dataset = |key: &Key| state.get(key).and_then(|object| object.dataset()).cloned();
    let is_news = |held: &&HeldCopy| {
        dataset(&held.dataset).is_some_and(|dataset| {
            dataset.is_of_it(&held.copy) && dataset.copies.get(member) != Some(&held.copy)
        })
    };
    let holds = |key: &Key, dataset: &Dataset| {
        report.copies.iter().any(|held| held.dataset == *key && dataset.is_of_it(&held.copy))
    };
    let is_gone = |key: &&Key| dataset(key).is_some_and(|dataset| !holds(key, &dataset));
    ReportData {
        member: member.clone(),
        copies: report.copies.iter().filter(is_news).cloned().collect(),
        gone: state.copies_at(member).filter(is_gone).cloned().collect(),
        transfers: report
            .transfers
            .iter()
            .filter(|news| is_told_anew(news, state, member))
            .cloned()
            .collect(),
    }
}

/// News of an open transfer to this member that the state does not have.
fn is_told_anew(news: &TransferNews, state: &State, member: &MemberName) -> bool {
    let there = state.get(&news.transfer).filter(|object| object.meta.uid == news.uid);
    let Some(transfer) = there.and_then(|object| object.transfer()) else { return false };
    let is_open = |transfer: &Transfer| transfer.is_open() && transfer.target == *member;
    is_open(transfer) && (transfer.progress != news.progress || news.failed.is_some())
}

impl Leader {
    pub(crate) fn data_arrived(&mut self, id: SessionId, report: DataReport) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let member = session.member.clone();
        let Some(greeted) = session.greeted() else { return };
        let named: BTreeSet<&Key> = report.transfers.iter().map(|news| &news.transfer).collect();
        let is_open = |key: &&&Key| greeted.data.told.iter().any(|order| order.transfer == ***key);
        let works_in_vain = named.iter().filter(is_open).count() < named.len();
        greeted.data.arrived(report);
        if works_in_vain {
            self.say_transfers(id, &member);
        }
        self.propose_for(id);
    }

    /// Tells a member which transfers to it are open, if that is not what it was told.
    pub(crate) fn tell_transfers(&mut self, member: &MemberName) {
        let Some(id) = self.sessions.of_member(member) else { return };
        let orders = self.state.transfer_orders(member);
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        if matches!(greeted.progress, Progress::Live(_)) && greeted.data.told != orders {
            self.say_transfers(id, member);
        }
    }

    fn say_transfers(&mut self, id: SessionId, member: &MemberName) {
        let orders = self.state.transfer_orders(member);
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        if matches!(greeted.progress, Progress::Live(_)) {
            greeted.data.told.clone_from(&orders);
            self.out.send(id, ToMember::Transfers { orders });
        }
    }

    /// A dataset changed: what members said of it is looked at again.
    pub(crate) fn dataset_changed(&mut self) {
        for id in self.sessions.accepted() {
            if let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) {
                greeted.data.look_again();
            }
        }
    }

    /// What a live session says of its data, if it is news.
    pub(crate) fn propose_data(&mut self, id: SessionId, member: &MemberName) {
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        if let Some(report) = greeted.data.next(&self.state, member, self.now, &self.config) {
            self.out.propose(Purpose::Data(id), Command::ReportData(Box::new(report)));
        }
    }
}
