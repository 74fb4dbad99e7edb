//! Who comes in which order: all pods of the list once, shuffled, then pods drawn from the list with replacement, until so
//! much was asked for as the protocol says.

use muster_placement::Ask;

use super::trace::Trace;
use crate::splitmix::SplitMix64;

/// GPUs asked for in the end, in hundredths of those that there are.
const ASKED_PERCENT: u64 = 130;

/// What arrives under a seed, as positions in the trace's pods. The order is not that of the publication, which used
/// another generator; the distribution is.
pub fn arrivals(trace: &Trace, seed: u64) -> Vec<usize> {
    let mut draw = SplitMix64(seed);
    let mut order: Vec<usize> = (0..trace.pods.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, draw.index(i + 1));
    }
    let gpus = |pods: &[Ask]| pods.iter().map(|pod| pod.request.gpu_milli).sum::<u64>();
    let wanted = trace.gpu_milli() * ASKED_PERCENT / 100;
    let mut asked = gpus(&trace.pods);
    while asked < wanted {
        let pod = draw.index(trace.pods.len());
        asked += trace.pods[pod].request.gpu_milli;
        order.push(pod);
    }
    order
}
