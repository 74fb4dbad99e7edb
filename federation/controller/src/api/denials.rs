//! Requests that authorization denied: counted by principal, verb and resource, and committed to the audit chain once a
//! second, one record each. Requests without identity are counted and no more: nobody can be named.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use muster_kubeapi::path::Route;
use muster_kubeapi::resource::Verb;
use muster_model::{AuditVerb, Command, Denial, Kind, Principal};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// How long denials alike are counted into one record.
const WINDOW: Duration = Duration::from_secs(1);
/// Different ones in a window; those beyond are counted together.
const DISTINCT_MAX: usize = 1_024;
/// Records of one entry of the log.
const ENTRY_MAX: usize = 256;
/// Characters of a path or a name that are kept.
const TEXT_MAX: usize = 128;

type What = (Principal, AuditVerb, Kind);

/// Denials that are not committed yet, and counters.
#[derive(Default)]
pub struct Denials {
    open: Mutex<BTreeMap<What, u32>>,
    denied: AtomicU64,
    without_identity: AtomicU64,
}

impl Denials {
    /// A request of nobody.
    pub fn nobody(&self) {
        self.without_identity.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests of nobody since the start.
    pub fn without_identity(&self) -> u64 {
        self.without_identity.load(Ordering::Relaxed)
    }

    /// Denied requests since the start.
    pub fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed)
    }

    /// A request that was denied. `route` is none for a path that is no resource.
    pub fn deny(&self, user: &str, route: Option<&Route>, path: &str) {
        self.denied.fetch_add(1, Ordering::Relaxed);
        let (verb, resource) = match route {
            Some(Route::Resource(request)) => (verb_of(request.verb), request.resource.qualified()),
            _ => (AuditVerb::Use, clipped(path)),
        };
        self.add((Principal::new(clipped(user)), verb, Kind::new(resource)), 1);
    }

    fn add(&self, what: What, count: u32) {
        let mut open = self.open.lock();
        let others = || (Principal::new("others"), AuditVerb::Use, Kind::new("others"));
        let what = if open.len() < DISTINCT_MAX || open.contains_key(&what) { what } else { others() };
        let sum = open.entry(what).or_default();
        *sum = sum.saturating_add(count);
    }

    fn take(&self) -> BTreeMap<What, u32> {
        std::mem::take(&mut *self.open.lock())
    }

    /// Commits them, second by second, until it is cancelled.
    pub async fn commit(self: Arc<Self>, hub: Hub, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(WINDOW);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let open: Vec<(What, u32)> = self.take().into_iter().collect();
            for part in open.chunks(ENTRY_MAX) {
                let denial = |((principal, verb, resource), count): &(What, u32)| Denial {
                    principal: principal.clone(),
                    verb: *verb,
                    resource: resource.clone(),
                    count: *count,
                };
                let denials = part.iter().map(denial).collect();
                if let Err(error) = hub.propose(Command::Deny { denials }).await {
                    tracing::warn!(%error, "denied requests are not in the audit log yet");
                    // Unknown may have been done; then they are counted twice rather than not at all.
                    part.iter().for_each(|(what, count)| self.add(what.clone(), *count));
                }
            }
        }
    }
}

fn verb_of(verb: Verb) -> AuditVerb {
    match verb {
        Verb::Get => AuditVerb::Get,
        Verb::List => AuditVerb::List,
        Verb::Watch => AuditVerb::Watch,
        Verb::Create => AuditVerb::Create,
        Verb::Update => AuditVerb::Update,
        Verb::Patch => AuditVerb::Patch,
        Verb::Delete => AuditVerb::Delete,
        Verb::DeleteCollection => AuditVerb::DeleteCollection,
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
