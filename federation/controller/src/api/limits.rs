//! How much the API takes on at a time.

use std::sync::Arc;
use std::time::Duration;

use muster_kubeapi::status::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds of one replica's API.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests in flight; more are answered 429.
    pub requests_max: usize,
    /// Watches and followed logs in flight; more are answered 429.
    pub streams_max: usize,
    /// Commands that run by exec and attach; more are answered 429.
    pub execs_max: usize,
    /// Bytes of a request's body; more are answered 413.
    pub body_max_bytes: usize,
    /// Bytes of a stored document; more are answered 413.
    pub object_max_bytes: usize,
    /// How long a request may take that is not a stream.
    pub request_timeout: Duration,
}

impl Default for Limits {
    /// kube-apiserver's limits where it has them, and room for 1,024 clients with two requests each.
    fn default() -> Limits {
        Limits {
            requests_max: 2_048,
            streams_max: 8_192,
            execs_max: 256,
            body_max_bytes: 3 << 20,
            object_max_bytes: 3 << 19,
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// A place in flight, held until the last clone is dropped.
pub type Ticket = Arc<OwnedSemaphorePermit>;

/// Counts what is in flight.
pub struct Gate {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    execs: Arc<Semaphore>,
}

impl Gate {
    /// A gate with nothing in flight.
    pub fn new(limits: &Limits) -> Gate {
        let places = |count: usize| Arc::new(Semaphore::new(count));
        Gate {
            requests: places(limits.requests_max),
            streams: places(limits.streams_max),
            execs: places(limits.execs_max),
        }
    }

    /// A place for a request.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn request(&self) -> Result<Ticket, Status> {
        enter(&self.requests)
    }

    /// A place for a watch or a followed log.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn stream(&self) -> Result<Ticket, Status> {
        enter(&self.streams)
    }

    /// A place for a command that is run by exec or attach.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn exec(&self) -> Result<Ticket, Status> {
        enter(&self.execs)
    }
}

fn enter(places: &Arc<Semaphore>) -> Result<Ticket, Status> {
    let busy = |_| Status::too_many_requests("too many requests are in flight; try again in a second", 1);
    Arc::clone(places).try_acquire_owned().map(Arc::new).map_err(busy)
}
