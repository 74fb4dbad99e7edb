//! Sessions with the hub: dial, follow the leader, carry messages both ways.
//!
//! ```text
//!  control: heartbeats, reports, mirrors -\
//!                                          > frames --> stream --> hub
//!  bulk: log chunks, only when it is idle -/
//! ```
//!
//! Exec calls have connections of their own.
//!
//! Nothing waits for a slow hub but logs: when the control queue is full the session is given up, and a new one says
//! everything again.

use std::sync::Arc;
use std::time::Duration;

use muster_member_machine::Input;
use muster_model::ToMember;
use muster_proto::federation::{Assembler, HubMessage, LogRequest, MemberMessage, frames, pb};
use rustls::ClientConfig;
use tokio::sync::{Notify, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::agent::Event;
use crate::backoff::Backoff;
use crate::data::DatasetsLink;
use crate::dial::{Replica, dial};
use crate::execs::ExecCall;
use crate::faults::Faults;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
const CONTROL_MESSAGES: usize = 4096;
const BULK_MESSAGES: usize = 4;
const FRAMES: usize = 4;

/// Where messages of one session go.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    /// The session's number.
    pub(crate) session: u64,
    /// What must not wait.
    pub(crate) control: mpsc::Sender<MemberMessage>,
    /// What waits for the hub.
    pub(crate) bulk: mpsc::Sender<MemberMessage>,
    /// Who is at the other end.
    pub(crate) replica: Replica,
}

/// What the agent asks of sessions and they of it.
pub(crate) struct Sessions {
    pub(crate) addresses: Vec<String>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// The number of the last session that shall end.
    pub(crate) give_up: watch::Receiver<u64>,
    /// Told when the hub wants the certificate renewed.
    pub(crate) renew: Arc<Notify>,
    pub(crate) seed: u128,
    /// Faults that are done to this agent on purpose.
    pub(crate) faults: Faults,
    /// Where orders of transfers go.
    pub(crate) datasets: DatasetsLink,
}

/// How a session ended.
enum SessionEnd {
    /// Try another replica.
    Lost,
    /// Dial these, best first.
    Hint(Vec<String>),
}

impl Sessions {
    /// One session after another. Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(self.seed, FIRST_DELAY, LONGEST_DELAY);
        let mut session = 0;
        let mut next = self.addresses.clone();
        loop {
            self.faults.gate.opened().await;
            if next.is_empty() {
                next.clone_from(&self.addresses);
                tokio::time::sleep(backoff.next()).await;
            }
            let address = if next.is_empty() { String::new() } else { next.remove(0) };
            let opened = self.open(&address).await;
            let Ok((stream, out)) = opened.inspect_err(|error| {
                tracing::debug!(address, error = format!("{error:#}"), "hub not reached");
            }) else {
                continue;
            };
            session += 1;
            tracing::info!(address, session, "session open");
            let began = tokio::time::Instant::now();
            let replica = Replica { address: address.clone(), tls: self.tls.clone() };
            let end = self.hold(session, replica, stream, out).await;
            let _ = self.events.send(Event::Input(Input::SessionLost { session }));
            tracing::info!(address, session, "session over");
            if began.elapsed() > LONGEST_DELAY {
                backoff.reset();
            }
            match end {
                SessionEnd::Hint(hint) => next = self.with_known(hint),
                SessionEnd::Lost => {}
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// The hinted addresses first, the known ones after them.
    fn with_known(&self, mut hint: Vec<String>) -> Vec<String> {
        hint.extend(self.addresses.iter().cloned());
        let mut seen = std::collections::BTreeSet::new();
        hint.retain(|address| seen.insert(address.clone()));
        hint
    }

    async fn open(
        &self,
        address: &str,
    ) -> anyhow::Result<(Streaming<pb::HubMessage>, mpsc::Sender<pb::MemberMessage>)> {
        let mut client = dial(address, self.tls.clone()).await?;
        let (sender, receiver) = mpsc::channel(FRAMES);
        let call = client.session(ReceiverStream::new(receiver));
        let response = tokio::time::timeout(OPEN_TIMEOUT, call).await??;
        Ok((response.into_inner(), sender))
    }

    async fn hold(
        &mut self,
        session: u64,
        replica: Replica,
        stream: Streaming<pb::HubMessage>,
        out: mpsc::Sender<pb::MemberMessage>,
    ) -> SessionEnd {
        let (control, control_queue) = mpsc::channel(CONTROL_MESSAGES);
        let (bulk, bulk_queue) = mpsc::channel(BULK_MESSAGES);
        let outbox = Outbox { session, control, bulk, replica };
        let _ = self.events.send(Event::Opened(outbox.clone()));
        let mut give_up = self.give_up.clone();
        let mut gate = self.faults.gate.clone();
        tokio::select! {
            end = receive(stream, outbox, self) => end,
            () = gate.closed() => SessionEnd::Lost,
            () = pump(control_queue, bulk_queue, out) => SessionEnd::Lost,
            _ = give_up.wait_for(|last| *last >= session) => SessionEnd::Lost,
        }
    }
}

/// Sends what is queued, control first. Ends when the stream does.
async fn pump(
    mut control: mpsc::Receiver<MemberMessage>,
    mut bulk: mpsc::Receiver<MemberMessage>,
    out: mpsc::Sender<pb::MemberMessage>,
) {
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = control.recv() => message,
            Some(message) = bulk.recv() => message,
            else => return,
        };
        for frame in frames(pb::MemberMessage::from(&message)) {
            if out.send(frame).await.is_err() {
                return;
            }
        }
    }
}

