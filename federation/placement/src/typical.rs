//! What a Node is worth to the jobs that are typical: the fragmentation rule.
//!
//! A Node's free GPUs are worth what typical pods could use of them. For each kind of pod that is the mean of two answers:
//! all GPUs that are free enough, if a single pod fits (what Fragmentation Gradient Descent counts: Weng et al., ATC'23);
//! and so many of them as CPU and memory reach for. A placement costs what the Node is worth less afterwards, and goes
//! where it costs least. So pods with much CPU go where CPU is left over, whole Nodes stay whole while whole Nodes are
//! asked for, and fractions of GPUs fill up.
//!
//! Each kind weighs by the number of its pods and the cube root of its GPUs: by number alone the few large ones would be
//! forgotten, by GPUs alone they would keep whole Nodes empty. On Alibaba's trace of 2023 (`cargo xtask bench openb`) the
//! second answer and the root were found to place more than the first answer alone.

use muster_model::{GpuModel, Resources};

use crate::mix::Ask;
use crate::room::Room;

/// Ratios are kept in units of 2^-20.
const UNIT_BITS: u32 = 20;
/// All weights together.
const TOTAL_WEIGHT: u128 = 1 << 20;

/// Kinds of pods that are typical.
#[derive(Clone, Debug, Default)]
pub struct Typical {
    kinds: Vec<(Ask, Kind)>,
}

/// Those of them that may use the GPUs of one model.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Vec<Kind>);

/// One kind of pod.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Whole GPUs, and thousandths of one more.
    whole: u64,
    rest: u64,
    cpu_milli: u64,
    memory_bytes: u64,
    weight: u64,
    /// Milli-GPUs that a milli-CPU reaches for, in units of 2^-20.
    per_cpu: u64,
    /// The same of a MiB of memory.
    per_mib: u64,
}

impl Typical {
    /// Requests for GPUs, and how many pods made each.
    pub fn new<'a>(frequent: impl Iterator<Item = (&'a Ask, u64)>) -> Typical {
        let counted: Vec<(&Ask, u128)> = frequent
            .filter(|(ask, _)| ask.request.gpu_milli > 0)
            .map(|(ask, pods)| (ask, u128::from(pods) * cube_root(ask.request.gpu_milli)))
            .collect();
        let total = counted.iter().map(|(_, weight)| weight).sum::<u128>().max(1);
        let kind = |(ask, weight): (&Ask, u128)| {
            let weight = u64::try_from(weight * TOTAL_WEIGHT / total).unwrap_or(u64::MAX);
            (ask.clone(), Kind::new(ask.request, weight))
        };
        Typical { kinds: counted.into_iter().map(kind).collect() }
    }

    /// The kinds that may use GPUs of this model.
    pub fn on(&self, model: Option<&GpuModel>) -> Kinds {
        Kinds(self.kinds.iter().filter(|(ask, _)| ask.takes(model)).map(|(_, kind)| *kind).collect())
    }
}

impl Kinds {
    /// What the free GPUs of a Node are worth, below 2^43. O(kinds x GPUs in use)
    pub fn worth(&self, room: &Room) -> u64 {
        let mib = room.memory_bytes >> 20;
        self.0.iter().fold(0, |sum, kind| sum + kind.weight * kind.usable(room, mib))
    }
}

impl Kind {
    fn new(request: Resources, weight: u64) -> Kind {
        let reach = |amount: u64| {
            let gpus = u128::from(request.gpu_milli.min(MOST_GPU_MILLI)) << UNIT_BITS;
            u64::try_from(gpus.div_ceil(u128::from(amount.max(1)))).unwrap_or(u64::MAX)
        };
        let mib = request.memory_bytes.div_ceil(1 << 20);
        Kind {
            whole: request.gpu_milli / 1000,
            rest: request.gpu_milli % 1000,
            cpu_milli: request.cpu_milli,
            memory_bytes: request.memory_bytes,
            weight,
            per_cpu: reach(request.cpu_milli),
            per_mib: reach(mib),
        }
    }

    /// Milli-GPUs that pods of this kind could use, twice the mean.
    fn usable(&self, room: &Room, mib: u64) -> u64 {
        if room.cpu_milli < self.cpu_milli || room.memory_bytes < self.memory_bytes {
            return 0;
        }
        let gpus = self.gpus_free_enough(room);
        let by_cpu = room.cpu_milli.saturating_mul(self.per_cpu) >> UNIT_BITS;
        let by_memory = mib.saturating_mul(self.per_mib) >> UNIT_BITS;
        gpus + gpus.min(by_cpu).min(by_memory)
    }

