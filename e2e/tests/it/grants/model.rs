//! The rules of grants as a small machine that a checker walks through in all its ways.
//!
//! One job, one member in every detail, and *elsewhere*: a second member that starts what it is granted at once, which is the
//! worst it can do. Raft is an oracle: a leader is elected whenever it likes, and the deposed one goes on believing. A session
//! is a connection: what it carries arrives in order or not at all. Time is in ticks; both clocks may be off by one.
//!
//! ```text
//!   hub      GrantHere ----- Start ----> Take     member
//!            Hear, Confirm <- heartbeat - Send      attempt: deadline = sent + FENCE_AFTER
//!            (ReadIndex)  --- Ack ------> Take
//!            Lapse: nothing heard for HUB_WAIT
//!            GrantElsewhere
//! ```
//!
//! Each [`Rule`] can be left out. What then goes wrong is in the test beside this file.

use stateright::{Model, Property};

/// Ticks of the member's clock, from the sending of an acknowledged heartbeat, after which nothing of an attempt is alive.
const FENCE_AFTER: u8 = 2;
/// Ticks of the same clock, counted alike, after which the member drops its session and starts nothing. Longer here, so that a
/// deadline passes while the session lives; where it is shorter, less can happen.
const LEASE: u8 = 3;
/// Ticks of the hub's clock: one for a member's clock that is slow, one for a hub's that is fast.
const HUB_WAIT: u8 = FENCE_AFTER + 2;
/// Messages to the member that wait in a connection; past it the connection is cut.
const BUFFERED_MAX: usize = 3;
/// Grants to the member in detail.
const EPOCHS: u8 = 2;

/// A rule of architecture.md, "Leases, grants and fencing".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A heartbeat is acknowledged after a ReadIndex round that began when it had arrived.
    ReadIndex,
    /// A passed deadline is final: no acknowledgement and no retry revives that epoch.
    FinalDeadline,
    /// A second incarnation makes the first one's attempts unknown, not gone.
    Incarnation,
    /// The hub waits longer than the member does, by what their clocks may be off.
    ClockDrift,
    /// What an earlier connection still carries is not listened to.
    OneConnection,
}

/// What a job says about lost contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Its attempt ends by a deadline, and then it is granted again.
    Fence,
    /// Its attempt goes on, and nothing is granted before its end is known.
    Keep,
}

/// What is checked, within which bounds.
#[derive(Clone, Copy, Debug)]
pub struct Grants {
    pub policy: Policy,
    pub left_out: Option<Rule>,
    /// Ticks.
    pub horizon: u8,
    /// Leaders, one after the other.
    pub terms: u8,
}

/// Everything there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    now: u8,
    /// Whether the member's clock stood still for a tick.
    member_is_slow: bool,
    /// Whether the hub's clock ran ahead by a tick.
    hub_is_fast: bool,
    term: u8,
    /// Whether a process was restarted, or the data folder wiped: once in a history.
    disturbed: bool,
    /// In the log.
    grant: Option<Grant>,
    /// In the log: the last epoch.
    epoch: u8,
    /// Of the leader: when it heard of the member, or was elected.
    heard: u8,
    /// The epoch that a deposed leader takes for granted to the member.
    deposed: Option<u8>,
    session: Option<Session>,
    /// What an earlier connection still carries, where somebody listens to it.
    leftover: Vec<Down>,
    member: Member,
    runs_elsewhere: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Grant {
    Here { epoch: u8, incarnation: u8 },
    Elsewhere,
}

/// A connection of the member with a leader, or with one that believes to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    with_deposed: bool,
    /// Whether its first heartbeat was acknowledged and the full set sent.
    greeted: bool,
    up: Option<Heartbeat>,
    /// Heard at this time, and not yet confirmed by a ReadIndex round.
    unconfirmed: Option<(Heartbeat, u8)>,
    down: Vec<Down>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Member {
    incarnation: u8,
    /// When the last acknowledged heartbeat was sent, while it has a lease; else 0.
    base: u8,
    /// Whether it sent a heartbeat in this tick.
    has_sent: bool,
    attempt: Option<Attempt>,
    /// The last epoch that is over here.
    over: u8,
    /// The deadline of what an earlier incarnation left running.
    orphan: Option<u8>,
}

/// Not running: its process failed, and is to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    epoch: u8,
    deadline: u8,
    runs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Heartbeat {
    incarnation: u8,
    sent: u8,
    holds: u8,
    over: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Down {
    Ack { sent: u8, renews: u8 },
    Start { epoch: u8 },
}

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Tick,
    /// A tick in which the member's clock stands still.
    TickUnseen,
    HubClockFast,
    Elect,
    Connect,
    ConnectToDeposed,
    Cut,
    Send,
    Hear,
    Confirm,
    Take,
    TakeLeftover,
    GrantHere,
    GrantElsewhere,
    Lapse,
    Fail,
    Retry,
    Exit,
    Restart,
    Wipe,
}

