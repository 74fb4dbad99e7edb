//! Which GPUs of a Node a pod gets. Whole GPUs are never shared; fractions share one GPU as far as it reaches.

use std::collections::BTreeMap;

/// What is taken on one Node: thousandths by GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GpuUse(BTreeMap<u32, u64>);

impl GpuUse {
    /// Counts a pod that holds `gpus` and asked for `gpu_milli`.
    pub(crate) fn add(&mut self, gpus: &[u32], gpu_milli: u64) {
        let mut left = gpu_milli;
        for gpu in gpus {
            let share = left.min(1000);
            *self.0.entry(*gpu).or_default() += share;
            left -= share;
        }
    }

    /// GPUs for a pod that asks for `gpu_milli` on a Node of `count` GPUs; `None` if they are not free.
    pub(crate) fn choose(&self, count: u32, gpu_milli: u64) -> Option<Vec<u32>> {
        let used = |gpu: &u32| self.0.get(gpu).copied().unwrap_or(0);
        let whole = usize::try_from(gpu_milli / 1000).ok()?;
        let fraction = gpu_milli % 1000;
        let mut gpus: Vec<u32> = (0..count).filter(|gpu| used(gpu) == 0).take(whole).collect();
        if gpus.len() < whole {
            return None;
        }
        if fraction > 0 {
            let fits = |gpu: &u32| !gpus.contains(gpu) && used(gpu) + fraction <= 1000;
            // The fullest that fits keeps whole GPUs free for whole requests.
            gpus.push((0..count).filter(fits).max_by_key(|gpu| (used(gpu), std::cmp::Reverse(*gpu)))?);
        }
        Some(gpus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_gpus_are_never_shared_and_fractions_fill_up() {
        let mut node = GpuUse::default();
        let mut take = |gpu_milli| {
            let gpus = node.choose(4, gpu_milli)?;
            node.add(&gpus, gpu_milli);
            Some(gpus)
        };
        assert_eq!(take(0), Some(vec![]));
        assert_eq!(take(1000), Some(vec![0]));
        assert_eq!(take(300), Some(vec![1]));
        assert_eq!(take(700), Some(vec![1]));
        assert_eq!(take(300), Some(vec![2]));
        assert_eq!(take(2000), None);
        assert_eq!(take(1500), Some(vec![3, 2]));
        assert_eq!(take(1000), None);
    }
}
