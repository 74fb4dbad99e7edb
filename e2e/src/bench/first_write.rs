//! How long until a write is acknowledged, for a client that never waits long: it starts a new attempt every few milliseconds
//! and the first answer counts.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// How long it may take at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first acknowledged attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstWrite {
    /// Since `start`.
    pub after: Duration,
    /// Its number.
    pub attempt: u32,
}

/// Makes attempts until one is acknowledged. The others are dropped: they may have been carried out, or not.
pub async fn first_write<F>(start: Instant, attempt: impl Fn(u32) -> F) -> anyhow::Result<FirstWrite>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut pace = tokio::time::interval(PAUSE);
    let mut under_way = FuturesUnordered::new();
    let mut next = 0;
    while start.elapsed() < PATIENCE {
        tokio::select! {
            Some((number, outcome)) = under_way.next() => if let Ok(()) = outcome {
                return Ok(FirstWrite { after: start.elapsed(), attempt: number });
            },
            _ = pace.tick() => {
                let (number, outcome) = (next, attempt(next));
                under_way.push(async move { (number, outcome.await) });
                next += 1;
            }
        }
    }
    bail!("no write was acknowledged within {PATIENCE:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_acknowledgement_counts() {
        let write = first_write(Instant::now(), |number| async move {
            match number {
                0 => std::future::pending().await,
                1 | 2 => bail!("refused"),
                _ => Ok(()),
            }
        });
        assert_eq!(write.await.expect("the fourth").attempt, 3);
    }
}