impl World {
    fn member_clock(&self) -> u8 {
        self.now + 1 - u8::from(self.member_is_slow)
    }

    fn hub_clock(&self) -> u8 {
        self.now + u8::from(self.hub_is_fast)
    }

    /// How many processes of the job are alive.
    fn runs(&self) -> u8 {
        u8::from(self.member.attempt.is_some_and(|attempt| attempt.runs))
            + u8::from(self.member.orphan.is_some())
            + u8::from(self.runs_elsewhere)
    }

    fn is_granted_here(&self) -> bool {
        matches!(self.grant, Some(Grant::Here { .. }))
    }

    fn send_down(&mut self, message: Down) {
        let Some(session) = &mut self.session else { return };
        session.down.push(message);
        if session.down.len() > BUFFERED_MAX {
            self.session = None;
        }
    }
}

impl Grants {
    fn has(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    /// What time does by itself, before anything else is looked at: the lease and the deadlines.
    fn pass_time(&self, world: &mut World) {
        let clock = world.member_clock();
        if world.member.base > 0 && clock >= world.member.base + LEASE {
            world.member.base = 0;
            self.cut(world);
        }
        if self.policy == Policy::Keep {
            return;
        }
        let member = &mut world.member;
        if let Some(attempt) = member.attempt.as_mut().filter(|attempt| clock >= attempt.deadline) {
            attempt.runs = false;
            member.over = member.over.max(attempt.epoch);
            if self.has(Rule::FinalDeadline) {
                member.attempt = None;
            }
        }
        member.orphan = member.orphan.filter(|deadline| clock < *deadline);
    }

    fn cut(&self, world: &mut World) {
        let Some(session) = world.session.take() else { return };
        if !self.has(Rule::OneConnection) {
            world.leftover = session.down;
        }
    }

    fn hear(&self, world: &mut World) -> Option<()> {
        let received = world.hub_clock();
        let believed = world.deposed.unwrap_or_default();
        let session = world.session.as_mut()?;
        let heartbeat = session.up.take()?;
        match (self.has(Rule::ReadIndex), session.with_deposed) {
            (true, false) => session.unconfirmed = Some((heartbeat, received)),
            // Its round never ends: the others follow somebody else.
            (true, true) => {}
            (false, false) => self.confirmed(world, heartbeat, received),
            (false, true) => world.send_down(Down::Ack { sent: heartbeat.sent, renews: believed }),
        }
        Some(())
    }

    /// The leader is one still: what the heartbeat says is committed, and it is acknowledged.
    fn confirmed(&self, world: &mut World, heartbeat: Heartbeat, received: u8) {
        let is_first =
            world.session.as_mut().is_some_and(|session| !std::mem::replace(&mut session.greeted, true));
        let (mut renews, mut start) = (0, None);
        if let Some(Grant::Here { epoch, incarnation }) = world.grant {
            let is_same = incarnation == heartbeat.incarnation;
            let absence_counts = !is_same && !self.has(Rule::Incarnation);
            if (is_same && heartbeat.over >= epoch) || (absence_counts && heartbeat.holds != epoch) {
                world.grant = None;
            } else if is_same {
                world.heard = world.heard.max(received);
                renews = epoch;
                start = (is_first && heartbeat.holds != epoch).then_some(Down::Start { epoch });
            }
        }
        world.send_down(Down::Ack { sent: heartbeat.sent, renews });
        if let Some(start) = start {
            world.send_down(start);
        }
    }

    fn take(world: &mut World, message: Down) {
        let clock = world.member_clock();
        let member = &mut world.member;
        match message {
            Down::Ack { sent, renews } => {
                if clock < sent + LEASE {
                    member.base = member.base.max(sent);
                }
                if let Some(attempt) = member.attempt.as_mut().filter(|attempt| attempt.epoch == renews) {
                    attempt.deadline = attempt.deadline.max(sent + FENCE_AFTER);
                }
            }
            Down::Start { epoch } => {
                if member.base > 0 && epoch > member.over && member.attempt.is_none() {
                    // Passed already, it is over before it began.
                    let deadline = member.base + FENCE_AFTER;
                    member.attempt = Some(Attempt { epoch, deadline, runs: true });
                }
            }
        }
    }

    fn by_hub(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::HubClockFast => world.hub_is_fast = true,
            Action::Elect => {
                world.term += 1;
                world.heard = world.hub_clock();
                world.deposed = match world.grant {
                    Some(Grant::Here { epoch, .. }) if !self.has(Rule::ReadIndex) => Some(epoch),
                    _ => None,
                };
                if let Some(session) = &mut world.session {
                    session.with_deposed = true;
                    session.unconfirmed = None;
                }
            }
            Action::Hear => self.hear(world)?,
            Action::Confirm => {
                let (heartbeat, received) = world.session.as_mut()?.unconfirmed.take()?;
                self.confirmed(world, heartbeat, received);
            }
            Action::GrantHere => {
                world.epoch += 1;
                world.heard = world.hub_clock();
                let (epoch, incarnation) = (world.epoch, world.member.incarnation);
                world.grant = Some(Grant::Here { epoch, incarnation });
                world.send_down(Down::Start { epoch });
            }
            Action::GrantElsewhere => {
                world.grant = Some(Grant::Elsewhere);
                world.runs_elsewhere = true;
            }
            Action::Lapse => {
                let wait = if self.has(Rule::ClockDrift) { HUB_WAIT } else { FENCE_AFTER };
                if world.hub_clock() < world.heard + wait {
                    return None;
                }
                world.grant = None;
            }
            _ => return None,
        }
        Some(())
    }

