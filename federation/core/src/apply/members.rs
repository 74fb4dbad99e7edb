//! Members join, report what they have, come and go.

use std::sync::Arc;

use muster_model::{
    Answer, AuditVerb, CapacityChange, Cluster, ClusterStatus, EventSeverity, Join, Key, MemberName, Meta,
    Nodes, Object, Principal, Readiness, Rejection, Revision, Status, TimeMs, kinds,
};

use super::Step;
use super::plan::recount;

/// The member that a `Cluster` object names.
pub(super) fn name_of(key: &Key) -> MemberName {
    MemberName(Arc::clone(&key.name))
}

impl Step<'_> {
    /// Consumes a token and admits the member. Certificates issued before are refused from now on.
    pub(super) fn join(&mut self, join: &Join) -> Result<Answer, Rejection> {
        let principal = Principal::new(format!("system:member:{}", join.member));
        let key = Key::cluster(join.member.as_str());
        let taken = self.take_token(join);
        self.audit(&principal, AuditVerb::Join, &key, taken)?;
        if self.state.get(&key).is_none() {
            self.make_cluster(join, key.clone());
        }
        let now = self.time;
        let object = self.change_member(&join.member, |cluster| {
            cluster.status.joined_at = Some(now);
            // Never earlier: whoever signed this one may have a slow clock, and what was revoked stays revoked (S20).
            let from = &mut cluster.status.certificates_from;
            *from = join.certificate_from.max(*from);
        });
        let object = object.ok_or(Rejection::NotFound(key))?;
        self.note(&object, "Joined", "An agent joined under this name", EventSeverity::Normal);
        Ok(Answer::Stored(object))
    }

    /// A token is good once, for one name, for a while.
    fn take_token(&mut self, join: &Join) -> Result<(), Rejection> {
        let key = Key::new(kinds::JOIN_TOKEN, "", &format!("{:032x}", join.token.0));
        let refused = Rejection::TokenRefused;
        // One that has expired is removed sooner or later, so that it cannot be told from one that never was.
        let unknown = refused("it is unknown, was used already, or has expired");
        let object = self.state.get(&key).cloned().ok_or(unknown)?;
        let Status::JoinToken(token) = &object.status else { return Err(refused("it is not a join token")) };
        if token.expires <= self.time {
            return Err(refused("it has expired; ask for a new one with `muster cluster join NAME`"));
        }
        if token.member != join.member {
            return Err(refused("it was made for another member"));
        }
        self.remove(&key);
        Ok(())
    }

    fn make_cluster(&mut self, join: &Join, key: Key) {
        let meta = Meta {
            uid: join.uid,
            created: self.time,
            generation: 1,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        };
        let cluster = Cluster { spec: join.spec.clone(), status: ClusterStatus::default() };
        let status = Status::Cluster(Box::new(cluster));
        self.store(Object { key, meta, document: join.document.clone(), status });
    }

    /// Takes what a member has. Claims that no longer fit are kept and remembered.
    pub(super) fn change_capacity(&mut self, change: &CapacityChange) -> Result<Answer, Rejection> {
        let key = Key::cluster(change.member.as_str());
        let object = self.find(&key)?;
        if object.cluster().is_none_or(|cluster| cluster.status.joined_at.is_none()) {
            return Err(Rejection::Invalid { field: "member", reason: "has not joined".into() });
        }
        let held = self.held_on(&change.member);
        let object = self.change_member(&change.member, |cluster| {
            let status = &mut cluster.status;
            status.incarnation = Some(change.incarnation.clone());
            status.agent_version = Arc::clone(&change.agent_version);
            status.gpu_source = change.gpu_source;
            status.can_fence = change.can_fence;
            if status.nodes.shapes != change.shapes {
                status.nodes = Nodes::new(change.shapes.clone());
                recount(status, &held);
            }
        });
        object.map(Answer::Stored).ok_or(Rejection::NotFound(key))
    }

    /// A member's lease lapsed, or contact is back.
    pub(super) fn set_ready(&mut self, member: &MemberName, ready: bool) -> Result<Answer, Rejection> {
        let now = self.time;
        let before = self.find(&Key::cluster(member.as_str()))?;
        let object = self.change_member(member, |cluster| {
            let is_ready = matches!(cluster.status.ready, Readiness::Ready { .. });
            if is_ready != ready || cluster.status.ready == Readiness::Unknown {
                cluster.status.ready =
                    if ready { Readiness::Ready { since: now } } else { Readiness::Lapsed { since: now } };
            }
        });
        let object = object.ok_or_else(|| Rejection::NotFound(Key::cluster(member.as_str())))?;
        if before.meta.revision != object.meta.revision {
            self.tell_readiness(&object, ready);
        }
        Ok(Answer::Stored(object))
    }

    fn tell_readiness(&mut self, object: &Object, ready: bool) {
        if ready {
            self.note(object, "Ready", "The member is in contact", EventSeverity::Normal);
        } else {
            let message =
                "The member is out of contact; what runs there is left to each job's partitionPolicy";
            self.note(object, "Lapsed", message, EventSeverity::Warning);
        }
    }

    /// Refuses every certificate of the member issued until now. Certificates tell whole seconds, so the next one counts.
    pub(super) fn revoke(&mut self, member: &MemberName, principal: &Principal) -> Result<Answer, Rejection> {
        let key = Key::cluster(member.as_str());
        let from = TimeMs((self.time.0 / 1000 + 1) * 1000);
        let object = self
            .change_member(member, |cluster| cluster.status.certificates_from = from)
            .ok_or_else(|| Rejection::NotFound(key.clone()));
        let object = self.audit(principal, AuditVerb::Revoke, &key, object)?;
        self.note(
            &object,
            "Revoked",
            "All certificates of the member are refused from now on",
            EventSeverity::Warning,
        );
        Ok(Answer::Stored(object))
    }
}
