//! Requests that authorization denied: nothing changes but the audit chain.

use std::sync::Arc;

use muster_model::{Answer, Denial, Event, Key};

use super::Step;
use crate::audit::Request;

/// What the record of a denied request says.
const DENIED: &str = "denied by authorization";

impl Step<'_> {
    /// Records them, one record each.
    pub(super) fn deny(&mut self, denials: &[Denial]) -> Answer {
        for denial in denials {
            let key = Key { kind: denial.resource.clone(), namespace: "".into(), name: "".into() };
            let request = Request {
                principal: &denial.principal,
                verb: denial.verb,
                key: &key,
                uid: None,
                refused: Some(Arc::from(DENIED)),
                denied: denial.count,
                detail: "".into(),
            };
            let record = self.state.audit.append(request, self.time, self.state.revision);
            self.events.push(Event::Audited(record));
        }
        Answer::Done
    }
}
