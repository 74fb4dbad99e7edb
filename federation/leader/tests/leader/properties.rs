//! Random inputs: nothing panics, and no acknowledgement precedes a round that began after its heartbeat arrived.

use std::collections::BTreeMap;

use muster_leader::{Action, Input, RoundId, SessionId};
use muster_model::*;
use proptest::prelude::*;

use crate::hub::{Hub, capacity, create, hello, job_spec, running, succeeded};

#[derive(Clone, Debug)]
enum Op {
    Open { session: u64, member: u8 },
    Hello { session: u64, member: u8, folder: u128, reports: bool },
    Beat { session: u64 },
    Report { session: u64, job: u8, ended: bool },
    Capacity { session: u64, nodes: u32 },
    Closed { session: u64 },
    ReadDone,
    LoseRounds,
    Create { job: u8, policy: PartitionPolicy },
    Delete { job: u8 },
    Commit,
    Lose,
    Wait { ms: u64 },
    Elect,
}

const MEMBERS: [&str; 3] = ["a", "b", "c"];

fn op() -> impl Strategy<Value = Op> {
    let policy = prop::sample::select(vec![
        PartitionPolicy::Keep,
        PartitionPolicy::Fence,
        PartitionPolicy::DuplicateOk,
    ]);
    prop_oneof![
        4 => (0..6_u64, 0..3_u8).prop_map(|(session, member)| Op::Open { session, member }),
        6 => (0..6_u64, 0..3_u8, 1..3_u128, any::<bool>())
            .prop_map(|(session, member, folder, reports)| Op::Hello { session, member, folder, reports }),
        8 => (0..6_u64).prop_map(|session| Op::Beat { session }),
        4 => (0..6_u64, 0..5_u8, any::<bool>()).prop_map(|(session, job, ended)| Op::Report { session, job, ended }),
        1 => (0..6_u64, 0..4_u32).prop_map(|(session, nodes)| Op::Capacity { session, nodes }),
        1 => (0..6_u64).prop_map(|session| Op::Closed { session }),
        8 => Just(Op::ReadDone),
        1 => Just(Op::LoseRounds),
        3 => (0..5_u8, policy).prop_map(|(job, policy)| Op::Create { job, policy }),
        1 => (0..5_u8).prop_map(|job| Op::Delete { job }),
        6 => Just(Op::Commit),
        1 => Just(Op::Lose),
        4 => prop::sample::select(vec![10, 1_000, 5_000, 20_000, 70_000]).prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Elect),
    ]
}

/// What an onlooker knows of rounds and heartbeats.
#[derive(Default)]
struct Witness {
    clock: u64,
    seq: u64,
    /// The number of the newest stream in each slot: a number is never used twice.
    streams: BTreeMap<u64, u64>,
    arrived: BTreeMap<(SessionId, u64), u64>,
    began: BTreeMap<RoundId, u64>,
    /// The round that is being reported as done, if any.
    done: Option<RoundId>,
    /// Attempts whose lapse was proposed by this leader.
    lapsed: Vec<Epoch>,
}

