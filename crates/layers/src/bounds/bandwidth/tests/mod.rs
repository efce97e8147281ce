//! Bounds are exact and fair, and hold up no pair below them.

mod bucket;
mod relay;

use std::num::NonZeroU64;

use super::ByteRate;

const MIB: u64 = 1024 * 1024;

fn rate(per_second: u64) -> ByteRate {
    ByteRate::per_second(NonZeroU64::new(per_second).unwrap())
}

fn rate_and_burst(per_second: u64, burst: u64) -> ByteRate {
    rate(per_second).burst(NonZeroU64::new(burst).unwrap())
}
