//! The world: hosts, network, clients and checks on one thread and virtual time.
//!
//! ```text
//!  Queue --earliest event--> host paused? --yes--> waits there
//!                               | no
//!                               v
//!            replica | leader task | member | shim | client --> new events, trace lines, checks
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use muster_core::State;
use muster_member_machine::Input as AgentInput;
use muster_model::{Command, FenceReason, Uid};

use super::client::{CLIENTS, Client, Request, TryId};
use super::clock::{DRIFT_PPM, HostClock};
use super::counts::Counts;
use super::event::{ALL_HOSTS, Event, Life, Part, Queue, REPLICAS, SPARE, member_host};
use super::fault::Undo;
use super::hub_machine::{First, Step};
use super::leader_task::CommandText;
use super::member::Member;
use super::network::Network;
use super::random::Random;
use super::replica::{REPLICA_NAMES, Replica};
use super::schedule::{Fault, Scenario};
use super::stream::Stream;
use super::trace::{Show, Trace};
use crate::invariants::{Checks, JobChange, LivePod, job_change};

/// For the trace.
pub const HOST_NAMES: [&str; ALL_HOSTS] = ["hub-1", "hub-2", "hub-3", "member-a", "member-b", "clone"];

/// Everything.
pub struct World {
    pub(super) seed: u64,
    pub(super) scenario: Scenario,
    pub(super) now: u64,
    pub(super) queue: Queue,
    pub(super) random: Random,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    pub(super) replicas: Vec<Replica>,
    /// The last entry that any of them applied.
    pub(super) newest_applied: Rc<Cell<u64>>,
    pub(super) members: Vec<Member>,
    pub(super) streams: BTreeMap<u64, Stream>,
    pub(super) next_stream: u64,
    pub(super) clients: Vec<Client>,
    /// Folders that members made.
    pub(super) next_folder: u128,
    /// Tokens that an operator made.
    pub(super) next_token: u128,
    /// Requests that wait for a read at a replica.
    pub(super) requests: BTreeMap<(usize, Life, TryId), Request>,
    pub(super) next_serial: u64,
    /// Whether clients begin new ops.
    pub(super) clients_work: bool,
    pub(super) plan: Vec<Fault>,
    pub(super) active: BTreeMap<usize, Undo>,
    pub(super) trace: Trace,
    pub(super) checks: Checks,
    pub(super) counts: Counts,
}

/// One host.
pub struct Host {
    pub(super) clock: HostClock,
    pub(super) pause: Option<Pause>,
    /// What waits for the end of the pause.
    pub(super) waiting: Vec<Event>,
}

/// A host stands still.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// The whole machine, not only its processes.
    pub(super) whole: bool,
    /// In which order what waited comes.
    pub(super) order: u64,
}

impl Pause {
    /// Whether it holds back events of this part of a host.
    fn holds(&self, part: Part) -> bool {
        self.whole || part == Part::Process
    }
}

impl Host {
    fn new(random: &mut Random) -> Host {
        let ppm = random.between(0, 2 * DRIFT_PPM) as i64 - DRIFT_PPM as i64;
        let up_ms = random.between(1_000_000, 100_000_000);
        let off_ms = random.between(0, 1_000) as i64 - 500;
        Host { clock: HostClock::new(ppm, up_ms, off_ms), pause: None, waiting: Vec::new() }
    }

    /// Whether everything on it stands still.
    pub(super) fn is_suspended(&self) -> bool {
        self.pause.is_some_and(|pause| pause.whole)
    }
}

impl World {
    /// A world of this seed at time 0, with nothing running.
    pub fn new(seed: u64, scenario: Scenario, plan: Vec<Fault>, show: Show) -> World {
        let mut random = Random::new(seed, 3);
        World {
            seed,
            scenario,
            now: 0,
            queue: Queue::default(),
            network: Network::new(Random::new(seed, 4)),
            hosts: (0..ALL_HOSTS).map(|_| Host::new(&mut random)).collect(),
            replicas: (0..REPLICAS).map(Replica::new).collect(),
            newest_applied: Rc::default(),
            members: (0..=SPARE).map(Member::new).collect(),
            streams: BTreeMap::new(),
            next_stream: 0,
            clients: (0..=CLIENTS as u64).map(|client| Client::new(Random::new(seed, 10 + client))).collect(),
            next_folder: 1_000_000,
            next_token: 1_000,
            requests: BTreeMap::new(),
            next_serial: 0,
            clients_work: true,
            plan,
            active: BTreeMap::new(),
            trace: Trace::new(show),
            checks: Checks::default(),
            counts: Counts::default(),
            random,
        }
    }