    fn by_member(&self, world: &mut World, action: Action) -> Option<()> {
        let clock = world.member_clock();
        let member = &mut world.member;
        match action {
            Action::Connect | Action::ConnectToDeposed => {
                let with_deposed = action == Action::ConnectToDeposed;
                world.session = Some(Session { with_deposed, ..Session::default() });
            }
            Action::Cut => self.cut(world),
            Action::Send => {
                member.has_sent = true;
                let holds = member.attempt.map_or(0, |attempt| attempt.epoch);
                let (incarnation, over) = (member.incarnation, member.over);
                world.session.as_mut()?.up = Some(Heartbeat { incarnation, sent: clock, holds, over });
            }
            Action::Take => {
                let message = world.session.as_mut()?.down.remove(0);
                Self::take(world, message);
            }
            Action::TakeLeftover => {
                let message = world.leftover.remove(0);
                Self::take(world, message);
            }
            Action::Fail => member.attempt.as_mut()?.runs = false,
            Action::Retry => {
                let attempt = member.attempt.as_mut()?;
                if self.policy == Policy::Fence && clock >= attempt.deadline {
                    return None;
                }
                attempt.runs = true;
            }
            Action::Exit => member.over = member.attempt.take()?.epoch,
            Action::Restart => {
                (member.base, world.disturbed) = (0, true);
                self.cut(world);
            }
            Action::Wipe => {
                *member = Member {
                    incarnation: member.incarnation + 1,
                    has_sent: member.has_sent,
                    orphan: member.attempt.filter(|attempt| attempt.runs).map(|attempt| attempt.deadline),
                    ..Member::default()
                };
                world.disturbed = true;
                self.cut(world);
            }
            _ => return None,
        }
        Some(())
    }
}

impl Model for Grants {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World { term: 1, ..World::default() }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let mut when = |may: bool, action| actions.extend(may.then_some(action));
        let fenced = self.policy == Policy::Fence;
        when(world.now < self.horizon, Action::Tick);
        when(fenced && !world.member_is_slow && world.now < self.horizon, Action::TickUnseen);
        when(fenced && !world.hub_is_fast, Action::HubClockFast);
        when(world.term < self.terms, Action::Elect);
        when(fenced && world.is_granted_here(), Action::Lapse);
        when(world.grant.is_none() && world.epoch > 0, Action::GrantElsewhere);
        when(!world.disturbed, Action::Restart);
        when(!world.disturbed, Action::Wipe);
        when(!world.leftover.is_empty(), Action::TakeLeftover);
        if let Some(attempt) = world.member.attempt {
            when(attempt.runs, Action::Fail);
            when(attempt.runs, Action::Exit);
            when(!attempt.runs, Action::Retry);
        }
        let Some(session) = &world.session else {
            when(true, Action::Connect);
            when(world.term > 1, Action::ConnectToDeposed);
            return;
        };
        when(true, Action::Cut);
        when(!world.member.has_sent && session.up.is_none(), Action::Send);
        when(session.up.is_some() && session.unconfirmed.is_none(), Action::Hear);
        when(session.unconfirmed.is_some(), Action::Confirm);
        when(!session.down.is_empty(), Action::Take);
        let may_grant = world.grant.is_none() && world.epoch < EPOCHS;
        when(may_grant && session.greeted && !session.with_deposed, Action::GrantHere);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Tick | Action::TickUnseen => {
                world.now += 1;
                world.member_is_slow |= action == Action::TickUnseen;
                world.member.has_sent = false;
            }
            Action::HubClockFast
            | Action::Elect
            | Action::Hear
            | Action::Confirm
            | Action::GrantHere
            | Action::GrantElsewhere
            | Action::Lapse => self.by_hub(&mut world, action)?,
            _ => self.by_member(&mut world, action)?,
        }
        self.pass_time(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_RUN, |_, world: &World| world.runs() <= 1),
            Property::sometimes("runs elsewhere", |_, world: &World| world.runs_elsewhere),
            Property::sometimes("runs here again", |_, world: &World| {
                world.member.attempt.is_some_and(|attempt| attempt.epoch == EPOCHS && attempt.runs)
            }),
        ]
    }
}

/// The promise: S4 of the guarantees.
pub const ONE_RUN: &str = "at most one run at a time";
