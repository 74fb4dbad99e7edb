//! What is printed of one seed.

use serde::Serialize;

use super::replay::Allocation;

/// One line of JSON. Allocations are percent of all GPUs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line {
    /// The seed.
    pub seed: u64,
    /// What the engine's rule has allocated when 95 % of all GPUs were asked for.
    pub allocation_at_95: f64,
    /// When 100 % were.
    pub allocation_at_100: f64,
    /// When 130 % were, the end.
    pub allocation_at_130: f64,
    /// Pods that were placed or turned away.
    pub decisions: u64,
    /// Of these per second, on one core.
    pub decisions_per_s: u64,
    /// The same trace under our own implementation of FGD; published: 94.91, 95.23 and 95.39 on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fgd: Option<Beside>,
}

/// What another rule has allocated.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Beside {
    /// At 95 %.
    pub allocation_at_95: f64,
    /// At 100 %.
    pub allocation_at_100: f64,
    /// At 130 %.
    pub allocation_at_130: f64,
}

/// How many decisions, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Pods.
    pub decisions: usize,
    /// Pods per second.
    pub per_second: f64,
}

impl Line {
    /// The line of these figures.
    pub fn new(seed: u64, found: Allocation, figures: Figures, fgd: Option<Allocation>) -> Line {
        let fgd = fgd.map(|fgd| Beside {
            allocation_at_95: hundredths(fgd.at_95),
            allocation_at_100: hundredths(fgd.at_100),
            allocation_at_130: hundredths(fgd.at_130),
        });
        Line {
            seed,
            allocation_at_95: hundredths(found.at_95),
            allocation_at_100: hundredths(found.at_100),
            allocation_at_130: hundredths(found.at_130),
            decisions: figures.decisions as u64,
            decisions_per_s: figures.per_second as u64,
            fgd,
        }
    }
}

fn hundredths(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}
