//! An object: what the user gave, what the hub decides on, and what became of it.

use std::sync::Arc;

use crate::{
    BurstPool, BurstPoolSpec, Cluster, ClusterSpec, CostLine, Dataset, DatasetSpec, Document, DocumentHash,
    Epoch, Fault, GameDay, GameDaySpec, Job, JobSpec, Key, MemberName, Meta, MicroUsd, PlacementSpec,
    PriceBookSpec, Principal, TimeMs, Transfer, Uid,
};

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Its name.
    pub key: Key,
    /// What the hub decides on in any object.
    pub meta: Meta,
    /// What the user gave.
    pub document: Document,
    /// What is decided on and what is known, by kind. The API's `status` is rendered from it, never stored twice.
    pub status: Status,
}

/// What the edge read from a document: the part of an object that the hub decides on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Spec {
    /// A kind that the core does not look into.
    Opaque,
    /// A tenant.
    Namespace(NamespaceSpec),
    /// A job.
    Job(Arc<JobSpec>),
    /// A member.
    Cluster(ClusterSpec),
    /// Options of jobs.
    Placement(Arc<PlacementSpec>),
    /// A dataset.
    Dataset(Arc<DatasetSpec>),
    /// Prices.
    PriceBook(Arc<PriceBookSpec>),
    /// A join token.
    JoinToken(JoinTokenSpec),
    /// A bearer token.
    Credential(CredentialSpec),
    /// A burst pool.
    BurstPool(Arc<BurstPoolSpec>),
    /// A game day.
    GameDay(Arc<GameDaySpec>),
}

/// What the hub holds of an object by kind: the spec as the edge read it, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// A kind that the core does not look into.
    Opaque,
    /// A tenant.
    Namespace(NamespaceSpec),
    /// A job.
    Job(Box<Job>),
    /// A member.
    Cluster(Box<Cluster>),
    /// Options of jobs.
    Placement(Arc<PlacementSpec>),
    /// A dataset.
    Dataset(Arc<Dataset>),
    /// Prices.
    PriceBook(Arc<PriceBookSpec>),
    /// What happened to an object; made by apply, without a document.
    Event(Box<EventSpec>),
    /// One attempt of a job; made by apply, without a document.
    Run(Box<Run>),
    /// A join token.
    JoinToken(JoinTokenSpec),
    /// A bearer token.
    Credential(CredentialSpec),
    /// A burst pool.
    BurstPool(Box<BurstPool>),
    /// An injected fault; made by apply, without a document.
    Fault(Box<Fault>),
    /// The lever that stops all chaos; made by apply, without a document.
    ChaosStop(ChaosStop),
    /// A game day.
    GameDay(Box<GameDay>),
    /// Bytes of a dataset on their way; made by apply, without a document.
    Transfer(Arc<Transfer>),
}

impl Object {
    /// The job, if it is one.
    pub fn job(&self) -> Option<&Job> {
        match &self.status {
            Status::Job(job) => Some(job),
            _ => None,
        }
    }

    /// The member, if it is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.status {
            Status::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// The dataset, if it is one.
    pub fn dataset(&self) -> Option<&Arc<Dataset>> {
        match &self.status {
            Status::Dataset(dataset) => Some(dataset),
            _ => None,
        }
    }

    /// The transfer, if it is one.
    pub fn transfer(&self) -> Option<&Arc<Transfer>> {
        match &self.status {
            Status::Transfer(transfer) => Some(transfer),
            _ => None,
        }
    }

    /// The burst pool, if it is one.
    pub fn burst_pool(&self) -> Option<&BurstPool> {
        match &self.status {
            Status::BurstPool(pool) => Some(pool),
            _ => None,
        }
    }
}

impl Object {
    /// The fault, if it is one.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.status {
            Status::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    /// The game day, if it is one.
    pub fn game_day(&self) -> Option<&GameDay> {
        match &self.status {
            Status::GameDay(day) => Some(day),
            _ => None,
        }
    }
}

/// No fault may be injected until this is taken away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChaosStop {
    /// Who said so.
    pub by: Principal,
    /// When.
    pub at: TimeMs,
}

/// What the hub decides on in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NamespaceSpec {
    /// What an hour of waiting is worth to this tenant; annotation `muster.sh/wait-cost-per-hour`.
    pub wait_cost_per_hour: MicroUsd,
}

/// A join token: one use, one name, a short life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JoinTokenSpec {
    /// Hash of the secret.
    pub hash: DocumentHash,
    /// The member it admits.
    pub member: MemberName,
    /// When it lapses.
    pub expires: TimeMs,
}

/// A bearer token of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialSpec {
    /// Hash of the secret.
    pub hash: DocumentHash,
    /// The user it stands for.
    pub user: Arc<str>,
    /// The user's groups.
    pub groups: Vec<Arc<str>>,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventSeverity {
    /// As it should be.
    Normal,
    /// Someone should look.
    Warning,
}

/// What happened to an object, told to people. Kubernetes' `Event`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventSpec {
    /// What it is about.
    pub involved: Key,
    /// Its uid.
    pub involved_uid: Uid,
    /// One word: `Queued`, `Placed`, `Started`, `Completed`, `Failed`, ...
    pub reason: Arc<str>,
    /// One sentence.
    pub message: Arc<str>,
    /// How grave it is.
    pub severity: EventSeverity,
    /// How often it happened.
    pub count: u32,
    /// When it happened first.
    pub first: TimeMs,
    /// When it happened last.
    pub last: TimeMs,
    /// Who says so: `muster`, or `member NAME`.
    pub source: Arc<str>,
}

/// One attempt of a job, for people and books. Kept while the job is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The job.
    pub job: Key,
    /// Its uid.
    pub job_uid: Uid,
    /// The epoch.
    pub epoch: Epoch,
    /// The member.
    pub cluster: MemberName,
    /// How it stands.
    pub phase: RunPhase,
    /// When it was granted.
    pub start: TimeMs,
    /// When it ended.
    pub end: Option<TimeMs>,
    /// The exit code that decided it.
    pub exit_code: Option<i32>,
    /// What it cost, by line; while it runs the one-off lines only.
    pub cost: Vec<CostLine>,
    /// GPU-milliseconds of work lost when it did not end by itself.
    pub lost_gpu_ms: u64,
}

/// How an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunPhase {
    /// Granted, not reported.
    Granted,
    /// Runs.
    Running,
    /// Completed.
    Succeeded,
    /// Failed.
    Failed,
    /// Stopped by the hub or with its member.
    Stopped,
    /// Ended by its fence deadline.
    Fenced,
    /// Declared or reported lost.
    Lost,
}
