//! Hostile peers: random bytes, and sound messages with something changed. They may be refused or believed, but
//! never make a replica panic.

use bytes::Bytes;
use muster_consensus::log_store::LogStore;
use muster_consensus::{Event, Input, PeerError};
use protobuf::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use crate::ledger::replica;
use crate::world::{Random, World};

const NUMBERS: [u64; 9] = [0, 1, 2, 3, 10, 1 << 20, 1 << 55, u64::MAX - 1, u64::MAX];

const TYPES: [MessageType; 19] = [
    MessageType::MsgHup,
    MessageType::MsgBeat,
    MessageType::MsgPropose,
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgUnreachable,
    MessageType::MsgSnapStatus,
    MessageType::MsgCheckQuorum,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

/// Bits of the frame.
fn flip(random: &mut Random, frame: &Bytes) -> Bytes {
    let mut bytes = frame.to_vec();
    for _ in 0..=random.below(4) {
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
    }
    if random.below(4) == 0 {
        bytes.truncate(usize::try_from(random.below(bytes.len() as u64)).unwrap());
    }
    bytes.into()
}

/// Fields of a raft message; other kinds get flipped bits.
fn change_fields(random: &mut Random, frame: &Bytes) -> Bytes {
    if frame[0] != 1 {
        return flip(random, frame);
    }
    let mut message = Message::parse_from_bytes(&frame[1..]).unwrap();
    for _ in 0..=random.below(3) {
        change_field(random, &mut message);
    }
    let mut bytes = vec![1];
    message.write_to_vec(&mut bytes).unwrap();
    bytes.into()
}

fn change_field(random: &mut Random, message: &mut Message) {
    match random.below(16) {
        0 | 1 => message.set_msg_type(random.pick(&TYPES)),
        2 => message.term = number(random, message.term),
        3 => message.log_term = number(random, message.log_term),
        4 | 5 => message.index = number(random, message.index),
        6 | 7 => message.commit = number(random, message.commit),
        8 => message.commit_term = number(random, message.commit_term),
        9 => message.reject = !message.reject,
        10 => message.reject_hint = number(random, message.reject_hint),
        11 => message.request_snapshot = number(random, 0),
        12 => message.context = Bytes::from(vec![7; usize::try_from(random.below(70)).unwrap()]),
        13 => change_snapshot(random, message),
        _ => change_entries(random, message),
    }
}

fn change_entries(random: &mut Random, message: &mut Message) {
    let (index, term) = (number(random, message.index.wrapping_add(1)), number(random, message.term));
    match random.below(4) {
        0 => {
            let mut entry = Entry::default();
            (entry.index, entry.term) = (index, term);
            entry.data = Bytes::from_static(b"\x08\x01\x10\x01\x18\x02");
            entry.set_entry_type(random.pick(&[
                EntryType::EntryNormal,
                EntryType::EntryConfChange,
                EntryType::EntryConfChangeV2,
            ]));
            message.mut_entries().push(entry);
        }
        1 => {
            message.mut_entries().pop();
        }
        2 => message.mut_entries().iter_mut().for_each(|entry| entry.index = index),
        _ => message.mut_entries().iter_mut().for_each(|entry| entry.term = term),
    }
}

fn change_snapshot(random: &mut Random, message: &mut Message) {
    let metadata = message.mut_snapshot().mut_metadata();
    match random.below(4) {
        0 => metadata.index = number(random, metadata.index),
        1 => metadata.term = number(random, metadata.term),
        2 => metadata.mut_conf_state().voters.push(random.below(4)),
        _ => metadata.mut_conf_state().learners.push(random.below(4)),
    }
}

fn number(random: &mut Random, near: u64) -> u64 {
    match random.below(3) {
        0 => random.pick(&NUMBERS),
        1 => near.wrapping_add(1 + random.below(3)),
        _ => near.wrapping_sub(1 + random.below(3)),
    }
}

/// Works on a group in which every message arrives twice: changed, then as it was.
fn survive(seed: u64, mutate: fn(&mut Random, &Bytes) -> Bytes) -> World {
    let mut world = World::new(seed, 3);
    world.hostile = Some(mutate);
    let mut random = Random(seed);
    for round in 0..60 {
        let id = 1 + random.below(3);
        if round % 20 == 19 {
            world.crash(id);
            world.run(400);
        }
        for id in 1..=3 {
            if world.nodes[&id].driver.is_none() {
                world.start(id);
            }
        }
        world.propose(id, format!("{round}"));
        world.read(id);
        world.run(random.below(120));
    }
    world
}

#[test]
fn flipped_bits_never_panic() {
    for seed in 0..40 {
        let world = survive(seed, flip);
        let refused =
            world.events.iter().filter(|(_, event)| matches!(event, Event::PeerRefused { .. })).count();
        assert!(refused > 20, "only {refused} messages were refused");
    }
}

#[test]
fn changed_fields_never_panic() {
    for seed in 0..150 {
        let world = survive(seed, change_fields);
        let refused =
            world.events.iter().filter(|(_, event)| matches!(event, Event::PeerRefused { .. })).count();
        assert!(refused > 20, "only {refused} messages were refused");
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut world = World::new(1, 3);
    let leader = world.elect();
    let mut random = Random(99);
    for _ in 0..20_000 {
        let length = random.below(40);
        let mut bytes: Vec<u8> = (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        if let Some(first) = bytes.first_mut() {
            *first %= 6;
        }
        world.handle(leader, vec![Input::Peer { from: replica(2), bytes: bytes.into() }]);
    }
    world.heal();
}

/// A group with a leader, and messages to try on it.
struct Tried {
    world: World,
    leader: u64,
    follower: u64,
    third: u64,
    term: u64,
    last: u64,
}

impl Tried {
    fn new() -> Tried {
        let mut world = World::new(2, 3);
        let leader = world.elect();
        world.run(300);
        let follower = if leader == 1 { 2 } else { 1 };
        let term = world.statuses()[0].term;
        let last = world.statuses().iter().find(|status| status.id.get() == follower).unwrap().last_index;
        Tried { world, leader, follower, third: 6 - leader - follower, term, last }
    }

    /// Why a message made by `make` is refused; `None` if it is taken.
    fn refusal(&mut self, to: u64, from: u64, make: impl Fn(&mut Message)) -> Option<PeerError> {
        let mut message = Message::default();
        (message.from, message.to, message.term) = (from, to, self.term);
        make(&mut message);
        let mut bytes = vec![1];
        message.write_to_vec(&mut bytes).unwrap();
        self.world.events.clear();
        self.world.handle(to, vec![Input::Peer { from: replica(from), bytes: bytes.into() }]);
        match self.world.events.first() {
            Some((_, Event::PeerRefused { error, .. })) => Some(error.clone()),
            _ => None,
        }
    }
}

fn heartbeat(message: &mut Message) {
    message.set_msg_type(MessageType::MsgHeartbeat);
}

/// Each check by an example, so that removing it is noticed.
#[test]
fn unsound_heartbeats_are_refused_for_the_right_reason() {
    let mut tried = Tried::new();
    let Tried { leader, follower, third, term, last, .. } = tried;
    assert_eq!(tried.refusal(follower, leader, heartbeat), None);
    let wrong = |change: fn(&mut Message)| {
        move |message: &mut Message| {
            heartbeat(message);
            change(message);
        }
    };
    let from_another = |m: &mut Message| {
        heartbeat(m);
        m.from = third;
    };
    let claimed = PeerError::WrongSender { claimed: third, from: replica(leader) };
    assert_eq!(tried.refusal(follower, leader, from_another), Some(claimed));
    assert_eq!(tried.refusal(follower, leader, wrong(|m| m.to = 9)), Some(PeerError::WrongRecipient(9)));
    assert_eq!(tried.refusal(follower, leader, wrong(|m| m.term = 0)), Some(PeerError::BadTerm(0)));
    let beyond = |m: &mut Message| {
        heartbeat(m);
        m.commit = last + 1;
    };
    assert_eq!(tried.refusal(follower, leader, beyond), Some(PeerError::BeyondLog { index: last + 1, last }));
    let two = PeerError::TwoLeaders { claimed: replica(third), known: leader, term };
    assert_eq!(tried.refusal(follower, third, heartbeat), Some(two));
}

#[test]
fn unsound_answers_and_entries_are_refused_for_the_right_reason() {
    let mut tried = Tried::new();
    let Tried { leader, follower, term, last, .. } = tried;
    let response = |m: &mut Message| m.set_msg_type(MessageType::MsgAppendResponse);
    assert_eq!(tried.refusal(leader, 9, response), Some(PeerError::UnknownSender));
    let beyond = |m: &mut Message| {
        response(m);
        m.index = last + 7;
    };
    assert_eq!(tried.refusal(leader, follower, beyond), Some(PeerError::BeyondLog { index: last + 7, last }));
    for local in
        [MessageType::MsgHup, MessageType::MsgBeat, MessageType::MsgPropose, MessageType::MsgTransferLeader]
    {
        assert_eq!(tried.refusal(follower, leader, |m| m.set_msg_type(local)), Some(PeerError::LocalType));
    }
    let gap = |m: &mut Message| {
        m.set_msg_type(MessageType::MsgAppend);
        (m.index, m.log_term) = (last, term);
        let mut entry = Entry::default();
        (entry.index, entry.term) = (last + 2, term);
        m.mut_entries().push(entry);
    };
    let error = PeerError::BadEntries("the entries are not contiguous");
    assert_eq!(tried.refusal(follower, leader, gap), Some(error));
}

/// Raft panics when it wins an election with entries that are not durable; all of it can come in one turn.
#[test]
fn an_election_is_not_won_with_entries_that_are_not_durable() {
    let mut world = World::new(3, 3);
    let leader = world.elect();
    world.run(300);
    let (follower, third) = if leader == 1 { (2, 3) } else { (1, 6 - leader - 1) };
    let status = world.statuses().into_iter().find(|status| status.id.get() == follower).unwrap();
    world.hostile = Some(flip);
    let frame = |from: u64, make: &dyn Fn(&mut Message)| {
        let mut message = Message::default();
        (message.from, message.to, message.term) = (from, follower, status.term);
        make(&mut message);
        let mut bytes = vec![1];
        message.write_to_vec(&mut bytes).unwrap();
        Input::Peer { from: replica(from), bytes: bytes.into() }
    };
    let append = frame(leader, &|message| {
        message.set_msg_type(MessageType::MsgAppend);
        (message.index, message.log_term) = (status.last_index, status.term);
        let mut entry = Entry::default();
        (entry.index, entry.term) = (status.last_index + 1, status.term);
        message.mut_entries().push(entry);
    });
    let take_over = frame(leader, &|message| message.set_msg_type(MessageType::MsgTimeoutNow));
    let vote = frame(third, &|message| {
        message.set_msg_type(MessageType::MsgRequestVoteResponse);
        message.term = status.term + 1;
    });
    world.handle(follower, vec![append, take_over, vote]);
    // The vote counts only after the entry is durable.
    let driver = world.nodes[&follower].driver.as_ref().unwrap();
    let durable = driver.store().entries(status.last_index + 1..status.last_index + 2).unwrap();
    assert_eq!(durable.len(), 1);
    assert_eq!(driver.status().term, status.term + 1);
}
