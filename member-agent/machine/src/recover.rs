//! The machine after a restart, from what was persisted.

use muster_model::{CapacityChange, Incarnation};

use crate::attempt::{Attempt, Fence, Phase};
use crate::machine::Machine;
use crate::pod::{Pod, PodState};
use crate::record::{AttemptRecord, PodRecord, Record};

impl Machine {
    /// The machine that wrote these records, as far as it survives: without session and permission to start.
    /// The first input must be [`crate::Input::Adopted`].
    pub fn recover(capacity: CapacityChange, records: impl IntoIterator<Item = Record>) -> Machine {
        let mut machine = Machine::new(capacity);
        let mut last_life: Option<Incarnation> = None;
        for record in records {
            match record {
                Record::Life(incarnation) => last_life = Some(incarnation),
                record => machine.replay(record),
            }
        }
        let rebooted = last_life.is_some_and(|last| last.boot != machine.capacity.incarnation.boot);
        for attempt in machine.attempts.values_mut() {
            attempt.outlived_boot = rebooted && attempt.is_live();
        }
        let epochs: Vec<_> = machine.attempts.keys().copied().collect();
        for epoch in epochs {
            machine.update_report(epoch);
        }
        machine
    }

    /// Records that give this machine back: what a compacted journal holds.
    pub fn snapshot(&self) -> Vec<Record> {
        let mut records = vec![Record::Life(self.capacity.incarnation.clone())];
        records.extend(self.newest.iter().map(|(uid, epoch)| Record::Seen { uid: *uid, epoch: *epoch }));
        for attempt in self.attempts.values() {
            snapshot_attempt(attempt, &mut records);
        }
        records
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Life(_) => {}
            Record::Seen { uid, epoch } => self.remember(uid, epoch),
            Record::Attempt(record) => self.replay_attempt(record),
            Record::Forgotten { epoch } => {
                self.attempts.remove(&epoch);
                self.outbox.unreported.remove(&epoch);
            }
            Record::Pod(record) => {
                if let Some(attempt) = self.attempts.get_mut(&record.epoch) {
                    attempt.pods.insert(record.serial, Pod::new(record));
                }
            }
            Record::PodEnded { epoch, serial, end, seen } => {
                let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
                let Some(pod) = attempt.pods.get_mut(&serial) else { return };
                pod.state = PodState::Ended(end);
                pod.seen = seen;
                attempt.count_end(serial, seen);
            }
            Record::Ending { epoch, ending } => self.replay_phase(epoch, Phase::Ending(ending)),
            Record::Ended { epoch, ended } => self.replay_phase(epoch, Phase::Ended(ended)),
            Record::Taken { epoch } => {
                if let Some(attempt) = self.attempts.get_mut(&epoch) {
                    attempt.taken = attempt.make_report();
                }
            }
        }
    }

    fn replay_attempt(&mut self, record: AttemptRecord) {
        let (uid, epoch) = (record.desired.uid, record.desired.epoch);
        self.remember(uid, epoch);
        if let Some(attempt) = self.attempts.get_mut(&epoch) {
            attempt.desired = record.desired;
            attempt.received = record.received;
        } else {
            let attempt = Attempt::new(record.desired, record.received, record.fence_base);
            self.attempts.insert(epoch, attempt);
        }
    }

    fn replay_phase(&mut self, epoch: muster_model::Epoch, phase: Phase) {
        if let Some(attempt) = self.attempts.get_mut(&epoch) {
            attempt.phase = phase;
        }
    }
}

fn snapshot_attempt(attempt: &Attempt, records: &mut Vec<Record>) {
    let epoch = attempt.desired.epoch;
    let fence_base = match attempt.fence {
        Fence::From(base) => Some(base),
        Fence::Never | Fence::Held => None,
    };
    let desired =
        std::sync::Arc::new(muster_model::DesiredAttempt { body: "".into(), ..(*attempt.desired).clone() });
    records.push(Record::Attempt(AttemptRecord { desired, received: attempt.received, fence_base }));
    records.extend(attempt.pods.values().map(|pod| Record::Pod(pod_record(epoch, pod))));
    // In the order in which they were seen: the back-off counts failures since the last success.
    let mut ended: Vec<&Pod> = attempt.pods.values().filter(|pod| !pod.is_live()).collect();
    ended.sort_by_key(|pod| (pod.seen.boot_ms, pod.serial));
    records.extend(ended.iter().filter_map(|pod| {
        Some(Record::PodEnded { epoch, serial: pod.serial, end: pod.end()?.clone(), seen: pod.seen })
    }));
    match &attempt.phase {
        Phase::Active => {}
        Phase::Ending(ending) => records.push(Record::Ending { epoch, ending: ending.clone() }),
        Phase::Ended(ended) => records.push(Record::Ended { epoch, ended: ended.clone() }),
    }
    if attempt.end_taken() {
        records.push(Record::Taken { epoch });
    }
}

fn pod_record(epoch: muster_model::Epoch, pod: &Pod) -> PodRecord {
    PodRecord {
        epoch,
        serial: pod.serial,
        index: pod.index,
        slot: pod.slot,
        generation: pod.generation,
        node: pod.node,
        gpus: pod.gpus.clone(),
        created: pod.created,
    }
}
