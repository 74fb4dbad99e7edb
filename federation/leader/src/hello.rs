//! How a stream becomes a session: opened, hello, acknowledged; and what is acknowledged after that.

use std::sync::Arc;

use muster_model::{
    AttemptReport, CapacityChange, Cluster, Command, DesiredAttempt, Epoch, Hello, Incarnation, Key,
    MemberName, Readiness, TimeMs, ToHub, ToMember,
};

use crate::capacity::CapacityDesk;
use crate::data::DataDesk;
use crate::desired::Told;
use crate::input::SessionId;
use crate::leader::Leader;
use crate::lease::Lease;
use crate::outbox::Purpose;
use crate::reports::ReportDesk;
use crate::rounds::Beat;
use crate::session::{Greeted, Progress, Session, Stage};

/// Reports in a hello are answered under this number.
const HELLO_SEQ: u64 = 0;

impl Leader {
    /// A stream is there. Its certificate is good as such; here it must be newer than the member's last revocation.
    pub(crate) fn session_opened(&mut self, id: SessionId, member: MemberName, certificate_from: TimeMs) {
        match self.cluster(&member).map(|cluster| &cluster.status) {
            Some(status) if status.joined_at.is_some() && status.admits_certificate(certificate_from) => {
                let stage = Stage::Opened { at: self.now };
                self.sessions.open(id, Session { member, certificate_from, stage });
            }
            Some(status) if status.joined_at.is_some() => {
                self.out.close(id, "the certificate was revoked: join again with a new token");
            }
            _ => self.out.close(id, format!("no member {member} has joined: ask for a token for this name")),
        }
    }

    /// Ends a stream from this side.
    pub(crate) fn close(&mut self, id: SessionId, reason: impl Into<Arc<str>>) {
        self.out.close(id, reason);
        self.session_closed(id);
    }

    /// A stream is gone. The lease runs on.
    pub(crate) fn session_closed(&mut self, id: SessionId) {
        self.sessions.remove(id);
        self.rounds.forget(id);
    }

    /// A message arrived.
    pub(crate) fn message_arrived(&mut self, id: SessionId, message: ToHub) {
        let Some(session) = self.sessions.get(id) else { return };
        let member = session.member.clone();
        match (message, matches!(session.stage, Stage::Greeted(_))) {
            (ToHub::Hello(hello), false) => self.hello(id, &member, hello),
            (ToHub::Hello(_), true) => self.close(id, "a second hello in one session"),
            (_, false) => self.close(id, "the first message must be a hello"),
            (ToHub::Heartbeat { seq }, true) => self.heartbeat(id, member, seq),
            (ToHub::Reports { seq, reports }, true) => self.reports_arrived(id, seq, reports),
            (ToHub::Capacity(change), true) => self.capacity_arrived(id, &member, change),
            (ToHub::Data(report), true) => self.data_arrived(id, report),
        }
    }

    /// A hello is heartbeat 0. It is refused while another incarnation holds the lease: that one may be running jobs.
    fn hello(&mut self, id: SessionId, member: &MemberName, hello: Hello) {
        if hello.capacity.member != *member {
            return self.close(
                id,
                format!("the certificate is of {member}, the hello of {}", hello.capacity.member),
            );
        }
        let lease = self.leases.get(member);
        if let Some(lease) = lease.filter(|lease| !lease.admits(&hello.incarnation, self.now, &self.config)) {
            let expires = lease.times(&self.config).expires;
            return self.close(id, format!(
                "another agent holds the lease of {member} until {expires} unless it renews it: stop that agent, or use another name"
            ));
        }
        self.days.probes().reported(member, &hello.attempts, &self.state);
        let known = hello.attempts.iter().map(|report| report.epoch).collect();
        let mut greeted = Greeted {
            incarnation: hello.incarnation.clone(),
            reports: ReportDesk::default(),
            capacity: CapacityDesk::default(),
            data: DataDesk::default(),
            progress: Progress::Hello { known },
        };
        greeted.capacity.arrived(CapacityChange { incarnation: hello.incarnation.clone(), ..hello.capacity });
        if !hello.attempts.is_empty() {
            greeted.reports.arrived(id, HELLO_SEQ, hello.attempts);
        }
        if let Some(old) = self.sessions.greet(id, greeted) {
            self.close(old, "the agent opened a newer session");
        }
        self.leases.insert(member.clone(), Lease { incarnation: Some(hello.incarnation), heard: self.now });
        self.heartbeat(id, member.clone(), HELLO_SEQ);
    }

    fn heartbeat(&mut self, id: SessionId, member: MemberName, seq: u64) {
        self.heard(&member);
        let beat = Beat { member, session: id, seq, received: self.now };
        if muster_model::mutant!(ack_without_read_index) {
            return self.acknowledge(&beat);
        }
        self.rounds.arrived(beat);
    }

