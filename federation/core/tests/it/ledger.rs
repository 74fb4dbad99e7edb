//! The ledger over random histories: every attempt is booked once, at what it cost, whatever became of its job, its `Run`
//! and its namespace; and the same bookings come out of a replay, and of a restored snapshot.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::{Bill, ChainHead, State, audit_link, booking_link};
use muster_model::*;
use proptest::prelude::*;

use crate::histories::{op, run};
use crate::world::*;

/// What the events of a world say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Emitted {
    bookings: Vec<Booking>,
    audit: Vec<AuditRecord>,
}

impl Emitted {
    fn take(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Booked(booking) => self.bookings.push(Booking::clone(booking)),
                Event::Audited(record) => self.audit.push(record.clone()),
                Event::Changed { .. } => {}
            }
        }
    }

    fn of(state: &mut State, log: &[Entry]) -> Emitted {
        let mut emitted = Emitted::default();
        for entry in log {
            emitted.take(&state.apply(entry).events);
        }
        emitted
    }

    /// Panics unless both chains are whole from these heads to the state's.
    fn check_chains(&self, (mut ledger, mut audit): (ChainHead, ChainHead), state: &State) {
        for booking in &self.bookings {
            assert_eq!(booking.sequence, ledger.sequence + 1);
            assert_eq!(booking.chain, booking_link(booking, ledger.hash));
            ledger = ChainHead { sequence: booking.sequence, hash: booking.chain };
        }
        for record in &self.audit {
            assert_eq!(record.sequence, audit.sequence + 1);
            assert_eq!(record.chain, audit_link(record, audit.hash));
            audit = ChainHead { sequence: record.sequence, hash: record.chain };
        }
        assert_eq!((ledger, audit), (state.ledger(), state.audit()));
    }
}

