//! Streams between members and replicas, as TCP gives them: in order, late rather than lost, and broken at the two ends
//! at different times.
//!
//! ```text
//!  member --Dial--> replica --Open--> leader task        a cut link holds what was written, until it is mended
//!         <-Accepted / Refused(hint)-                    a dead end is noticed when something is sent to it
//! ```

use std::collections::VecDeque;

use muster_member_machine::Input as AgentInput;
use muster_model::{Key, MemberName, TimeMs, ToHub, ToMember};

use super::event::{Event, Life};
use super::leader_task::TaskInput;
use super::member::{Certificate, MEMBER_NAMES};
use super::replica::REPLICA_NAMES;
use super::world::World;

/// A dialling member waits so long.
const DIAL_TIMEOUT_MS: u64 = 3_000;

/// One stream.
#[derive(Debug)]
pub struct Stream {
    pub(super) member: usize,
    pub(super) replica: usize,
    /// When the certificate that was shown was issued, and when it ends.
    certificate: Certificate,
    agent_life: Life,
    hub_life: Life,
    agent: End,
    hub: End,
    up: Pipe<Up>,
    down: Pipe<Down>,
}

/// One end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dialling,
    Open,
    Closed,
}

/// One direction: what was written and has not arrived.
#[derive(Debug)]
struct Pipe<T> {
    queue: VecDeque<(u64, T)>,
    is_scheduled: bool,
}

/// What a member writes.
#[derive(Clone, Debug)]
pub enum Up {
    /// A message.
    Message(ToHub),
    /// The end.
    Fin,
}

/// What a replica writes.
#[derive(Clone, Debug)]
pub enum Down {
    /// The leader took the stream.
    Accepted,
    /// This replica does not lead; perhaps that one does.
    Refused { hint: Option<usize> },
    /// The certificate has expired; here is a new one, issued then.
    Renewed { from: TimeMs },
    /// A message.
    Message(ToMember),
    /// The end.
    Fin,
}

impl<T> Pipe<T> {
    fn new() -> Pipe<T> {
        Pipe { queue: VecDeque::new(), is_scheduled: false }
    }

    /// Writes; gives when to look, if nobody is going to.
    fn write(&mut self, now: u64, delay: u64, item: T) -> Option<u64> {
        let at = self.queue.back().map_or(now + delay, |(last, _)| (*last).max(now + delay));
        self.queue.push_back((at, item));
        (!std::mem::replace(&mut self.is_scheduled, true)).then_some(at)
    }

    /// Takes the next item; gives when to look again.
    fn read(&mut self, now: u64) -> (Option<T>, Option<u64>) {
        let item = self.queue.pop_front().map(|(_, item)| item);
        let next = self.queue.front().map(|(at, _)| (*at).max(now));
        self.is_scheduled = next.is_some();
        (item, next)
    }
}

impl World {
    /// A member without a stream opens one, to the replica that is said to lead or to the next in turn.
    pub(super) fn dial(&mut self, member: usize) {
        if self.members[member].stream.is_some() || self.members[member].agent.is_none() {
            return;
        }
        let replica = self.members[member].next_replica(&mut self.random);
        self.next_stream += 1;
        let stream = self.next_stream;
        let opened = Stream {
            member,
            replica,
            certificate: self.members[member].certificate,
            agent_life: self.members[member].life,
            hub_life: 0,
            agent: End::Dialling,
            hub: End::Dialling,
            up: Pipe::new(),
            down: Pipe::new(),
        };
        self.streams.insert(stream, opened);
        self.members[member].stream = Some(stream);
        let delay = self.network.stream_delay();
        self.queue.push(self.now + delay, Event::Dial { stream });
        self.queue.push(self.now + DIAL_TIMEOUT_MS, Event::DialTimeout { stream });
    }

