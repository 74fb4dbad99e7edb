//! Clients: they submit, suspend, resume, delete and read jobs, each under a serial of its own, and remember what they
//! were told. They are the oracle.
//!
//! ```text
//!  op --try--> replica: leads? read, then propose --> Reply --> done, or the next try of the same op
//! ```
//!
//! An op that got no answer is tried again, elsewhere, under the same idempotency key. A try that was not heard of any
//! more may still be carried out: what it touched is left out of checks that would have to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_consensus::{Input as RaftInput, Outcome, ReadOutcome};
use muster_model::{
    Answer, Command, Delete, Document, DocumentHash, JobSpec, Key, Object, Precondition, Principal,
    Propagation, Put, PutMode, Rejection, Revision, Spec, Uid,
};

use super::event::{Event, REPLICAS};
use super::random::Random;
use super::replica::Waiter;
use super::workload::job_spec;
use super::world::World;
use crate::invariants::check_read;

/// Clients that work on jobs.
pub const CLIENTS: usize = 6;
/// The one after them founds the federation and asks whether it writes.
pub const FOUNDER: usize = CLIENTS;

/// One try of one op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TryId {
    client: usize,
    op: u64,
    number: u32,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Request {
    id: TryId,
    ask: Ask,
}

/// An answer on its way.
#[derive(Clone, Debug)]
pub struct Response {
    id: TryId,
    reply: Reply,
}

/// What a client wants.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A new job.
    Create { key: Key, submit: DocumentHash, spec: Arc<JobSpec> },
    /// A job held, or let go.
    Suspend { key: Key, suspend: bool },
    /// A job gone.
    Delete { key: Key, uid: Uid },
    /// A job as it is.
    Read { key: Key, known: Revision },
    /// Something of the founder's.
    Found { command: Command },
}

/// What a client is told.
#[derive(Clone, Debug)]
enum Reply {
    Stored(Arc<Object>),
    /// There is nothing of that name, or not any more.
    Gone,
    Done,
    Refused(Rejection),
    /// Not done, and never will be: that one may lead.
    Elsewhere(Option<usize>),
    /// Nobody knows.
    Unknown,
}

/// One client.
pub struct Client {
    random: Random,
    turn: u64,
    op: Option<Op>,
    next_op: u64,
    jobs: BTreeMap<Key, OwnJob>,
    known: Revision,
    leader: usize,
    /// The next try goes to `leader`; else to anybody, since the last one got no answer.
    knows_whom: bool,
    pub(super) founding: Vec<Command>,
}

/// An op under way.
#[derive(Debug)]
struct Op {
    number: u64,
    ask: Ask,
    tries: u32,
    resolved: u32,
}

/// A job as its client knows it.
#[derive(Clone, Copy, Debug, Default)]
struct OwnJob {
    uid: Option<Uid>,
    suspended: bool,
    /// A try that may still be carried out would change it.
    haunted: bool,
}

impl Client {
    pub(super) fn new(random: Random) -> Client {
        Client {
            random,
            turn: 0,
            op: None,
            next_op: 0,
            jobs: BTreeMap::new(),
            known: Revision::default(),
            leader: 0,
            knows_whom: false,
            founding: Vec::new(),
        }
    }

    /// Whether it waits for nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.op.is_none() && self.founding.is_empty()
    }
}

impl Ask {
    fn key(&self) -> Option<&Key> {
        match self {
            Ask::Create { key, .. } | Ask::Suspend { key, .. } | Ask::Delete { key, .. } => Some(key),
            Ask::Read { key, .. } => Some(key),
            Ask::Found { .. } => None,
        }
    }
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.key().map_or("", |key| &key.name);
        match self {
            Ask::Create { .. } => write!(f, "create {name}"),
            Ask::Suspend { suspend, .. } => write!(f, "suspend {name} {suspend}"),
            Ask::Delete { .. } => write!(f, "delete {name}"),
            Ask::Read { .. } => write!(f, "read {name}"),
            Ask::Found { command } => write!(f, "found {}", super::leader_task::CommandText(command)),
        }
    }
}

