//! One run: pods arrive in order, each is placed or lost for good.

use muster_placement::Ask;

/// What decides where a pod goes.
pub trait Policy {
    /// Places a pod; `false` if it fits nowhere.
    fn place(&mut self, ask: &Ask) -> bool;
}

/// How much of the cluster was allocated when so much had been asked for, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Allocation {
    /// At 95 % of its GPUs.
    pub at_95: f64,
    /// At 100 %.
    pub at_100: f64,
    /// At the end.
    pub at_130: f64,
}

/// Lets pods arrive. `gpu_milli` is what the cluster has.
pub fn replay(policy: &mut dyn Policy, arrivals: &[&Ask], gpu_milli: u64) -> Allocation {
    let (mut asked, mut allocated) = (0_u64, 0_u64);
    let mut found = Allocation::default();
    for ask in arrivals {
        if policy.place(ask) {
            allocated += ask.request.gpu_milli;
        }
        let before = asked;
        asked += ask.request.gpu_milli;
        let percent = 100.0 * allocated as f64 / gpu_milli as f64;
        let passes = |share: u64| before * 100 < gpu_milli * share && asked * 100 >= gpu_milli * share;
        if passes(95) {
            found.at_95 = percent;
        }
        if passes(100) {
            found.at_100 = percent;
        }
        found.at_130 = percent;
    }
    found
}