    fn gpus_free_enough(&self, room: &Room) -> u64 {
        let free = match (self.whole, self.rest) {
            (1, 0) => room.whole * 1000,
            (0, rest) => {
                let parts: u64 = room.parts.iter().filter(|part| **part >= rest).sum();
                room.whole * 1000 + parts
            }
            (whole, 0) => room.whole / whole * whole * 1000,
            (whole, rest) => room.whole / (whole + 1) * (whole * 1000 + rest),
        };
        free.min(MOST_GPU_MILLI)
    }
}

/// More GPUs than any Node has, in thousandths, so that nothing overflows.
const MOST_GPU_MILLI: u64 = 1 << 21;

/// The cube root of a number of thousandths, in thousandths.
fn cube_root(milli: u64) -> u128 {
    let cube = u128::from(milli.min(MOST_GPU_MILLI)) * 1_000_000;
    let (mut low, mut high) = (0_u128, 1 << 16);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if middle * middle * middle <= cube { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(gpu_milli: u64, cores: u64, gib: u64) -> Ask {
        let request = Resources { gpu_milli, cpu_milli: cores * 1000, memory_bytes: gib << 30 };
        Ask { request, models: Vec::new() }
    }

    fn kinds(asks: &[(Ask, u64)]) -> Kinds {
        Typical::new(asks.iter().map(|(ask, pods)| (ask, *pods))).on(Some(&GpuModel::new("A100")))
    }

    fn room(whole: u64, parts: &[u64], cores: u64, gib: u64) -> Room {
        Room { cpu_milli: cores * 1000, memory_bytes: gib << 30, whole, parts: parts.to_vec() }
    }

    #[test]
    fn roots_are_exact_for_cubes() {
        for (milli, root) in [(1000, 1000), (8000, 2000), (64_000, 4000), (500, 793), (0, 0)] {
            assert_eq!(cube_root(milli), root, "{milli}");
        }
    }

    #[test]
    fn gpus_are_worth_what_pods_can_use_of_them() {
        let whole = kinds(&[(ask(1000, 10, 10), 1)]);
        let worth = |room: &Room| whole.worth(room) >> 20;
        // Twice the mean, in milli-GPUs: all of it; what CPU or memory reach for; nothing.
        assert_eq!(worth(&room(8, &[], 80, 80)), 16_000);
        assert_eq!(worth(&room(8, &[], 40, 80)), 12_000);
        assert_eq!(worth(&room(8, &[], 80, 20)), 10_000);
        assert_eq!(worth(&room(8, &[], 9, 80)), 0);
        assert_eq!(worth(&room(0, &[999, 999], 80, 80)), 0);
        let half = kinds(&[(ask(500, 1, 1), 1)]);
        assert_eq!(half.worth(&room(1, &[500, 499], 80, 80)) >> 20, 3_000);
        let eight = kinds(&[(ask(8000, 8, 8), 1)]);
        assert_eq!(eight.worth(&room(7, &[], 80, 80)), 0);
        assert_eq!(eight.worth(&room(8, &[], 80, 80)) >> 20, 16_000);
    }

    #[test]
    fn absurd_requests_do_not_overflow() {
        let huge = Resources { gpu_milli: u64::MAX, cpu_milli: u64::MAX, memory_bytes: u64::MAX };
        let kinds = kinds(&[(Ask { request: huge, models: Vec::new() }, u64::MAX), (ask(1, 0, 0), u64::MAX)]);
        let most = Room { cpu_milli: u64::MAX, memory_bytes: u64::MAX, whole: 1 << 40, parts: Vec::new() };
        assert!(kinds.worth(&most) < 1 << 43);
    }

    #[test]
    fn only_the_models_asked_for_count() {
        let picky = Ask { models: vec![GpuModel::new("H100")], ..ask(1000, 1, 1) };
        let typical = Typical::new([(&picky, 1)].into_iter());
        let free = room(8, &[], 80, 80);
        assert_eq!(typical.on(Some(&GpuModel::new("A100"))).worth(&free), 0);
        assert!(typical.on(Some(&GpuModel::new("H100"))).worth(&free) > 0);
        assert_eq!(typical.on(None).worth(&free), 0);
    }
}