impl World {
    /// A client goes on: with its next op, or with the next try of the one that got no answer.
    pub(super) fn client_turn(&mut self, client: usize, turn: u64) {
        if self.clients[client].turn != turn {
            return;
        }
        if self.clients[client].op.is_none() {
            match self.next_op(client) {
                Some(ask) => self.begin(client, ask),
                None => return self.wake_client(client, 1_000),
            }
        } else {
            let here = &mut self.clients[client];
            if !std::mem::take(&mut here.knows_whom) {
                // No answer came: perhaps another replica leads by now.
                here.leader = here.random.index(REPLICAS);
            }
        }
        self.send_try(client);
    }

    fn next_op(&mut self, client: usize) -> Option<Ask> {
        if client == FOUNDER {
            let commands = &mut self.clients[client].founding;
            let next = (!commands.is_empty()).then(|| commands.remove(0));
            return next.map(|command| Ask::Found { command });
        }
        if !self.clients_work {
            return None;
        }
        let here = &mut self.clients[client];
        let usable: Vec<(Key, OwnJob)> = here
            .jobs
            .iter()
            .filter(|(_, job)| job.uid.is_some())
            .map(|(key, job)| (key.clone(), *job))
            .collect();
        let roll = here.random.below(100);
        if usable.is_empty() || roll < 45 {
            return Some(self.new_job(client));
        }
        let newest = usable.len().min(4);
        let (key, job) = here.random.pick(&usable[usable.len() - newest..]).clone();
        Some(match roll {
            45..60 => Ask::Suspend { key, suspend: true },
            60..80 => Ask::Suspend { key, suspend: false },
            80..90 if !job.haunted => Ask::Delete { key, uid: job.uid? },
            _ => Ask::Read { key, known: here.known },
        })
    }

    fn new_job(&mut self, client: usize) -> Ask {
        self.next_serial += 1;
        let serial = self.next_serial;
        let key = Key::job("default", &format!("job-{serial:04}"));
        let submit = DocumentHash(u128::from(serial));
        let spec = job_spec(&mut self.clients[client].random, self.scenario);
        self.checks.submits.submitted(submit);
        Ask::Create { key, submit, spec: Arc::new(spec) }
    }

    fn begin(&mut self, client: usize, ask: Ask) {
        if let Ask::Delete { key, .. } = &ask {
            self.checks.acknowledged.delete_asked(key);
        }
        if let Ask::Suspend { key, .. } = &ask {
            self.checks.acknowledged.suspended(key, None);
        }
        if client != FOUNDER {
            self.counts.operations += 1;
        }
        let here = &mut self.clients[client];
        here.next_op += 1;
        if let Some(key) = ask.key() {
            here.jobs.entry(key.clone()).or_default();
        }
        here.op = Some(Op { number: here.next_op, ask, tries: 0, resolved: 0 });
    }

    fn send_try(&mut self, client: usize) {
        let here = &mut self.clients[client];
        let Some(op) = &mut here.op else { return };
        op.tries += 1;
        let id = TryId { client, op: op.number, number: op.tries };
        let request = Request { id, ask: op.ask.clone() };
        let any = matches!(op.ask, Ask::Read { .. });
        let replica = if any { here.random.index(REPLICAS) } else { here.leader };
        // The founder also asks whether the hub writes again: it shall not be late itself.
        let patience = if client == FOUNDER { 500 } else { here.random.between(2_500, 6_000) };
        self.trace.line(
            self.now,
            &client_name(client),
            "asks",
            format_args!("{} try {} at {}", request.ask, id.number, super::replica::REPLICA_NAMES[replica]),
        );
        if let Some(delay) = self.network.datagram()[0] {
            self.queue.push(self.now + delay, Event::Request { replica, request: Box::new(request) });
        }
        self.wake_client(client, patience);
    }

    fn wake_client(&mut self, client: usize, ms: u64) {
        self.clients[client].turn += 1;
        let turn = self.clients[client].turn;
        self.queue.push(self.now + ms, Event::Client { client, turn });
    }

    /// Sends the founder on its way.
    pub(super) fn found(&mut self, commands: Vec<Command>) {
        self.clients[FOUNDER].founding.extend(commands);
        self.wake_client(FOUNDER, 1);
    }

    // ---- at the replica

