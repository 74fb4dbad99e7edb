//! A job's own record of when it lived: what no report can embellish.
//!
//! ```text
//! FILE   EPOCH LIFE NANOSECONDS   one line about every 50 ms, as long as the script runs
//!        EPOCH LIFE end           its own end
//! ```
//!
//! A *life* is one run of the script. Lines are appended in one write each, so two lives never tear each other's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What one job wrote.
pub struct Witness {
    file: PathBuf,
}

/// How long a job's script goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Until it is stopped.
    Endless,
    /// Until it is killed: it does not listen to SIGTERM.
    Stubborn,
    /// About so many times 50 ms; then it ends by itself.
    Beats(u32),
}

/// One run of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The epoch it was given.
    pub epoch: u64,
    /// First sign of life, Unix time.
    pub first_ms: u64,
    /// Last one.
    pub last_ms: u64,
    /// Whether it came to its own end.
    pub ended: bool,
}

impl Witness {
    /// Of a job of this name, in a folder.
    pub fn new(folder: &Path, job: &str) -> Witness {
        Witness { file: folder.join(format!("{job}.witness")) }
    }

    /// The shell script that writes it.
    pub fn script(&self, script: Script) -> String {
        let say = |what: &str| format!("echo \"$MUSTER_EPOCH $life {what}\" >> {}", self.file.display());
        let beat = format!("{}; sleep 0.05", say("$(date +%s%N)"));
        match script {
            Script::Endless => format!("life=$(date +%s%N); while :; do {beat}; done"),
            Script::Stubborn => format!("trap '' TERM; life=$(date +%s%N); while :; do {beat}; done"),
            Script::Beats(count) => {
                let end = say("end");
                format!("life=$(date +%s%N); for i in $(seq {count}); do {beat}; done; {end}")
            }
        }
    }

    /// All lives, in the order in which they began.
    pub fn lives(&self) -> Vec<Life> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut lives: BTreeMap<u64, Life> = BTreeMap::new();
        // The last line may be in the making.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let (epoch, life, what) = parsed(line);
            let found = lives.entry(life).or_insert(Life {
                epoch,
                first_ms: life / 1_000_000,
                last_ms: life / 1_000_000,
                ended: false,
            });
            match what {
                None => found.ended = true,
                Some(nanos) => found.last_ms = found.last_ms.max(nanos / 1_000_000),
            }
        }
        lives.into_values().collect()
    }

    /// Epochs that ran, in the order in which they began.
    pub fn epochs(&self) -> Vec<u64> {
        let mut epochs: Vec<u64> = self.lives().iter().map(|life| life.epoch).collect();
        epochs.dedup();
        epochs
    }

    /// Whether its newest life gave a sign within the last second.
    pub fn is_alive(&self) -> bool {
        self.lives().iter().any(|life| life.last_ms + 1_000 > now_ms())
    }

    /// Panics if two lives overlap: the promise that a job runs once at a time (S4).
    pub fn assert_alone(&self) {
        let lives = self.lives();
        for pair in lives.windows(2) {
            assert!(pair[0].last_ms < pair[1].first_ms, "two at once: {pair:?}");
        }
    }
}

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(since.as_millis()).expect("far below 2^64")
}

fn parsed(line: &str) -> (u64, u64, Option<u64>) {
    let mut words = line.split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse().ok());
    let (epoch, life) = (number().expect("an epoch"), number().expect("a life"));
    (epoch, life, number())
}