/// Takes what the hub says, until it stops or says something that cannot be read.
async fn receive(mut stream: Streaming<pb::HubMessage>, outbox: Outbox, sessions: &Sessions) -> SessionEnd {
    let mut assembler = Assembler::default();
    loop {
        let message = match stream.message().await {
            Ok(Some(frame)) => match assembler.push(frame) {
                Ok(None) => continue,
                Ok(Some(message)) => HubMessage::try_from(message).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
            Ok(None) => return SessionEnd::Lost,
            Err(status) => Err(status.message().to_owned()),
        };
        let event = match message {
            Ok(HubMessage::LeaderHint { addresses }) => return SessionEnd::Hint(addresses),
            Ok(HubMessage::ToMember(ToMember::Transfers { orders })) => {
                sessions.datasets.orders.send_replace(orders);
                continue;
            }
            Ok(HubMessage::ToMember(message)) => {
                Event::Input(Input::FromHub { session: outbox.session, message })
            }
            Ok(HubMessage::Faults(orders)) => {
                sessions.faults.orders.send_replace(orders);
                continue;
            }
            Ok(HubMessage::RenewNow) => {
                sessions.renew.notify_one();
                continue;
            }
            Ok(HubMessage::ForgetJobs { uids }) => Event::Input(Input::ForgetJobs { uids }),
            Ok(HubMessage::Documents(attempts)) => Event::Documents(attempts),
            Ok(HubMessage::Log(request)) => Event::Log(Box::new(LogCall { request, outbox: outbox.clone() })),
            Ok(HubMessage::Exec(request)) => {
                let (session, replica) = (outbox.session, outbox.replica.clone());
                Event::Exec(Box::new(ExecCall { session, request, replica }))
            }
            Ok(HubMessage::Cancel { request }) => Event::Cancel { session: outbox.session, request },
            Err(error) => {
                tracing::warn!(session = outbox.session, error, "session ends");
                return SessionEnd::Lost;
            }
        };
        let _ = sessions.events.send(event);
    }
}

/// A log that the hub asked for, and where it goes.
#[derive(Debug)]
pub(crate) struct LogCall {
    pub(crate) request: LogRequest,
    pub(crate) outbox: Outbox,
}