    pub(super) fn dial_arrived(&mut self, stream: u64) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        let (member, replica) = (open.member, open.replica);
        if self.replicas[replica].process.is_none() {
            return self.send_down(stream, Down::Refused { hint: None });
        }
        let certificate = open.certificate;
        let name = self.members[member].name.clone();
        if let Some(answer) = self.renewal(replica, &name, certificate) {
            return self.send_down(stream, answer);
        }
        let Some(open) = self.streams.get_mut(&stream) else { return };
        open.hub_life = self.replicas[replica].life;
        open.hub = End::Open;
        let certificate_from = certificate.from;
        self.tell_task(replica, TaskInput::Open { stream, member: name, certificate_from });
    }

    /// What a replica answers to a certificate that has expired by its clock: it is good for a renewal only, unless it was
    /// revoked. None if it is still good.
    fn renewal(&self, replica: usize, member: &MemberName, shown: Certificate) -> Option<Down> {
        let now = TimeMs(self.hosts[replica].clock.real(self.now));
        if now <= shown.until {
            return None;
        }
        let process = self.replicas[replica].process.as_ref()?;
        let state = process.driver.machine().view().0;
        let cluster = state.get(&Key::cluster(member.as_str())).and_then(|found| found.cluster());
        let status =
            cluster.map(|cluster| &cluster.status).filter(|status| status.admits_certificate(shown.from));
        Some(
            status.map_or(Down::Refused { hint: None }, |status| Down::Renewed {
                from: status.renewed_from(now),
            }),
        )
    }

    pub(super) fn dial_timed_out(&mut self, stream: u64) {
        let Some(open) = self.streams.get(&stream) else { return };
        if open.agent == End::Dialling {
            let member = open.member;
            self.close_at_agent(stream);
            self.redial(member);
        }
    }

    /// A replica writes.
    pub(super) fn send_down(&mut self, stream: u64, item: Down) {
        let delay = self.network.stream_delay();
        let now = self.now;
        let Some(open) = self.streams.get_mut(&stream) else { return };
        if let Some(at) = open.down.write(now, delay, item) {
            self.queue.push(at, Event::StreamDown { stream });
        }
    }

    /// A member writes.
    pub(super) fn send_up(&mut self, stream: u64, message: ToHub) {
        let is_open = self.streams.get(&stream).is_some_and(|open| open.agent == End::Open);
        if is_open {
            self.write_up(stream, Up::Message(message));
        }
    }

    fn write_up(&mut self, stream: u64, item: Up) {
        let delay = self.network.stream_delay();
        let now = self.now;
        let Some(open) = self.streams.get_mut(&stream) else { return };
        if let Some(at) = open.up.write(now, delay, item) {
            self.queue.push(at, Event::StreamUp { stream });
        }
    }

    pub(super) fn stream_up(&mut self, stream: u64) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        let replica = open.replica;
        let (item, next) = open.up.read(self.now);
        if let Some(at) = next {
            self.queue.push(at, Event::StreamUp { stream });
        }
        let alive = open.hub == End::Open && open.hub_life == self.replicas[replica].life;
        match item {
            Some(Up::Message(message)) if alive => {
                self.tell_task(replica, TaskInput::From { stream, message });
            }
            Some(Up::Message(_)) => self.send_down(stream, Down::Fin),
            Some(Up::Fin) if alive => {
                self.set_hub_closed(stream);
                self.tell_task(replica, TaskInput::Closed { stream });
            }
            Some(Up::Fin) => self.set_hub_closed(stream),
            None => {}
        }
        self.forget_if_over(stream);
    }

    pub(super) fn stream_down(&mut self, stream: u64) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        let member = open.member;
        let (item, next) = open.down.read(self.now);
        if let Some(at) = next {
            self.queue.push(at, Event::StreamDown { stream });
        }
        let alive = open.agent != End::Closed && open.agent_life == self.members[member].life;
        if let Some(item) = item {
            match alive {
                true => self.member_hears(stream, member, item),
                false => self.write_up(stream, Up::Fin),
            }
        }
        self.forget_if_over(stream);
    }

    fn member_hears(&mut self, stream: u64, member: usize, item: Down) {
        match item {
            Down::Accepted => {
                if let Some(open) = self.streams.get_mut(&stream) {
                    open.agent = End::Open;
                    let hub = REPLICA_NAMES[open.replica];
                    self.trace.line(
                        self.now,
                        MEMBER_NAMES[member],
                        "session",
                        format_args!("{stream} with {hub}"),
                    );
                }
                self.agent_step(member, AgentInput::SessionOpened { session: stream });
            }
            Down::Renewed { from } => {
                self.trace.line(self.now, MEMBER_NAMES[member], "renews", format_args!("from {}", from.0));
                self.members[member].certificate = Certificate::issued(from);
                self.close_at_agent(stream);
                self.redial(member);
            }
            Down::Refused { hint } => {
                self.members[member].hint = hint;
                self.close_at_agent(stream);
                self.redial(member);
            }
            Down::Message(message) => {
                self.note_orders(member, &message);
                self.agent_step(member, AgentInput::FromHub { session: stream, message });
            }
            Down::Fin => {
                self.close_at_agent(stream);
                self.agent_step(member, AgentInput::SessionLost { session: stream });
                self.redial(member);
            }
        }
    }

    /// The member's end closes.
    pub(super) fn close_at_agent(&mut self, stream: u64) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        if std::mem::replace(&mut open.agent, End::Closed) == End::Closed {
            return;
        }
        let member = open.member;
        if self.members[member].stream == Some(stream) {
            self.members[member].stream = None;
        }
        self.write_up(stream, Up::Fin);
    }

    /// The replica's end closes.
    pub(super) fn close_at_hub(&mut self, stream: u64) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        if std::mem::replace(&mut open.hub, End::Closed) != End::Closed {
            self.send_down(stream, Down::Fin);
        }
    }

    /// A replica's process is gone; its kernel says so where it can.
    pub(super) fn streams_of_replica_end(&mut self, replica: usize) {
        let theirs = |open: &Stream| open.replica == replica && open.hub != End::Closed;
        let ends: Vec<u64> =
            self.streams.iter().filter(|(_, open)| theirs(open)).map(|(id, _)| *id).collect();
        ends.into_iter().for_each(|stream| self.close_at_hub(stream));
    }

    /// The streams of a member, for a fault that resets them.
    pub(super) fn reset_streams(&mut self, member: usize) -> bool {
        let Some(stream) = self.members[member].stream else { return false };
        let Some(open) = self.streams.get(&stream) else { return false };
        let replica = open.replica;
        if open.hub == End::Open {
            self.set_hub_closed(stream);
            self.tell_task(replica, TaskInput::Closed { stream });
        }
        self.send_down(stream, Down::Fin);
        true
    }

    fn set_hub_closed(&mut self, stream: u64) {
        if let Some(open) = self.streams.get_mut(&stream) {
            open.hub = End::Closed;
        }
    }

    fn forget_if_over(&mut self, stream: u64) {
        let over = |open: &Stream| {
            open.agent == End::Closed
                && open.hub == End::Closed
                && open.up.queue.is_empty()
                && open.down.queue.is_empty()
        };
        if self.streams.get(&stream).is_some_and(over) {
            self.streams.remove(&stream);
        }
    }
}
