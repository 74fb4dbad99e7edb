//! S17: the audit log is gap-free and hash-chained, and each request of a principal that reaches the log has one record,
//! emitted by the entry that carries the request out or refuses it.

use muster_core::{ChainHead, State, audit_link};
use muster_model::{Command, Event};

use super::{Violation, note};

/// Where the chain is.
#[derive(Debug, Default)]
pub struct AuditChain {
    head: ChainHead,
}

impl AuditChain {
    /// An entry brought these events about, and gave this state.
    pub fn after(&mut self, command: &Command, events: &[Event], after: &State, found: &mut Vec<Violation>) {
        let mut records = 0;
        for event in events {
            let Event::Audited(record) = event else { continue };
            records += 1;
            let follows = (self.head.sequence + 1, audit_link(record, self.head.hash));
            if (record.sequence, record.chain) != follows {
                note(found, "S17", format!("audit record {} does not follow", record.sequence));
            }
            self.head = ChainHead { sequence: record.sequence, hash: record.chain };
        }
        if let Some(wanted) = records_of(command).filter(|wanted| *wanted != records) {
            note(found, "S17", format!("an entry has {records} audit records, it is {wanted} requests"));
        }
        if self.head != after.audit() {
            note(found, "S17", "the chain's head in the state is not where the records end".to_owned());
        }
    }
}

/// How many requests of principals an entry is; `None` where that depends on what it finds.
fn records_of(command: &Command) -> Option<usize> {
    match command {
        Command::Put(_) | Command::Delete(_) | Command::Join(_) => Some(1),
        Command::Revoke { .. } | Command::DeclareLost { .. } | Command::Connect(_) => Some(1),
        Command::Tick
        | Command::CommitPlan(_)
        | Command::ReportAttempts { .. }
        | Command::FenceAttempts { .. }
        | Command::ChangeCapacity(_)
        | Command::SetReady { .. }
        | Command::Expire { .. }
        | Command::Collect { .. }
        | Command::Note { .. } => Some(0),
        _ => None,
    }
}
