//! Connections to pods: nothing changes but the audit chain.

use std::sync::Arc;

use muster_model::{Answer, Connect, Event, Key};

use super::Step;
use crate::audit::Request;

/// The resource that is connected to. Pods are no objects of the state.
const PODS: &str = "pods";

impl Step<'_> {
    /// Records it.
    pub(super) fn connect(&mut self, connect: &Connect) -> Answer {
        let request = Request {
            principal: &connect.principal,
            verb: connect.verb,
            key: &Key::new(PODS, &connect.namespace, &connect.pod),
            uid: None,
            refused: None,
            denied: 0,
            detail: Arc::clone(&connect.detail),
        };
        let record = self.state.audit.append(request, self.time, self.state.revision);
        self.events.push(Event::Audited(record));
        Answer::Done
    }
}
