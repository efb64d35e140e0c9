//! What our own stores have in common.

#[cfg(any(feature = "_sql", feature = "redis"))]
use std::time::UNIX_EPOCH;
use std::time::{Duration, SystemTime};

/// How long a session lives unless the store is told otherwise: 30 days.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// For how long the direct predecessor of a live token may be rotated once more unless the store is
/// told otherwise.
pub(super) const DEFAULT_LEEWAY: Duration = Duration::from_secs(10);

/// How many rotated tokens of a session are remembered at most unless the store is told otherwise: a
/// token every five minutes for 30 days is 8,640.
pub(super) const DEFAULT_MAX_ROTATIONS: u32 = 20_000;

pub(super) const TOKEN_TAKEN: &str = "the token is known already: open and rotate need one of their \
                                      own, such as Token::generate gives";

/// When a session that is opened or rotated at `now` ends. A lifetime beyond a century is a century,
/// lest the sum be more than a clock can show.
pub(super) fn expiry(now: SystemTime, lifetime: Duration) -> SystemTime {
    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
    now + lifetime.min(CENTURY)
}

/// Milliseconds since 1970, as databases have them.
#[cfg(any(feature = "_sql", feature = "redis"))]
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of such a number.
#[cfg(any(feature = "_sql", feature = "redis"))]
pub(super) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
