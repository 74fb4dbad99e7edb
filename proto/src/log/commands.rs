//! Commands.

use muster_model::{
    Assignment, AuditVerb, CapacityChange, Command, Connect, Delete, Denial, Document, Eviction, FenceReason,
    Join, Key, Plan, Precondition, Propagation, Put, PutMode, Spec, Uid,
};

use super::FieldError;
use super::durable::{Durable, message, value};
use super::pb::{self, entry, put, spec};

durable_enums! {
    Propagation { Background, Foreground, Orphan }
    FenceReason { DeadlinePassed, DuplicateOk }
    AuditVerb {
        Create, Update, Delete, Revoke, DeclareLost, Join, Patch, DeleteCollection, Get, List, Watch, Use, Exec,
        Attach,
    }
}

durable_structs! {
    Document => Document { metadata: metadata, body: body }
    Precondition => Precondition { revision: revision, uid: uid }
    Delete => Delete {
        key: key required,
        precondition: precondition required,
        propagation: propagation,
        grace_s: grace_s,
        principal: principal,
    }
    Connect => Connect { principal: principal, verb: verb, namespace: namespace, pod: pod, detail: detail }
    Denial => Denial { principal: principal, verb: verb, resource: resource, count: count }
    Plan => Plan { based_on: based_on_revision, assignments: assignments, evictions: evictions }
    Eviction => Eviction { job: job required, epoch: epoch, message: message }
    Join => Join {
        token: token,
        member: member,
        certificate_from: certificate_from_ms,
        uid: uid,
        spec: spec required,
        document: document required,
    }
    CapacityChange => CapacityChange {
        member: member,
        incarnation: incarnation required,
        shapes: shapes,
        agent_version: agent_version,
        gpu_source: gpu_source,
        can_fence: can_fence,
    }
}

impl Durable for (Key, Uid, Assignment) {
    type Form = pb::JobAssignment;

    fn form(&self) -> pb::JobAssignment {
        let (job, uid, assignment) = self;
        pb::JobAssignment { job: Some(job.form()), uid: uid.form(), assignment: Some(assignment.form()) }
    }

    fn read(form: pb::JobAssignment) -> Result<Self, FieldError> {
        Ok((message("job", form.job)?, value("uid", form.uid)?, message("assignment", form.assignment)?))
    }
}

impl Durable for Put {
    type Form = pb::Put;

    fn form(&self) -> pb::Put {
        let mode = match &self.mode {
            PutMode::Create { uid } => put::Mode::Create(put::Create { uid: uid.form() }),
            PutMode::Replace(precondition) => put::Mode::Replace(precondition.form()),
        };
        pb::Put {
            key: Some(self.key.form()),
            spec: Some(self.spec.form()),
            typed_version: self.typed_version.form(),
            document: Some(self.document.form()),
            finalizers: self.finalizers.form(),
            owners: self.owners.form(),
            principal: self.principal.form(),
            idempotency: self.idempotency.form(),
            mode: Some(mode),
        }
    }

    fn read(form: pb::Put) -> Result<Put, FieldError> {
        let mode = match form.mode.ok_or_else(|| FieldError::missing("mode"))? {
            put::Mode::Create(create) => PutMode::Create { uid: value("create.uid", create.uid)? },
            put::Mode::Replace(precondition) => PutMode::Replace(value("replace", precondition)?),
        };
        Ok(Put {
            key: message("key", form.key)?,
            mode,
            spec: message("spec", form.spec)?,
            typed_version: value("typed_version", form.typed_version)?,
            document: message("document", form.document)?,
            finalizers: value("finalizers", form.finalizers)?,
            owners: value("owners", form.owners)?,
            principal: value("principal", form.principal)?,
            idempotency: value("idempotency", form.idempotency)?,
        })
    }
}

impl Durable for Spec {
    type Form = pb::Spec;