impl Witness {
    fn see(&mut self, actions: &[Action]) {
        for action in actions {
            self.clock += 1;
            match action {
                Action::StartRead { round } => drop(self.began.insert(*round, self.clock)),
                Action::Propose { command: Command::FenceAttempts { attempts, .. }, .. } => {
                    self.lapsed.extend(attempts.iter().map(|(_, epoch)| *epoch));
                }
                Action::Send { session, message: ToMember::Ack { seq, epochs } } => {
                    let began =
                        self.done.and_then(|round| self.began.get(&round)).expect("an ack without a round");
                    assert!(
                        *began > self.arrived[&(*session, *seq)],
                        "the round began before the heartbeat arrived"
                    );
                    assert!(
                        !epochs.iter().any(|epoch| self.lapsed.contains(epoch)),
                        "a lapsed attempt is renewed"
                    );
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, slot: u64) -> u64 {
        self.seq += 1;
        self.streams.insert(slot, self.seq);
        self.seq
    }

    fn stream(&self, slot: u64) -> u64 {
        self.streams.get(&slot).copied().unwrap_or_default()
    }

    fn arrives(&mut self, session: u64, seq: u64) {
        self.clock += 1;
        self.arrived.insert((SessionId(session), seq), self.clock);
    }
}

fn name(job: u8) -> String {
    format!("job-{job}")
}

fn run(hub: &mut Hub, witness: &mut Witness, op: &Op) {
    let actions = match op {
        Op::Open { session, member } => {
            hub.open_session(witness.open(*session), MEMBERS[usize::from(*member)])
        }
        Op::Hello { session, member, folder, reports } => {
            let stream = witness.stream(*session);
            witness.arrives(stream, 0);
            let known = (0..5).filter(|_| *reports).filter_map(|job| report(hub, job, false)).collect();
            hub.say(stream, hello(MEMBERS[usize::from(*member)], *folder, known))
        }
        Op::Beat { session } => {
            witness.seq += 1;
            let stream = witness.stream(*session);
            witness.arrives(stream, witness.seq);
            hub.beat(stream, witness.seq)
        }
        Op::Report { session, job, ended } => {
            let reports = report(hub, *job, *ended).into_iter().collect();
            hub.say(witness.stream(*session), ToHub::Reports { seq: 1, reports })
        }
        Op::Capacity { session, nodes } => {
            hub.say(witness.stream(*session), ToHub::Capacity(capacity("a", 1, *nodes)))
        }
        Op::Closed { session } => {
            hub.step(Input::SessionClosed { session: SessionId(witness.stream(*session)) })
        }
        Op::ReadDone if hub.rounds.is_empty() => vec![],
        Op::ReadDone => {
            witness.done = Some(hub.rounds[0]);
            hub.read_done()
        }
        Op::LoseRounds => {
            hub.rounds.clear();
            vec![]
        }
        Op::Create { job, policy } => {
            hub.apply(create(Key::job("default", &name(*job)), Spec::Job(job_spec(*policy).into()))).1
        }
        Op::Delete { job } => delete(hub, *job),
        Op::Commit => hub.commit(),
        Op::Lose => hub.lose_proposals(),
        Op::Wait { ms } => {
            hub.at += ms;
            hub.tick()
        }
        Op::Elect => {
            *hub = Hub::elected(muster_core::State::clone(&hub.state), hub.at);
            *witness = Witness { seq: witness.seq, ..Witness::default() };
            vec![]
        }
    };
    witness.see(&actions);
    witness.done = None;
}

fn report(hub: &Hub, job: u8, ended: bool) -> Option<AttemptReport> {
    let object = hub.state.get(&Key::job("default", &name(job)))?;
    object.job()?.attempt.as_ref()?;
    Some(hub.report(&name(job), if ended { succeeded() } else { running() }))
}

fn delete(hub: &mut Hub, job: u8) -> Vec<Action> {
    let command = Command::Delete(Delete {
        key: Key::job("default", &name(job)),
        precondition: Precondition::default(),
        propagation: Propagation::Background,
        grace_s: None,
        principal: Principal::new("dana"),
    });
    hub.apply(command).1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_panic_and_no_ack_before_its_round(ops in prop::collection::vec(op(), 1..120)) {
        let mut hub = Hub::new(&MEMBERS);
        let mut witness = Witness::default();
        for op in &ops {
            run(&mut hub, &mut witness, op);
        }
    }

    /// The same inputs give the same actions.
    #[test]
    fn a_leader_is_deterministic(ops in prop::collection::vec(op(), 1..60)) {
        let run_all = || {
            let mut hub = Hub::new(&MEMBERS);
            let mut witness = Witness::default();
            ops.iter().for_each(|op| run(&mut hub, &mut witness, op));
            (hub.state.digest(), crate::hub::show(&hub.wait(30_000)))
        };
        prop_assert_eq!(run_all(), run_all());
    }
}