/// Attempts that may be alive, by job and epoch, with what they would cost if they ended now.
fn live(state: &State) -> BTreeMap<(Uid, Epoch), Bill> {
    let jobs = state.objects().filter_map(|object| Some((object, object.job()?)));
    jobs.filter_map(|(object, job)| {
        let attempt = job.attempt.as_deref()?;
        Some(((object.meta.uid, attempt.epoch), Bill::of(attempt, state.time())))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_attempt_is_booked_once(ops in proptest::collection::vec(op(), 1..80), cut in 0..100_usize) {
        let mut world = World::new();
        let mut granted = BTreeSet::new();
        for (i, op) in ops.iter().enumerate() {
            run(&mut world, op, 100 + i as u128);
            granted.extend(live(&world.state).into_keys());
        }
        // A namespace goes with everything in it, while attempts still end.
        world.apply(delete(Key::namespace("default"), Propagation::Background));
        for _ in 0..4 {
            world.apply(Command::Collect { limit: 100 });
        }
        for job in 0..4 {
            world.ended(&format!("job-{job}"), AttemptOutcome::Stopped);
        }

        let whole = Emitted::of(&mut State::new(1), &world.log);
        whole.check_chains((ChainHead::default(), ChainHead::default()), &world.state);
        let booked: Vec<(Uid, Epoch)> = whole.bookings.iter().map(|b| (b.run.job_uid, b.run.epoch)).collect();
        let once: BTreeSet<_> = booked.iter().copied().collect();
        prop_assert_eq!(once.len(), booked.len(), "no attempt is booked twice");
        let open: BTreeSet<_> = live(&world.state).into_keys().collect();
        let ended: BTreeSet<_> = granted.difference(&open).copied().collect();
        prop_assert!(ended.is_subset(&once), "every attempt that is over is booked: {ended:?} {once:?}");
        prop_assert!(once.is_disjoint(&open), "none that is alive is");

        // As after a failover, or a snapshot that is installed: the rest of the log books the rest.
        let at = world.log.len() * cut / 100;
        let mut first = State::new(1);
        let before = Emitted::of(&mut first, &world.log[..at]);
        let objects = first.objects().map(|object| Object::clone(object));
        let mut restored = State::restore(&first.header(), objects).expect("a snapshot is whole");
        let heads = (restored.ledger(), restored.audit());
        let after = Emitted::of(&mut restored, &world.log[at..]);
        after.check_chains(heads, &world.state);
        let joined = Emitted {
            bookings: [before.bookings, after.bookings].concat(),
            audit: [before.audit, after.audit].concat(),
        };
        prop_assert_eq!(joined, whole);
    }
}

#[test]
fn compute_counts_from_the_reported_start_to_the_end() {
    let mut world = World::new();
    world.ok(create_job("a", 100, 1, 8));
    world.plan("a", "a");
    let since = TimeMs(world.now);
    world.report("a", ReportedState::Running { since });
    world.now = since.0 + 1_800_000;
    let at = TimeMs(world.now);
    let applied = {
        let object = world.state.get(&Key::job("default", "a")).cloned().expect("the job");
        let attempt = object.job().and_then(|job| job.attempt.clone()).expect("an attempt");
        assert_eq!(Bill::of(&attempt, at).total(), MicroUsd(4_000_000), "half an hour at 8 dollars");
        let outcome = AttemptOutcome::Succeeded;
        let report = AttemptReport {
            job: object.key.clone(),
            uid: object.meta.uid,
            epoch: attempt.epoch,
            state: ReportedState::Ended { outcome, exit_code: Some(0), at },
            pods: PodCounts::default(),
            completed_indexes: "".into(),
            index_failures: IndexFailures::default(),
        };
        world.apply(Command::ReportAttempts {
            member: MemberName::new("a"),
            incarnation: incarnation(1),
            reports: vec![report],
        })
    };
    let mut emitted = Emitted::default();
    emitted.take(&applied.events);
    let [booking] = emitted.bookings.as_slice() else { panic!("{:?}", emitted.bookings) };
    assert_eq!(booking.run.cost, [CostLine { kind: CostKind::Compute, amount: MicroUsd(4_000_000) }]);
    assert_eq!(booking.gpu_ms, 8 * 1_800_000);
    let runs = world.state.list(&Kind::new(kinds::RUN), None, None).collect::<Vec<_>>();
    assert!(
        matches!(&runs[0].status, Status::Run(run) if **run == booking.run),
        "the Run says what the ledger says"
    );
}

#[test]
fn denied_requests_are_linked_and_change_nothing_else() {
    let mut world = World::new();
    let (before, head) = (world.state.revision(), world.state.audit());
    let denial = |resource: &str, count| Denial {
        principal: Principal::new("eve"),
        verb: AuditVerb::List,
        resource: Kind::new(resource),
        count,
    };
    let denials = vec![denial("jobs.batch", 3), denial("secrets", 1)];
    let applied = world.apply(Command::Deny { denials });
    let mut emitted = Emitted::default();
    emitted.take(&applied.events);
    emitted.check_chains((world.state.ledger(), head), &world.state);
    assert_eq!(emitted.audit.iter().map(|record| record.denied).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(world.state.revision(), before);
    let mut changed = emitted.audit[0].clone();
    changed.denied = 2;
    assert_ne!(audit_link(&changed, head.hash), changed.chain, "the count is in the chain");
}

#[test]
fn connections_to_pods_are_linked_and_change_nothing_else() {
    let mut world = World::new();
    let (before, head) = (world.state.revision(), world.state.audit());
    let connect = Connect {
        principal: Principal::new("remi"),
        verb: AuditVerb::Exec,
        namespace: "team".into(),
        pod: "train-x7k2p".into(),
        detail: "main: ls".into(),
    };
    let applied = world.apply(Command::Connect(connect));
    let mut emitted = Emitted::default();
    emitted.take(&applied.events);
    emitted.check_chains((world.state.ledger(), head), &world.state);
    let [record] = emitted.audit.as_slice() else { panic!("one record: {:?}", emitted.audit) };
    assert_eq!((record.key.to_string(), &*record.detail), ("pods/team/train-x7k2p".to_owned(), "main: ls"));
    assert_eq!(world.state.revision(), before);
    let changed = AuditRecord { detail: "main: rm".into(), ..record.clone() };
    assert_ne!(audit_link(&changed, head.hash), changed.chain, "the command is in the chain");
}