    pub(super) fn request_arrived(&mut self, replica: usize, request: Request) {
        let Some(process) = &self.replicas[replica].process else { return };
        let leader = process.driver.position().2.map(|id| id.get() as usize - 1);
        let any = matches!(request.ask, Ask::Read { .. });
        if !any && !self.replicas[replica].leads() {
            return self.respond(request.id, Reply::Elsewhere(leader));
        }
        match &request.ask {
            Ask::Create { key, submit, spec } => {
                let command = self.create(key, *submit, spec);
                self.propose_for_client(replica, request.id, command);
            }
            Ask::Delete { key, uid } => {
                let command = delete(key, *uid);
                self.propose_for_client(replica, request.id, command);
            }
            Ask::Found { command } => self.propose_for_client(replica, request.id, command.clone()),
            Ask::Suspend { .. } | Ask::Read { .. } => {
                let id = request.id;
                self.requests.insert((replica, self.replicas[replica].life, id), request);
                self.ask(replica, Waiter::Read(id), |token| RaftInput::Read { token });
            }
        }
    }

    fn propose_for_client(&mut self, replica: usize, id: TryId, command: Command) {
        let bytes = self.entry(replica, command);
        self.ask(replica, Waiter::Write(id), |token| RaftInput::Propose { token, bytes });
    }

    fn create(&mut self, key: &Key, submit: DocumentHash, spec: &Arc<JobSpec>) -> Command {
        let uid = Uid(u128::from(self.random.bits()) << 64 | u128::from(self.random.bits()));
        put(key, PutMode::Create { uid }, Spec::Job(Arc::clone(spec)), Some(submit))
    }

    /// The state may be read: answer from it, or go on with what was read.
    pub(super) fn read_ended(&mut self, replica: usize, id: TryId, outcome: ReadOutcome) {
        let life = self.replicas[replica].life;
        let Some(request) = self.requests.remove(&(replica, life, id)) else { return };
        let ReadOutcome::Ready { .. } = outcome else { return self.respond(id, Reply::Elsewhere(None)) };
        let Some(process) = &self.replicas[replica].process else { return };
        let state = process.driver.machine().view().0;
        match request.ask {
            Ask::Read { key, known } => {
                check_read(replica, known, state.revision(), &mut self.checks.found);
                let reply = state.get(&key).map_or(Reply::Gone, |object| Reply::Stored(Arc::clone(object)));
                self.respond(id, reply);
            }
            Ask::Suspend { key, suspend } => match state.get(&key).cloned() {
                None => self.respond(id, Reply::Gone),
                Some(object) => {
                    let Some(command) = suspension(&object, suspend) else {
                        return self.respond(id, Reply::Gone);
                    };
                    self.propose_for_client(replica, id, command);
                }
            },
            Ask::Create { .. } | Ask::Delete { .. } | Ask::Found { .. } => {}
        }
    }

    pub(super) fn write_ended(&mut self, _replica: usize, id: TryId, outcome: Outcome<Answer>) {
        let reply = match outcome {
            Outcome::Committed { answer, .. } => match answer {
                Answer::Stored(object) => Reply::Stored(object),
                Answer::Rejected(Rejection::NotFound(_) | Rejection::UidChanged { .. }) => Reply::Gone,
                Answer::Rejected(rejection) => Reply::Refused(rejection),
                Answer::Done | Answer::Removed(_) | Answer::Deleting(_) | Answer::Planned(_) => Reply::Done,
            },
            Outcome::Refused(_) | Outcome::Superseded => Reply::Elsewhere(None),
            Outcome::Unknown => Reply::Unknown,
        };
        self.respond(id, reply);
    }

    fn respond(&mut self, id: TryId, reply: Reply) {
        if let Some(delay) = self.network.answer() {
            self.queue.push(self.now + delay, Event::Response { response: Box::new(Response { id, reply }) });
        }
    }

    // ---- back at the client

    pub(super) fn response_arrived(&mut self, response: Response) {
        let Response { id: TryId { client, op, number }, reply } = response;
        let here = &mut self.clients[client];
        let Some(current) = here.op.as_mut().filter(|current| current.number == op) else { return };
        if !matches!(reply, Reply::Unknown) {
            current.resolved += 1;
        }
        let ask = current.ask.clone();
        self.trace.line(
            self.now,
            &client_name(client),
            "hears",
            format_args!("{ask} try {number}: {}", text(&reply)),
        );
        match reply {
            Reply::Elsewhere(hint) => {
                let here = &mut self.clients[client];
                here.leader = hint.unwrap_or_else(|| here.random.index(REPLICAS));
                let wait = here.random.between(20, 300);
                self.wake_try(client, wait);
            }
            Reply::Unknown => self.wake_try(client, 50),
            Reply::Refused(Rejection::Conflict { .. }) => self.wake_try(client, 20),
            reply => self.end_op(client, &ask, &reply),
        }
    }

