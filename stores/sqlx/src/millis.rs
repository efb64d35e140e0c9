//! Times as the tables hold them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) i64);

impl Millis {
    /// A rotation that happened at no time.
    pub(crate) const NEVER: Self = Self(0);

    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Millis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl From<Millis> for SystemTime {
    fn from(Millis(millis): Millis) -> Self {
        UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
    }
}