    fn form(&self) -> pb::Spec {
        let spec = match self {
            Spec::Opaque => spec::Spec::Opaque(pb::Opaque {}),
            Spec::Namespace(spec) => spec::Spec::Namespace(spec.form()),
            Spec::Job(spec) => spec::Spec::Job(spec.form()),
            Spec::Cluster(spec) => spec::Spec::Cluster(spec.form()),
            Spec::Placement(spec) => spec::Spec::Placement(spec.form()),
            Spec::Dataset(spec) => spec::Spec::Dataset(spec.form()),
            Spec::PriceBook(spec) => spec::Spec::PriceBook(spec.form()),
            Spec::JoinToken(spec) => spec::Spec::JoinToken(spec.form()),
            Spec::Credential(spec) => spec::Spec::Credential(spec.form()),
            Spec::BurstPool(spec) => spec::Spec::BurstPool(spec.form()),
            Spec::GameDay(spec) => spec::Spec::GameDay(spec.form()),
        };
        pb::Spec { spec: Some(spec) }
    }

    fn read(form: pb::Spec) -> Result<Spec, FieldError> {
        Ok(match form.spec.ok_or_else(|| FieldError::missing("spec"))? {
            spec::Spec::Opaque(pb::Opaque {}) => Spec::Opaque,
            spec::Spec::Namespace(spec) => Spec::Namespace(value("namespace", spec)?),
            spec::Spec::Job(spec) => Spec::Job(value("job", spec)?),
            spec::Spec::Cluster(spec) => Spec::Cluster(value("cluster", spec)?),
            spec::Spec::Placement(spec) => Spec::Placement(value("placement", spec)?),
            spec::Spec::Dataset(spec) => Spec::Dataset(value("dataset", spec)?),
            spec::Spec::PriceBook(spec) => Spec::PriceBook(value("price_book", spec)?),
            spec::Spec::JoinToken(spec) => Spec::JoinToken(value("join_token", spec)?),
            spec::Spec::Credential(spec) => Spec::Credential(value("credential", spec)?),
            spec::Spec::BurstPool(spec) => Spec::BurstPool(value("burst_pool", spec)?),
            spec::Spec::GameDay(spec) => Spec::GameDay(value("game_day", spec)?),
        })
    }
}

impl Durable for Command {
    type Form = entry::Command;

    fn form(&self) -> entry::Command {
        match self {
            Command::Tick => entry::Command::Tick(pb::Tick {}),
            Command::Put(put) => entry::Command::Put(put.form()),
            Command::Delete(delete) => entry::Command::Delete(delete.form()),
            Command::CommitPlan(plan) => entry::Command::CommitPlan(plan.form()),
            Command::ReportAttempts { member, incarnation, reports } => {
                entry::Command::ReportAttempts(pb::ReportAttempts {
                    member: member.form(),
                    incarnation: Some(incarnation.form()),
                    reports: reports.form(),
                })
            }
            Command::FenceAttempts { member, attempts, reason } => {
                entry::Command::FenceAttempts(pb::FenceAttempts {
                    member: member.form(),
                    attempts: attempts.form(),
                    reason: reason.form(),
                })
            }
            Command::Join(join) => entry::Command::Join(join.form()),
            Command::ChangeCapacity(change) => entry::Command::ChangeCapacity(change.form()),
            Command::SetReady { member, ready } => {
                entry::Command::SetReady(pb::SetReady { member: member.form(), ready: *ready })
            }
            Command::Revoke { member, principal } => {
                entry::Command::Revoke(pb::Revoke { member: member.form(), principal: principal.form() })
            }
            Command::DeclareLost { member, principal } => entry::Command::DeclareLost(pb::DeclareLost {
                member: member.form(),
                principal: principal.form(),
            }),
            Command::Expire { limit } => entry::Command::Expire(pb::Expire { limit: *limit }),
            Command::Collect { limit } => entry::Command::Collect(pb::Collect { limit: *limit }),
            Command::Note { involved, reason, message, severity, source } => entry::Command::Note(pb::Note {
                involved: Some(involved.form()),
                reason: reason.form(),
                message: message.form(),
                severity: severity.form(),
                source: source.form(),
            }),
            Command::Connect(connect) => entry::Command::Connect(connect.form()),
            Command::Deny { denials } => entry::Command::Deny(pb::Deny { denials: denials.form() }),
            Command::Burst(command) => entry::Command::Burst(command.form()),
            Command::StartFault(one) => entry::Command::StartFault(one.form()),
            Command::ReportFault(one) => entry::Command::ReportFault(one.form()),
            Command::AbortFaults(one) => entry::Command::AbortFaults(one.form()),
            Command::ResumeChaos(one) => entry::Command::ResumeChaos(one.form()),
            Command::Drain(one) => entry::Command::Drain(one.form()),
            Command::StartGameDay(one) => entry::Command::StartGameDay(one.form()),
            Command::ProbeGameDay(one) => entry::Command::ProbeGameDay(one.form()),
            Command::StopGameDay(one) => entry::Command::StopGameDay(one.form()),
            Command::ApproveGameDay(one) => entry::Command::ApproveGameDay(one.form()),
            Command::SkipGameDay(one) => entry::Command::SkipGameDay(one.form()),
            Command::ReportData(one) => entry::Command::ReportData(one.form()),
        }
    }