    fn reports_arrived(&mut self, id: SessionId, seq: u64, reports: Vec<AttemptReport>) {
        if let Some(session) = self.sessions.get(id) {
            self.days.probes().reported(&session.member, &reports, &self.state);
        }
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        greeted.reports.arrived(id, seq, reports);
        self.propose_for(id);
    }

    fn capacity_arrived(&mut self, id: SessionId, member: &MemberName, change: CapacityChange) {
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        if change.member != *member || change.incarnation != greeted.incarnation {
            return self.close(id, "the capacity is of another member or incarnation than the session");
        }
        greeted.capacity.arrived(change);
        self.propose_for(id);
    }

    /// A round vouches for this heartbeat: whoever sent it spoke to the leader. Renews its grants.
    pub(crate) fn acknowledge(&mut self, beat: &Beat) {
        let Some(greeted) = self.sessions.get_mut(beat.session).and_then(Session::greeted) else { return };
        let incarnation = greeted.incarnation.clone();
        let epochs = self.grants.renew(&beat.member, &incarnation, beat.received, &self.config);
        let known = match &greeted.progress {
            Progress::Hello { known } => Some(known.clone()),
            Progress::Live(_) => None,
        };
        self.out.send(beat.session, ToMember::Ack { seq: beat.seq, epochs });
        if let Some(known) = known {
            self.go_live(beat.session, &beat.member, &incarnation, &known);
        }
        self.propose_for(beat.session);
        self.say_ready(&beat.member);
    }

    /// The hello was acknowledged: from here on the member has its desired set.
    fn go_live(&mut self, id: SessionId, member: &MemberName, incarnation: &Incarnation, known: &[Epoch]) {
        let mut told = Told::default();
        let attempts = self.full_set(member, incarnation, &mut told);
        if let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) {
            greeted.progress = Progress::Live(told);
        }
        let revision = self.state.revision();
        self.out.send(id, ToMember::Full { revision, attempts });
        let is_gone = |epoch: &&Epoch| self.grants.get(member, **epoch).is_none();
        let gone: Vec<Epoch> = known.iter().filter(is_gone).copied().collect();
        if !gone.is_empty() {
            self.out.send(id, ToMember::Delta { revision, changed: Vec::new(), gone });
        }
        self.tell_transfers(member);
    }

    fn full_set(
        &self,
        member: &MemberName,
        incarnation: &Incarnation,
        told: &mut Told,
    ) -> Vec<Arc<DesiredAttempt>> {
        let theirs = self.grants.of(member).filter(|(_, grant)| grant.is_wanted_of(incarnation));
        theirs.filter_map(|(_, grant)| told.tell(self.state.get(&grant.job)?, self.now)).collect()
    }

    /// Proposes what a live session has to say: first what it has, so that grants know whom they are made to.
    pub(crate) fn propose_for(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let member = session.member.clone();
        let Some(greeted) = session.greeted().filter(|greeted| matches!(greeted.progress, Progress::Live(_)))
        else {
            return;
        };
        let key = Key::cluster(member.as_str());
        let committed = self.state.get(&key).and_then(|object| object.cluster());
        let capacity = committed.and_then(|c| greeted.capacity.next(&c.status, self.now, &self.config));
        let reports = greeted.reports.next(&self.state);
        let incarnation = greeted.incarnation.clone();
        if let Some(change) = capacity {
            self.out.propose(Purpose::Capacity(id), Command::ChangeCapacity(change));
        }
        match reports {
            None => {}
            Some(reports) if reports.is_empty() => self.reports_taken(id),
            Some(reports) => {
                self.out.propose(
                    Purpose::Reports(id),
                    Command::ReportAttempts { member: member.clone(), incarnation, reports },
                );
            }
        }
        self.propose_data(id, &member);
    }

    /// Reports of a session are committed, or there was nothing in them to commit.
    pub(crate) fn reports_taken(&mut self, id: SessionId) {
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        for (session, seq) in greeted.reports.taken() {
            self.out.send(session, ToMember::ReportsTaken { seq });
        }
    }

    /// Contact is back: the member may get jobs.
    fn say_ready(&mut self, member: &MemberName) {
        let ready = self.cluster(member).map(|cluster| cluster.status.ready);
        let is_ready = matches!(ready, None | Some(Readiness::Ready { .. }));
        if !is_ready {
            self.propose_ready(member, true);
        }
    }

    /// A member as committed.
    pub(crate) fn cluster(&self, member: &MemberName) -> Option<&Cluster> {
        self.state.get(&Key::cluster(member.as_str()))?.cluster()
    }
}
