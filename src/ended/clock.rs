//! The monotonic clock of a node.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Milliseconds from any start on, and at least one. The clock never goes back.
///
/// On Linux, the clock moves with the ticks of the kernel, every 1 to 10 ms. To read the exact clock takes longer than
/// the rest of a check, because the processor waits for all loads before.
#[inline]
pub(super) fn now() -> u64 {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Ok(now) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE) {
        let millis = u64::try_from(now.tv_nsec() / 1_000_000).unwrap_or_default();
        return u64::try_from(now.tv_sec()).unwrap_or_default() * 1000 + millis + 1;
    }
    exact()
}

/// The clock of other systems, and of a sandbox without the coarse clock.
fn exact() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    millis(START.elapsed()) + 1
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clock_moves_with_the_time() {
        for clock in [now, exact] {
            let before = clock();
            assert!(before >= 1);
            std::thread::sleep(Duration::from_millis(50));
            // As much as was slept, less a tick.
            assert!(clock() >= before + 40);
        }
    }
}
