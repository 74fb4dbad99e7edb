//! `hey`, the load generator that people know, and what its summary says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::endpoint::Endpoint;

/// What hey found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Of the whole load.
    pub seconds: f64,
    /// Half of the answers took no longer.
    pub p50_ms: f64,
    /// All but one in a hundred took no longer.
    pub p99_ms: f64,
    /// Answers by status.
    pub statuses: Vec<(u16, u64)>,
    /// Requests without an answer.
    pub errors: u64,
}

/// POSTs a file to a collection over HTTP/2 for a while.
pub fn post(
    hey: &Path,
    endpoint: &Endpoint,
    path: &str,
    (clients, duration): (usize, Duration),
    body: &Path,
) -> anyhow::Result<Found> {
    let output = Command::new(hey)
        .args(["-h2", "-m", "POST", "-T", "application/json", "-A", "application/json", "-D"])
        .arg(body)
        // Without it hey names `host:port` as the TLS server name, which RFC 6066 forbids and rustls refuses.
        .args(["-host", endpoint.host()])
        .args(["-c", &clients.to_string(), "-z", &format!("{}ms", duration.as_millis())])
        .args(["-H", &format!("Authorization: Bearer {}", endpoint.token())])
        .arg(format!("{}{path}", endpoint.url()))
        .output()
        .with_context(|| format!("cannot start {}", hey.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("hey failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Found::parse(&text).with_context(|| format!("hey's summary cannot be read:\n{text}"))
}

impl Found {
    fn parse(text: &str) -> Option<Found> {
        let mut found = Found::default();
        let mut section = "";
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["Status", "code", "distribution:"] => section = "status",
                ["Error", "distribution:"] => section = "error",
                ["Total:", seconds, "secs"] => found.seconds = seconds.parse().ok()?,
                ["50%" | "50%%", "in", seconds, "secs"] => found.p50_ms = milliseconds(seconds)?,
                ["99%" | "99%%", "in", seconds, "secs"] => found.p99_ms = milliseconds(seconds)?,
                [status, count, "responses"] if section == "status" => {
                    found.statuses.push((bracketed(status)?, count.parse().ok()?));
                }
                [count, ..] if section == "error" && count.starts_with('[') => {
                    found.errors += bracketed::<u64>(count)?
                }
                _ => {}
            }
        }
        (found.seconds > 0.0).then_some(found)
    }

    /// How many answers have this status.
    pub fn of(&self, status: u16) -> u64 {
        self.statuses.iter().filter(|(found, _)| *found == status).map(|(_, count)| count).sum()
    }

    /// How many answers are neither this status nor 429.
    pub fn other_than(&self, status: u16) -> u64 {
        let others = self.statuses.iter().filter(|(found, _)| *found != status && *found != 429);
        others.map(|(_, count)| count).sum::<u64>() + self.errors
    }
}

/// It prints tenths of a millisecond.
fn milliseconds(seconds: &str) -> Option<f64> {
    let seconds: f64 = seconds.parse().ok()?;
    Some((seconds * 10_000.0).round() / 10.0)
}

fn bracketed<T: std::str::FromStr>(word: &str) -> Option<T> {
    word.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "
Summary:
  Total:\t5.0012 secs
  Slowest:\t0.1023 secs
  Requests/sec:\t1234.5

Response time histogram:
  0.001 [1]\t|
  0.011 [6000]\t|■■■■

Latency distribution:
  10%% in 0.0018 secs
  50%% in 0.0024 secs
  99%% in 0.0151 secs

Status code distribution:
  [201]\t6170 responses
  [429]\t3 responses
  [500]\t1 responses

Error distribution:
  [2]\tPost \"https://127.0.0.1:1/\": EOF
";

    #[test]
    fn a_summary_is_read() {
        let found = Found::parse(SUMMARY).expect("a summary");
        let want = Found {
            seconds: 5.0012,
            p50_ms: 2.4,
            p99_ms: 15.1,
            statuses: vec![(201, 6170), (429, 3), (500, 1)],
            errors: 2,
        };
        assert_eq!(found, want);
        assert_eq!((found.of(201), found.of(429), found.other_than(201)), (6170, 3, 3));
        assert_eq!(Found::parse("Error distribution:\n  [2] refused\n"), None);
    }
}
