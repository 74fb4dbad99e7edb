//! Random schedules of drops, delays, partitions, crashes and failing disks. Checked after every turn: election
//! safety and that what is committed never changes. Checked in the end: logs match, every acknowledged proposal is
//! everywhere, nothing that was refused or superseded is anywhere.

use std::collections::BTreeSet;

use bytes::Bytes;
use muster_consensus::log_store::DiskFault;
use muster_consensus::{MembershipChange, Outcome, Refusal};

use crate::ledger::replica;
use crate::world::{Faults, Random, World};

struct Run {
    world: World,
    random: Random,
    proposals: Vec<(muster_consensus::Token, Bytes)>,
    voters: u64,
    /// Whether replicas are added and removed.
    changing: bool,
}

impl Run {
    fn new(seed: u64, voters: u64) -> Self {
        Self {
            world: World::new(seed, voters),
            random: Random(!seed),
            proposals: Vec::new(),
            voters,
            changing: false,
        }
    }

    /// Three voters and a replica that is not in the group yet, all of which come and go.
    fn changing(seed: u64) -> Self {
        let mut run = Self::new(seed, 3);
        run.world.join(4);
        (run.voters, run.changing) = (4, true);
        run
    }

    fn chaos(mut self, actions: u64) -> Self {
        for _ in 0..actions {
            let pause = self.random.below(60);
            self.world.run(pause);
            self.act();
            if self.random.below(8) == 0 {
                self.world.check_log_matching();
            }
        }
        if self.changing {
            self.bring_all_in();
        }
        self.world.heal();
        self.check();
        self
    }

    fn change(&mut self, id: u64) {
        let change = match self.random.below(3) {
            0 => MembershipChange::AddLearner(replica(id)),
            1 => MembershipChange::Promote(replica(id)),
            _ => MembershipChange::Remove(replica(id)),
        };
        let leader = self.world.leader().unwrap_or(1);
        self.world.change(leader, change);
    }

    /// Make everyone a voter again.
    fn bring_all_in(&mut self) {
        self.world.mend();
        for id in 1..=self.voters {
            for change in [MembershipChange::AddLearner(replica(id)), MembershipChange::Promote(replica(id))]
            {
                self.carry_out(change);
            }
        }
    }

    /// Ask for a change until it is done or makes no sense.
    fn carry_out(&mut self, change: MembershipChange) {
        for _ in 0..200 {
            let leader = self.world.elect();
            let token = self.world.change(leader, change);
            self.world.run_until("the change's end", |world| world.changes.contains_key(&token));
            match &self.world.changes[&token] {
                Outcome::Committed { .. } | Outcome::Refused(Refusal::ImpossibleChange(_)) => return,
                _ => self.world.run(100),
            }
        }
        panic!(
            "{change:?} was never done: {:?} {:#?}",
            self.world.changes.iter().last(),
            self.world.statuses()
        );
    }

    fn act(&mut self) {
        let id = 1 + self.random.below(self.voters);
        match self.random.below(20) {
            0 => self.world.crash(id),
            1 => self.fail_disk(id),
            2..=4 => self.restart_all(),
            5 => self.world.cut_off(id),
            6 => {
                let other = 1 + self.random.below(self.voters);
                self.world.cut.insert((id, other));
            }
            7 => self.world.cut.clear(),
            8 => {
                self.world.faults = Faults {
                    dropped: self.random.pick(&[0, 20, 200]),
                    duplicated: self.random.pick(&[0, 50]),
                    max_delay: self.random.pick(&[1, 5, 120]),
                };
            }
            9 => {
                self.world.read(id);
            }
            10 | 11 if self.changing => self.change(id),
            _ => self.propose(),
        }
    }

    fn fail_disk(&mut self, id: u64) {
        let fault = self.random.pick(&[DiskFault::Full, DiskFault::FailedSync]);
        self.world.fail_disk(id, fault);
        if self.random.below(2) == 0 {
            self.world.run(60);
            self.world.nodes[&id].disk.settle();
        }
    }

    fn restart_all(&mut self) {
        for id in 1..=self.voters {
            if self.world.nodes[&id].driver.is_none() {
                self.world.start(id);
            }
        }
    }

    fn propose(&mut self) {
        let leader = self.world.leader().unwrap_or(1);
        for _ in 0..self.random.below(6) {
            let bytes = Bytes::from(format!("proposal {}", self.proposals.len()));
            let token = self.world.propose(leader, bytes.clone());
            self.proposals.push((token, bytes));
        }
    }

    fn check(&self) {
        for id in 1..=self.voters {
            let there: Vec<&Bytes> = self.world.ledger(id).entries.iter().map(|(_, bytes)| bytes).collect();
            let distinct: BTreeSet<&Bytes> = there.iter().copied().collect();
            assert_eq!(distinct.len(), there.len(), "something was applied twice on {id}");
            for (token, bytes) in &self.proposals {
                match self.world.answers.get(token) {
                    Some(Outcome::Committed { .. }) => {
                        assert!(distinct.contains(bytes), "{bytes:?} lost on {id}")
                    }
                    Some(Outcome::Refused(_) | Outcome::Superseded) => {
                        assert!(!distinct.contains(bytes), "{bytes:?} was denied and is there on {id}");
                    }
                    Some(Outcome::Unknown) | None => {}
                }
            }
        }
    }
}

#[test]
fn three_replicas_survive_random_schedules() {
    let mut committed = 0;
    let mut installed = 0;
    for seed in 0..60 {
        let run = Run::new(seed, 3).chaos(120);
        committed +=
            run.world.answers.values().filter(|end| matches!(end, Outcome::Committed { .. })).count();
        installed += (1..=3).filter(|id| run.world.ledger(*id).restored > 0).count();
    }
    assert!(
        committed > 2_000,
        "only {committed} proposals were committed: the schedules are too harsh to mean much"
    );
    assert!(installed > 5, "only {installed} replicas were restored from a snapshot");
}

#[test]
fn five_replicas_survive_random_schedules() {
    for seed in 1_000..1_010 {
        Run::new(seed, 5).chaos(100);
    }
}

#[test]
fn a_changing_group_survives_random_schedules() {
    let mut changed = 0;
    for seed in 2_000..2_100 {
        let run = Run::changing(seed).chaos(120);
        changed += run.world.changes.values().filter(|end| matches!(end, Outcome::Committed { .. })).count();
    }
    assert!(changed > 250, "only {changed} changes were made");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| Run::new(seed, 3).chaos(60).world.trace();
    for seed in 0..5 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(1), trace(2));
}

/// The checkers must see what a disk that lies can do: acknowledged entries vanish.
#[test]
fn a_lying_disk_is_noticed() {
    let lost = (0..20).any(|seed| {
        let mut world = World::new(seed, 3);
        let leader = world.elect();
        let noop_settled = world.propose(leader, "first");
        world.run_until("the first entry", |world| world.answers.contains_key(&noop_settled));
        for id in 1..=3 {
            world.fail_disk(id, DiskFault::LyingSync);
        }
        let token = world.propose(leader, "acknowledged");
        world.run(40);
        let acknowledged = matches!(world.answers.get(&token), Some(Outcome::Committed { .. }));
        (1..=3).for_each(|id| world.crash(id));
        (1..=3).for_each(|id| world.start(id));
        let leader = world.elect();
        let token = world.propose(leader, "later");
        world.run_until("the later entry", |world| world.answers.contains_key(&token));
        acknowledged && !world.ledger(leader).entries.iter().any(|(_, bytes)| bytes == "acknowledged")
    });
    assert!(lost, "losing unsynced batches changed nothing: the simulated disk does not lose them");
}
