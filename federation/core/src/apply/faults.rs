//! Faults on purpose: admitted before anything is injected, bounded, and over in time.
//!
//! Every entry first ends the faults whose time is up, so that at no index a fault outlives its time (S23), whoever leads
//! and however long nobody did. Limits are checked here and nowhere else, against what is open now (S24).

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_model::{
    AbortFaults, Answer, AuditVerb, ChaosStop, Document, Drain, EventSeverity, Fault, FaultEnd,
    FaultEndCause, FaultKind, FaultNews, FaultOwner, FaultPhase, FaultTarget, Key, MemberName, Meta, Object,
    Principal, Readiness, Rejection, ReportFault, Revision, StartFault, Status, TimeMs, Uid,
};

use super::Step;

/// Faults that may be open at one time.
const FAULTS_MAX: usize = 64;

impl Step<'_> {
    /// Ends what has lasted its time. Before every command.
    pub(super) fn end_due_faults(&mut self) {
        while let Some((expires, key)) = self.state.indexes.open_faults.get_min().cloned() {
            if expires > self.time || muster_model::mutant!(faults_outlive_their_time) {
                return;
            }
            self.end_fault(&key, FaultEndCause::Expired);
        }
    }

    /// Admits a fault, or says which limit it would break, and audits it.
    pub(super) fn start_fault(&mut self, start: &StartFault) -> Result<Answer, Rejection> {
        let key = Key::fault(&start.id);
        let admitted = self.admit(start, &key);
        let result = admitted.map(|()| self.open_fault(start, &key));
        self.audit(&start.principal, AuditVerb::Create, &key, result)
    }

    fn admit(&self, start: &StartFault, key: &Key) -> Result<(), Rejection> {
        if self.state.get(key).is_some() {
            return Err(Rejection::AlreadyExists(key.clone()));
        }
        self.chaos_is_allowed()?;
        if !(Fault::TTL_MIN..=Fault::TTL_MAX).contains(&start.spec.ttl) {
            return Err(invalid("ttl", "must be from 1s to 1h"));
        }
        if self.state.indexes.open_faults.len() >= FAULTS_MAX {
            return Err(Rejection::TooMany { what: "open faults", limit: FAULTS_MAX as u64 });
        }
        self.check_target(start)?;
        self.check_quorum(start)?;
        self.check_host(start)?;
        match &start.owner {
            FaultOwner::Principal(_) => Ok(()),
            FaultOwner::GameDay { day, run, step } => self.check_step(start, (day, *run, *step)),
        }
    }

    /// The lever that stops everything is not pulled.
    pub(super) fn chaos_is_allowed(&self) -> Result<(), Rejection> {
        match self.state.get(&Key::chaos_stop()).map(|object| &object.status) {
            Some(Status::ChaosStop(stop)) => {
                let why = format!(
                    "is stopped by {} since {}: `muster chaos resume` allows faults again",
                    stop.by, stop.at
                );
                Err(invalid("chaos", why))
            }
            _ => Ok(()),
        }
    }

    fn check_target(&self, start: &StartFault) -> Result<(), Rejection> {
        match &start.spec.target {
            FaultTarget::Member(member) => {
                let cluster = self.state.get(&Key::cluster(member.as_str())).and_then(|o| o.cluster());
                let Some(cluster) = cluster else {
                    return Err(invalid("target", format!("there is no member {member}")));
                };
                if start.spec.kind.needs_host() && !matches!(cluster.status.ready, Readiness::Ready { .. }) {
                    let why = format!("{member} is out of contact: nobody could inject it there");
                    return Err(invalid("target", why));
                }
                Ok(())
            }
            FaultTarget::Replica(name) if !start.replicas.contains(name) => {
                Err(invalid("target", format!("there is no replica {name}")))
            }
            FaultTarget::Replica(name) => match start.spec.kind {
                FaultKind::Kill | FaultKind::Pause => Ok(()),
                FaultKind::Drain | FaultKind::Partition => {
                    let why = format!(
                        "{name} is a replica of the hub, which takes kill and pause; others are for members"
                    );
                    Err(invalid("target", why))
                }
            },
        }
    }

    /// A majority of replicas is never under a fault, whoever asked for which of them.
    fn check_quorum(&self, start: &StartFault) -> Result<(), Rejection> {
        let FaultTarget::Replica(name) = &start.spec.target else { return Ok(()) };
        let mut silenced = self.silenced_replicas();
        silenced.insert(Arc::clone(name));
        let spare = start.replicas.len().saturating_sub(1) / 2;
        if silenced.len() <= spare || muster_model::mutant!(faults_ignore_quorum) {
            return Ok(());
        }
        let why = format!(
            "{} of {} replicas would be down and the hub keeps its quorum with at most {spare}: wait for the others, or `muster chaos abort` them",
            silenced.len(),
            start.replicas.len()
        );
        Err(invalid("target", why))
    }

    fn silenced_replicas(&self) -> BTreeSet<Arc<str>> {
        let name = |fault: &Fault| match &fault.spec.target {
            FaultTarget::Replica(name) if fault.spec.kind.silences() => Some(Arc::clone(name)),
            _ => None,
        };
        self.state.open_faults().filter_map(|object| name(object.fault()?)).collect()
    }

    /// A process that stands still or is down could not take another fault back in time.
    fn check_host(&self, start: &StartFault) -> Result<(), Rejection> {
        let spec = &start.spec;
        if !spec.kind.needs_host() {
            return Ok(());
        }
        let stops = |kind| matches!(kind, FaultKind::Kill | FaultKind::Pause);
        let clashes = |object: &&Arc<Object>| {
            object.fault().is_some_and(|other| {
                other.spec.target == spec.target
                    && other.spec.kind.needs_host()
                    && (stops(other.spec.kind) || stops(spec.kind))
            })
        };
        match self.state.open_faults().find(clashes) {
            None => Ok(()),
            Some(other) => {
                let why = format!(
                    "{} is under {} already: wait for its end, or abort it first",
                    spec.target.name(),
                    other.key.name
                );
                Err(invalid("target", why))
            }
        }
    }

    fn open_fault(&mut self, start: &StartFault, key: &Key) -> Answer {
        let fault = Fault {
            spec: start.spec.clone(),
            owner: start.owner.clone(),
            expires: self.time.plus(start.spec.ttl),
            aborted: None,
            voters: u32::try_from(start.replicas.len()).unwrap_or(u32::MAX),
            phase: FaultPhase::Pending,
        };
        let meta = self.fault_meta(start.uid);
        let (expires, kind) = (fault.expires, fault.spec.kind);
        let status = Status::Fault(Box::new(fault));
        let object = self.store(Object { key: key.clone(), meta, document: Document::default(), status });
        self.step_admitted(&start.owner, &start.id, expires);
        if kind.needs_host() {
            return Answer::Stored(object);
        }
        // The state itself is the host of a drain.
        if let Some(member) = start.spec.target.member() {
            self.set_drained(member, &start.id, true);
        }
        self.activate(key);
        self.state.get(key).map_or(Answer::Done, |object| Answer::Stored(Arc::clone(object)))
    }

    fn fault_meta(&self, uid: Uid) -> Meta {
        Meta {
            uid,
            created: self.time,
            generation: 1,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        }
    }

    /// What a host says of its fault. It may speak only of what is done to itself (S19).
    pub(super) fn report_fault(&mut self, report: &ReportFault) -> Result<Answer, Rejection> {
        let ReportFault { id, uid, host, news } = report;
        let key = Key::fault(id);
        let object = self.find(&key)?;
        let fault = object.fault().ok_or_else(|| Rejection::NotFound(key.clone()))?;
        if object.meta.uid != *uid {
            return Err(Rejection::UidChanged { key, expected: *uid, found: object.meta.uid });
        }
        if fault.spec.target != *host {
            return Err(Rejection::Forbidden(key, "a host reports only what is done to itself"));
        }
        match news {
            FaultNews::Injecting if !fault.is_wanted() => {
                Err(invalid("fault", "is over: it must not be injected any more"))
            }
            FaultNews::Injecting => {
                self.activate(&key);
                Ok(Answer::Done)
            }
            FaultNews::Reverted { at } => {
                let cause =
                    if fault.aborted.is_some() { FaultEndCause::Aborted } else { FaultEndCause::Host };
                self.end_fault(&key, cause);
                self.confirm(&key, *at);
                Ok(Answer::Done)
            }
        }
    }

    fn activate(&mut self, key: &Key) {
        let Some((object, mut fault)) = self.fault_of(key) else { return };
        if fault.phase != FaultPhase::Pending {
            return;
        }
        fault.phase = FaultPhase::Active { since: self.time };
        let object = self.store_fault(&object, fault);
        self.tell_fault(&object, "FaultActive");
        self.step_moved(&object);
    }

    /// Ends an open fault: nothing of it may be begun from here on.
    fn end_fault(&mut self, key: &Key, cause: FaultEndCause) {
        let Some((object, mut fault)) = self.fault_of(key) else { return };
        let active_since = match fault.phase {
            FaultPhase::Reverted(_) => return,
            FaultPhase::Pending => None,
            FaultPhase::Active { since } => Some(since),
        };
        // Nobody holds up what was never active, nor, once the state let go of it, a drain.
        let is_ours = active_since.is_none() || !fault.spec.kind.needs_host();
        let confirmed = is_ours.then_some(self.time);
        fault.phase = FaultPhase::Reverted(FaultEnd { at: self.time, active_since, cause, confirmed });
        if let (FaultKind::Drain, Some(member)) = (fault.spec.kind, fault.spec.target.member()) {
            self.set_drained(member, &key.name, false);
        }
        let object = self.store_fault(&object, fault);
        self.tell_fault(&object, "FaultReverted");
        self.step_moved(&object);
    }

    /// The host's word that nothing is left. Its clock may be off, its word not before the beginning.
    fn confirm(&mut self, key: &Key, at: TimeMs) {
        let Some((object, mut fault)) = self.fault_of(key) else { return };
        let FaultPhase::Reverted(end) = &mut fault.phase else { return };
        if end.confirmed.is_none() {
            let earliest = end.active_since.unwrap_or(end.at);
            end.confirmed = Some(at.clamp(earliest, self.time.max(earliest)));
            let object = self.store_fault(&object, fault);
            self.step_moved(&object);
        }
    }

    /// Ends one fault, or all and every run of a game day, and audits it.
    pub(super) fn abort_faults(&mut self, abort: &AbortFaults) -> Result<Answer, Rejection> {
        let AbortFaults { id, stop, principal } = abort;
        let key = id.as_ref().map_or_else(Key::chaos_stop, |id| Key::fault(id));
        let result = match id {
            Some(_) => self.find(&key).map(|_| self.abort_fault(&key)),
            None => {
                self.abort_everything(principal);
                Ok(())
            }
        };
        if *stop && result.is_ok() {
            self.pull_lever(principal);
        }
        self.audit(principal, AuditVerb::Update, &key, result)?;
        let after = self.state.get(&key).filter(|_| id.is_some());
        Ok(after.map_or(Answer::Done, |object| Answer::Stored(Arc::clone(object))))
    }

    fn abort_everything(&mut self, principal: &Principal) {
        self.abort_game_days(principal);
        let open: Vec<Key> = self.state.open_faults().map(|object| object.key.clone()).collect();
        open.iter().for_each(|key| self.abort_fault(key));
    }

    /// Asks for the end of a fault. One that its host has not begun, or that the state holds up, is over at once.
    pub(super) fn abort_fault(&mut self, key: &Key) {
        let Some((object, mut fault)) = self.fault_of(key) else { return };
        if !fault.is_wanted() {
            return;
        }
        let by_host = fault.spec.kind.needs_host() && fault.phase != FaultPhase::Pending;
        fault.aborted = Some(self.time);
        self.store_fault(&object, fault);
        if !by_host {
            self.end_fault(key, FaultEndCause::Aborted);
        }
    }

    fn pull_lever(&mut self, principal: &Principal) {
        if self.state.get(&Key::chaos_stop()).is_some() {
            return;
        }
        let stop = ChaosStop { by: principal.clone(), at: self.time };
        let (key, meta) = (Key::chaos_stop(), self.fault_meta(Uid(u128::from(self.next_revision().0))));
        self.store(Object { key, meta, document: Document::default(), status: Status::ChaosStop(stop) });
    }

    /// Faults are taken again, and that is audited.
    pub(super) fn resume_chaos(&mut self, principal: &Principal) -> Result<Answer, Rejection> {
        let key = Key::chaos_stop();
        self.remove(&key);
        self.audit(principal, AuditVerb::Update, &key, Ok(Answer::Done))
    }

    /// Drains a member by an owner's will, or lets go of it, and audits it.
    pub(super) fn drain(&mut self, drain: &Drain) -> Result<Answer, Rejection> {
        let Drain { member, owner, on, principal } = drain;
        let key = Key::cluster(member.as_str());
        let result = match self.state.get(&Key::fault(owner)).and_then(|object| object.fault()) {
            Some(fault) if fault.is_open() => {
                Err(invalid("owner", format!("{owner} is a fault: `muster chaos abort {owner}` ends it")))
            }
            _ => self
                .set_drained(member, owner, *on)
                .map(Answer::Stored)
                .ok_or_else(|| Rejection::NotFound(key.clone())),
        };
        self.audit(principal, AuditVerb::Update, &key, result)
    }

    /// Adds an owner to those who drain a member, or takes it away; the others stay (S11).
    fn set_drained(&mut self, member: &MemberName, owner: &Arc<str>, on: bool) -> Option<Arc<Object>> {
        self.change_member(member, |cluster| {
            let drains = &mut cluster.status.drains;
            match drains.binary_search(owner) {
                Err(at) if on => drains.insert(at, Arc::clone(owner)),
                Ok(_) if !on && muster_model::mutant!(undrain_for_all) => drains.clear(),
                Ok(at) if !on => drop(drains.remove(at)),
                Ok(_) | Err(_) => {}
            }
        })
    }

    /// Says at the member what is done to it.
    fn tell_fault(&mut self, object: &Object, reason: &str) {
        let Some(fault) = object.fault() else { return };
        let Some(member) = fault.spec.target.member() else { return };
        let Some(cluster) = self.state.get(&Key::cluster(member.as_str())).cloned() else { return };
        let (kind, id, owner) = (fault.spec.kind.word(), &object.key.name, fault.owner.text());
        let message = format!("Fault {id}: {kind} by {owner}, until {}", fault.expires);
        self.note(&cluster, reason, &message, EventSeverity::Warning);
    }

    fn fault_of(&self, key: &Key) -> Option<(Arc<Object>, Fault)> {
        let object = self.state.get(key)?;
        Some((Arc::clone(object), object.fault()?.clone()))
    }

    fn store_fault(&mut self, object: &Object, fault: Fault) -> Arc<Object> {
        self.store(Object { status: Status::Fault(Box::new(fault)), ..object.clone() })
    }
}

/// A field that cannot be so, and why.
pub(super) fn invalid(field: &'static str, reason: impl Into<Arc<str>>) -> Rejection {
    Rejection::Invalid { field, reason: reason.into() }
}