    fn read(form: entry::Command) -> Result<Command, FieldError> {
        Ok(match form {
            entry::Command::Tick(pb::Tick {}) => Command::Tick,
            entry::Command::Put(put) => Command::Put(value("put", put)?),
            entry::Command::Delete(delete) => Command::Delete(value("delete", delete)?),
            entry::Command::CommitPlan(plan) => Command::CommitPlan(value("commit_plan", plan)?),
            entry::Command::ReportAttempts(form) => {
                read_report(form).map_err(|e| e.inside("report_attempts"))?
            }
            entry::Command::FenceAttempts(form) => {
                read_fence(form).map_err(|e| e.inside("fence_attempts"))?
            }
            entry::Command::Join(join) => Command::Join(value("join", join)?),
            entry::Command::ChangeCapacity(change) => {
                Command::ChangeCapacity(value("change_capacity", change)?)
            }
            entry::Command::SetReady(form) => {
                Command::SetReady { member: value("member", form.member)?, ready: form.ready }
            }
            entry::Command::Revoke(form) => Command::Revoke {
                member: value("member", form.member)?,
                principal: value("principal", form.principal)?,
            },
            entry::Command::DeclareLost(form) => Command::DeclareLost {
                member: value("member", form.member)?,
                principal: value("principal", form.principal)?,
            },
            entry::Command::Expire(form) => Command::Expire { limit: form.limit },
            entry::Command::Collect(form) => Command::Collect { limit: form.limit },
            entry::Command::Note(form) => read_note(form).map_err(|e| e.inside("note"))?,
            entry::Command::Connect(form) => Command::Connect(value("connect", form)?),
            entry::Command::Deny(form) => Command::Deny { denials: value("deny.denials", form.denials)? },
            entry::Command::Burst(command) => Command::Burst(value("burst", command)?),
            entry::Command::StartFault(one) => Command::StartFault(value("start_fault", one)?),
            entry::Command::ReportFault(one) => Command::ReportFault(value("report_fault", one)?),
            entry::Command::AbortFaults(one) => Command::AbortFaults(value("abort_faults", one)?),
            entry::Command::ResumeChaos(one) => Command::ResumeChaos(value("resume_chaos", one)?),
            entry::Command::Drain(one) => Command::Drain(value("drain", one)?),
            entry::Command::StartGameDay(one) => Command::StartGameDay(value("start_game_day", one)?),
            entry::Command::ProbeGameDay(one) => Command::ProbeGameDay(value("probe_game_day", one)?),
            entry::Command::StopGameDay(one) => Command::StopGameDay(value("stop_game_day", one)?),
            entry::Command::ApproveGameDay(one) => Command::ApproveGameDay(value("approve_game_day", one)?),
            entry::Command::SkipGameDay(one) => Command::SkipGameDay(value("skip_game_day", one)?),
            entry::Command::ReportData(one) => Command::ReportData(value("report_data", one)?),
        })
    }
}

fn read_report(form: pb::ReportAttempts) -> Result<Command, FieldError> {
    Ok(Command::ReportAttempts {
        member: value("member", form.member)?,
        incarnation: message("incarnation", form.incarnation)?,
        reports: value("reports", form.reports)?,
    })
}

fn read_fence(form: pb::FenceAttempts) -> Result<Command, FieldError> {
    Ok(Command::FenceAttempts {
        member: value("member", form.member)?,
        attempts: value("attempts", form.attempts)?,
        reason: value("reason", form.reason)?,
    })
}

fn read_note(form: pb::Note) -> Result<Command, FieldError> {
    Ok(Command::Note {
        involved: message("involved", form.involved)?,
        reason: form.reason.into(),
        message: form.message.into(),
        severity: value("severity", form.severity)?,
        source: form.source.into(),
    })
}
