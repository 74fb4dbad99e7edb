//! Our own clients, for what `hey` cannot do: bodies that differ, and runs without Go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::endpoint::{Connection, Endpoint, JSON};

/// How much to send.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Clients at a time, over one connection as `hey -h2` does it.
    pub clients: usize,
    /// When to end.
    pub until: Until,
}

/// When to end.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many requests.
    Requests(u64),
    /// After so long.
    Elapsed(Duration),
}

/// The body of the nth request.
pub type Bodies = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// The nth request.
pub type Requests = Arc<dyn Fn(u64) -> Asked + Send + Sync>;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its verb.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its body, JSON.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Of the whole load.
    pub seconds: f64,
    /// Of each answer.
    pub latencies_ms: Vec<f64>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer.
    pub errors: u64,
}

impl Answers {
    /// How many answers have this status.
    pub fn of(&self, status: StatusCode) -> u64 {
        self.statuses.get(&status.as_u16()).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Answers) {
        self.latencies_ms.extend(other.latencies_ms);
        self.errors += other.errors;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }
}

/// POSTs to a collection.
pub async fn post(
    endpoint: &Endpoint,
    path: &str,
    load: Load,
    bodies: &Bodies,
    bar: &ProgressBar,
) -> anyhow::Result<Answers> {
    let (path, bodies) = (path.to_owned(), Arc::clone(bodies));
    let asked = move |number| Asked { method: Method::POST, path: path.clone(), body: bodies(number) };
    send(endpoint, load, &(Arc::new(asked) as Requests), bar).await
}

/// Sends requests of any kind.
pub async fn send(
    endpoint: &Endpoint,
    load: Load,
    requests: &Requests,
    bar: &ProgressBar,
) -> anyhow::Result<Answers> {
    let connection = endpoint.connect().await?;
    let start = Instant::now();
    let stop = Arc::new(Stop { next: AtomicU64::new(0), until: load.until, start });
    let mut clients = JoinSet::new();
    for _ in 0..load.clients {
        let client = Client { connection: connection.clone(), requests: Arc::clone(requests) };
        clients.spawn(client.run(Arc::clone(&stop), bar.clone()));
    }
    let mut all = Answers::default();
    while let Some(answers) = clients.join_next().await {
        all.add(answers?);
    }
    all.seconds = start.elapsed().as_secs_f64();
    Ok(all)
}

struct Stop {
    next: AtomicU64,
    until: Until,
    start: Instant,
}

impl Stop {
    /// The number of the next request, if there is one.
    fn next(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let more = match self.until {
            Until::Requests(count) => number < count,
            Until::Elapsed(limit) => self.start.elapsed() < limit,
        };
        more.then_some(number)
    }
}

struct Client {
    connection: Connection,
    requests: Requests,
}

impl Client {
    async fn run(mut self, stop: Arc<Stop>, bar: ProgressBar) -> Answers {
        let mut answers = Answers::default();
        while let Some(number) = stop.next() {
            let start = Instant::now();
            let asked = (self.requests)(number);
            let Ok(answer) = self.connection.ask(asked.method, &asked.path, JSON, asked.body).await else {
                // The connection is gone, and with it the other clients'.
                answers.errors += 1;
                break;
            };
            answers.latencies_ms.push(start.elapsed().as_secs_f64() * 1000.0);
            *answers.statuses.entry(answer.status.as_u16()).or_default() += 1;
            bar.inc(1);
        }
        answers
    }
}
