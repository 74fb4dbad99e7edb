//! Who comes in which order: all pods of the list once, shuffled, then pods drawn from the list with replacement, until so
//! much was asked for as the protocol says.

use muster_placement::Ask;

use super::trace::Trace;

/// GPUs asked for in the end, in hundredths of those that there are.
const ASKED_PERCENT: u64 = 130;

/// What arrives under a seed, as positions in the trace's pods. The order is not that of the publication, which used
/// another generator; the distribution is.
pub fn arrivals(trace: &Trace, seed: u64) -> Vec<usize> {
    let mut draw = Draw(seed);
    let mut order: Vec<usize> = (0..trace.pods.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, draw.below(i + 1));
    }
    let gpus = |pods: &[Ask]| pods.iter().map(|pod| pod.request.gpu_milli).sum::<u64>();
    let wanted = trace.gpu_milli() * ASKED_PERCENT / 100;
    let mut asked = gpus(&trace.pods);
    while asked < wanted {
        let pod = draw.below(trace.pods.len());
        asked += trace.pods[pod].request.gpu_milli;
        order.push(pod);
    }
    order
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap_or_default()
    }
}
