//! Numbers from a seed.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Draw(u64);

impl Draw {
    /// The numbers of this seed for this part of a plan.
    pub fn new(seed: u64, part: u64) -> Draw {
        Draw(seed ^ part.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// So many of these, without repetition, in the order drawn.
    pub fn some<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let mut drawn = Vec::with_capacity(count.min(from.len()));
        while drawn.len() < count && !from.is_empty() {
            // The bias of the remainder does not matter here.
            let at = self.next() % from.len() as u64;
            drawn.push(from.swap_remove(at as usize));
        }
        drawn
    }
}
