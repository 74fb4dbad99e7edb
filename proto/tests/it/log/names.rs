//! Names of golden files.

use muster_model::*;

/// Of a command.
pub fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Tick => "tick",
        Command::Put(_) => "put",
        Command::Delete(_) => "delete",
        Command::CommitPlan(_) => "commit-plan",
        Command::ReportAttempts { .. } => "report-attempts",
        Command::FenceAttempts { .. } => "fence-attempts",
        Command::Join(_) => "join",
        Command::ChangeCapacity(_) => "change-capacity",
        Command::SetReady { .. } => "set-ready",
        Command::Revoke { .. } => "revoke",
        Command::DeclareLost { .. } => "declare-lost",
        Command::Expire { .. } => "expire",
        Command::Collect { .. } => "collect",
        Command::Note { .. } => "note",
        Command::Deny { .. } => "deny",
        Command::Connect(_) => "connect",
        Command::ReportData(_) => "report-data",
        Command::Burst(command) => super::burst_samples::name(command),
        Command::StartFault(_) => "start-fault",
        Command::ReportFault(_) => "report-fault",
        Command::AbortFaults(_) => "abort-faults",
        Command::ResumeChaos(_) => "resume-chaos",
        Command::Drain(_) => "drain",
        Command::StartGameDay(_) => "start-game-day",
        Command::ProbeGameDay(_) => "probe-game-day",
        Command::StopGameDay(_) => "stop-game-day",
        Command::ApproveGameDay(_) => "approve-game-day",
        Command::SkipGameDay(_) => "skip-game-day",
    }
}

/// Of a spec.
pub fn spec_name(spec: &Spec) -> &'static str {
    match spec {
        Spec::Opaque => "opaque",
        Spec::Namespace(_) => "namespace",
        Spec::Job(_) => "job",
        Spec::Cluster(_) => "cluster",
        Spec::Placement(_) => "placement",
        Spec::Dataset(_) => "dataset",
        Spec::PriceBook(_) => "price-book",
        Spec::JoinToken(_) => "join-token",
        Spec::Credential(_) => "credential",
        Spec::GameDay(_) => "game-day",
        Spec::BurstPool(_) => "burst-pool",
    }
}

/// Of a status.
pub fn status_name(status: &Status) -> &'static str {
    match status {
        Status::Opaque => "opaque",
        Status::Namespace(_) => "namespace",
        Status::Job(_) => "job",
        Status::Cluster(_) => "cluster",
        Status::Placement(_) => "placement",
        Status::Dataset(_) => "dataset",
        Status::Transfer(_) => "transfer",
        Status::PriceBook(_) => "price-book",
        Status::Event(_) => "event",
        Status::Run(_) => "run",
        Status::JoinToken(_) => "join-token",
        Status::Credential(_) => "credential",
        Status::Fault(_) => "fault",
        Status::ChaosStop(_) => "chaos-stop",
        Status::GameDay(_) => "game-day",
        Status::BurstPool(_) => "burst-pool",
    }
}
