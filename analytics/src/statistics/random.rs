//! Random numbers that do not depend on threads, nodes or order: one `SplitMix64` stream for each cell or replicate.

/// The step between two states of `SplitMix64`: 2^64 divided by the golden ratio, odd.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// First output of a generator whose state is `value`: a mixing function of 64 bits.
#[must_use]
pub const fn mix(value: u64) -> u64 {
    SplitMix64 { state: value }.stepped().1
}

/// `SplitMix64` (Steele, Lea & Flood 2014). Fast and reproducible; not for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The stream of one cell (`id` = the cell) or one replicate (`id` = 1, 2, …) under `seed`.
    #[must_use]
    pub const fn stream(seed: u64, id: u64) -> Self {
        Self {
            state: mix(mix(seed) ^ id),
        }
    }

    /// The next 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        let (next, output) = self.stepped();
        *self = next;
        output
    }

    /// A whole number in `0..bound`; 0 when `bound` is 0. The bias is below `bound / 2^64`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// A multiple of 2^-53 in `0.0..1.0`.
    pub const fn unit(&mut self) -> f64 {
        const TWO_TO_MINUS_53: f64 = 1.0 / 9_007_199_254_740_992.0;
        (self.next_u64() >> 11) as f64 * TWO_TO_MINUS_53
    }

    const fn stepped(self) -> (Self, u64) {
        let state = self.state.wrapping_add(GOLDEN_GAMMA);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (Self { state }, mixed ^ (mixed >> 31))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_values_come_out() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        let mut random = SplitMix64::stream(0, 0x0894_11ca_1b67_ffff);
        assert_eq!(random.next_u64(), 0x2934_f6e3_9813_358a);
        assert_eq!(random.next_u64(), 0x0b8a_cf9f_47e5_0458);
    }

    #[test]
    fn below_and_unit_stay_in_range_and_fill_it() {
        let mut random = SplitMix64::stream(7, 7);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[random.below(5) as usize] += 1;
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert!(
            seen.iter().all(|&times| (850..1_150).contains(&times)),
            "{seen:?}"
        );
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }
}