    /// Lets everything happen that is due by then, or until a promise is broken or `enough` holds.
    pub(super) fn run_until(&mut self, until: u64, mut enough: impl FnMut(&World) -> bool) {
        while self.checks.found.is_empty() && !enough(self) {
            let Some((at, event)) = self.queue.pop(until) else {
                self.now = until;
                return;
            };
            self.now = at;
            self.take(event);
        }
    }

    /// The replica that leads in the greatest term, as it believes.
    pub(super) fn leader(&self) -> Option<usize> {
        let led = |replica: &usize| {
            let process = self.replicas[*replica].process.as_ref()?;
            self.replicas[*replica].leads().then(|| (process.driver.position().1, *replica))
        };
        (0..REPLICAS).filter_map(|replica| led(&replica)).max().map(|(_, replica)| replica)
    }

    fn take(&mut self, event: Event) {
        let (event, has_arrived) = match event {
            Event::Arrived { event } => (*event, true),
            event => (event, false),
        };
        let link = self.link(&event);
        if let Some((from, to)) = link.filter(|_| !has_arrived)
            && self.network.is_cut(from, to)
        {
            return self.hold_back(event);
        }
        if let Some((host, part)) = self.place(&event)
            && self.hosts[host].pause.is_some_and(|pause| pause.holds(part))
        {
            // What has come this far waits in the host's kernel: a link that is cut later does not take it back.
            let event = if link.is_some() { Event::Arrived { event: Box::new(event) } } else { event };
            return self.hosts[host].waiting.push(event);
        }
        if self.is_of_the_living(&event) {
            self.happen(event);
        }
    }

    /// The link over which an event comes.
    fn link(&self, event: &Event) -> Option<(usize, usize)> {
        match event {
            Event::Peer { from, to, .. } => Some((*from, *to)),
            Event::Dial { stream } | Event::StreamUp { stream } => {
                self.streams.get(stream).map(|open| (member_host(open.member), open.replica))
            }
            Event::StreamDown { stream } => {
                self.streams.get(stream).map(|open| (open.replica, member_host(open.member)))
            }
            _ => None,
        }
    }

    /// The link is cut: datagrams are gone, what streams hold is sent again.
    fn hold_back(&mut self, event: Event) {
        self.network.hurt += 1;
        if matches!(event, Event::StreamUp { .. } | Event::StreamDown { .. }) {
            let again = self.network.again();
            self.queue.push(self.now + again, event);
        }
    }

    /// Where an event happens; nowhere if no pause can hold it back.
    fn place(&self, event: &Event) -> Option<(usize, Part)> {
        let host = match event {
            Event::ReplicaTick { replica, .. }
            | Event::Turn { replica, .. }
            | Event::TaskTick { replica, .. }
            | Event::TaskTurn { replica, .. }
            | Event::SnapshotWritten { replica, .. }
            | Event::Request { replica, .. }
            | Event::StartReplica { replica, .. }
            | Event::Peer { to: replica, .. } => *replica,
            Event::Dial { stream } | Event::StreamUp { stream } => self.streams.get(stream)?.replica,
            Event::StreamDown { stream } | Event::DialTimeout { stream } => {
                member_host(self.streams.get(stream)?.member)
            }
            Event::Redial { member, .. }
            | Event::AgentTick { member, .. }
            | Event::Adopt { member, .. }
            | Event::Observe { member, .. }
            | Event::Forget { member, .. }
            | Event::Inventory { member }
            | Event::StartAgent { member, .. } => member_host(*member),
            Event::Shim { member, .. } => return Some((member_host(*member), Part::Shim)),
            Event::Response { .. } | Event::Client { .. } => return None,
            Event::DeclareLost { .. } | Event::CareForReplica { .. } => return None,
            Event::Vanish { .. } | Event::Rejoin { .. } | Event::Rejoined { .. } => return None,
            Event::Fault { .. } | Event::Mend { .. } => return None,
            Event::Arrived { event } => return self.place(event),
        };
        Some((host, Part::Process))
    }