    /// Tries again soon, at the replica now held for the leader.
    fn wake_try(&mut self, client: usize, ms: u64) {
        self.clients[client].knows_whom = true;
        self.wake_client(client, ms);
    }

    fn end_op(&mut self, client: usize, ask: &Ask, reply: &Reply) {
        let here = &mut self.clients[client];
        let Some(op) = here.op.take() else { return };
        let haunted = op.resolved < op.tries;
        self.learn(client, ask, reply, haunted);
        if client != FOUNDER {
            self.counts.answered += 1;
        }
        let think = match client {
            FOUNDER => 10,
            _ => self.clients[client].random.between(200, 12_000),
        };
        self.wake_client(client, think);
    }

    fn learn(&mut self, client: usize, ask: &Ask, reply: &Reply, haunted: bool) {
        let Some(key) = ask.key() else { return };
        let here = &mut self.clients[client];
        let job = here.jobs.entry(key.clone()).or_default();
        job.haunted |= haunted && !matches!(ask, Ask::Read { .. });
        if let Reply::Stored(object) = reply {
            here.known = here.known.max(object.meta.revision);
        }
        match (ask, reply) {
            (Ask::Create { .. }, Reply::Stored(object)) => {
                job.uid = Some(object.meta.uid);
                self.checks.acknowledged.created(key, object.meta.uid);
            }
            (Ask::Create { .. }, Reply::Refused(Rejection::AlreadyExists(_))) => {
                self.checks.submits.refused_as_taken(key, &mut self.checks.found);
            }
            (Ask::Suspend { suspend, .. }, Reply::Stored(_)) => {
                job.suspended = *suspend;
                let told = (!job.haunted).then_some(*suspend);
                self.checks.acknowledged.suspended(key, told);
            }
            (Ask::Delete { .. }, _) | (_, Reply::Gone) => drop(here.jobs.remove(key)),
            _ => {}
        }
    }

    /// What clients want still: to hold a run open until they have it.
    pub(super) fn clients_are_idle(&self) -> bool {
        self.clients.iter().all(Client::is_idle)
    }
}

fn client_name(client: usize) -> String {
    if client == FOUNDER { "founder".to_owned() } else { format!("client-{client}") }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Stored(object) => format!("stored at {}", object.meta.revision.0),
        Reply::Gone => "gone".to_owned(),
        Reply::Done => "done".to_owned(),
        Reply::Refused(rejection) => format!("refused: {rejection}"),
        Reply::Elsewhere(hint) => format!("elsewhere {hint:?}"),
        Reply::Unknown => "unknown".to_owned(),
    }
}

/// A command that stores an object.
pub(super) fn put(key: &Key, mode: PutMode, spec: Spec, submit: Option<DocumentHash>) -> Command {
    Command::Put(Box::new(Put {
        key: key.clone(),
        mode,
        spec,
        typed_version: 1,
        document: Document { metadata: "".into(), body: "\"spec\":{}".into() },
        finalizers: Vec::new(),
        owners: Vec::new(),
        principal: Principal::new("dana"),
        idempotency: submit,
    }))
}

fn delete(key: &Key, uid: Uid) -> Command {
    Command::Delete(Delete {
        key: key.clone(),
        precondition: Precondition { revision: None, uid: Some(uid) },
        propagation: Propagation::Background,
        grace_s: None,
        principal: Principal::new("dana"),
    })
}

/// The job held or let go, if it is there to be changed at all.
fn suspension(object: &Object, suspend: bool) -> Option<Command> {
    let job = object.job()?;
    if object.meta.deletion.is_some() || job.is_finished() {
        return None;
    }
    let spec = JobSpec { suspend, ..JobSpec::clone(&job.spec) };
    let precondition = Precondition { revision: Some(object.meta.revision), uid: Some(object.meta.uid) };
    Some(put(&object.key, PutMode::Replace(precondition), Spec::Job(Arc::new(spec)), object.meta.idempotency))
}