    fn is_of_the_living(&self, event: &Event) -> bool {
        match event {
            Event::ReplicaTick { replica, life }
            | Event::Turn { replica, life }
            | Event::TaskTick { replica, life }
            | Event::TaskTurn { replica, life }
            | Event::SnapshotWritten { replica, life }
            | Event::CareForReplica { replica, life }
            | Event::StartReplica { replica, life } => self.replicas[*replica].life == *life,
            Event::Redial { member, life }
            | Event::AgentTick { member, life }
            | Event::Adopt { member, life }
            | Event::Observe { member, life, .. }
            | Event::DeclareLost { member, life }
            | Event::Forget { member, life, .. }
            | Event::StartAgent { member, life } => self.members[*member].life == *life,
            Event::Shim { member, boot, .. } => self.members[*member].boot == *boot,
            _ => true,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ReplicaTick { replica, life } => self.replica_tick(replica, life),
            Event::Turn { replica, .. } => self.turn(replica),
            Event::TaskTick { replica, life } => self.task_tick(replica, life),
            Event::TaskTurn { replica, .. } => self.task_turn(replica),
            Event::SnapshotWritten { replica, .. } => self.snapshot_written(replica),
            Event::Peer { from, to, bytes } => self.peer_arrived(from, to, bytes),
            Event::Request { replica, request } => self.request_arrived(replica, *request),
            Event::Response { response } => self.response_arrived(*response),
            Event::Client { client, turn } => self.client_turn(client, turn),
            Event::Dial { stream } => self.dial_arrived(stream),
            Event::StreamUp { stream } => self.stream_up(stream),
            Event::StreamDown { stream } => self.stream_down(stream),
            Event::Redial { member, .. } => self.dial(member),
            Event::DialTimeout { stream } => self.dial_timed_out(stream),
            Event::AgentTick { member, life } => self.agent_tick(member, life),
            Event::Adopt { member, .. } => self.adopt(member),
            Event::Observe { member, pod, seen, .. } => self.observed(member, pod, *seen),
            Event::Shim { member, pod, .. } => self.shim_looks(member, pod),
            Event::StartReplica { replica, .. } => self.start_replica(replica),
            Event::StartAgent { member, .. } => self.start_agent(member),
            Event::Arrived { event } => self.happen(*event),
            Event::Forget { member, uids, .. } => self.agent_step(member, AgentInput::ForgetJobs { uids }),
            Event::Inventory { member } => self.read_inventory(member),
            Event::Vanish { member } => self.vanish(member),
            Event::Rejoin { member } => self.rejoin(member),
            Event::Rejoined { member, from } => self.rejoined(member, from),
            Event::CareForReplica { replica, life } => self.care_for_replica(replica, life),
            Event::DeclareLost { member, life } => self.operator_comes(member, life),
            Event::Fault { number } => self.strike(number),
            Event::Mend { number } => self.mend(number),
        }
    }

    /// An entry was applied on a replica. What is checked once per entry is checked where it is applied first.
    pub(super) fn check_step(&mut self, replica: usize, step: &Step) {
        let checks = &mut self.checks;
        checks.same_bytes.applied(replica, step.index, step.digest, &mut checks.found);
        let is_new = checks.raft.applied(step.index, &step.bytes, &mut checks.found);
        if let Some(first) = step.first.as_ref().filter(|_| is_new) {
            self.check_first(replica, step.index, first);
        }
    }

    fn check_first(&mut self, replica: usize, index: u64, first: &First) {
        let command = &first.entry.command;
        self.counts.coverage.applied(command, &first.answer);
        let revision = first.after.revision().0;
        let text = format_args!("{index} revision {revision} {}", CommandText(command));
        self.trace.line(self.now, REPLICA_NAMES[replica], "applies", text);
        let checks = &mut self.checks;
        checks.state.after(index, &first.after, &mut checks.found);
        checks.books.after(&first.events, &first.after, &mut checks.found);
        if let Command::FenceAttempts { attempts, reason: FenceReason::DeadlinePassed, .. } = command {
            self.counts.fenced += attempts.len() as u64;
        }
        let mut live = None;
        for change in first.events.iter().filter_map(job_change) {
            self.check_job_change(change, &first.after, &mut live);
        }
    }

    fn check_job_change(&mut self, change: JobChange<'_>, after: &State, live: &mut Option<Vec<LivePod>>) {
        let epoch =
            |job: Option<&muster_model::Job>| job.and_then(|job| job.attempt.as_ref().map(|a| a.epoch));
        let (old, new) = (epoch(change.old_job()), epoch(change.new_job()));
        if old != new && live.is_none() {
            *live = Some(self.live_pods());
        }
        self.counts.grants += u64::from(new.is_some() && old != new);
        if let (Some(gone), None) = (change.old, change.new) {
            self.tell_members_of_the_end(gone.meta.uid);
        }
        let checks = &mut self.checks;
        checks.submits.changed(change, &mut checks.found);
        checks.acknowledged.changed(change, after.time(), &mut checks.found);
        checks.epochs.changed(change, after, &mut checks.found);
        if let Some(live) = live.as_deref().filter(|_| old != new) {
            checks.fences.changed(change, live, &mut checks.found);
        }
    }

    /// A job is gone: members may let go of its pods and logs. One that does not hear of it keeps them.
    fn tell_members_of_the_end(&mut self, uid: Uid) {
        for member in 0..=SPARE {
            let (life, delay) = (self.members[member].life, self.random.between(5, 2_000));
            self.queue.push(self.now + delay, Event::Forget { member, life, uids: vec![uid] });
        }
    }
}
