//! The events and gauges of a node that follows a log.

use std::time::Duration;

use super::EndedSessions;
use crate::store::BoxError;

/// Reports that requests are refused because the node is stale.
pub(super) fn stale(age: Option<Duration>) {
    #[cfg(feature = "metrics")]
    crate::metrics::set_age(age);
    #[cfg(feature = "tracing")]
    tracing::error!(
        ?age,
        "requests are refused: the log of ended sessions was not read for too long"
    );
    let _ = age;
}

/// Reports the size and the age after each read, whether the read failed or not.
pub(super) fn read(sessions: &EndedSessions) {
    #[cfg(feature = "metrics")]
    crate::metrics::set_ended_sessions(sessions.len(), sessions.age());
    let _ = sessions;
}

/// Reports an error of the log.
pub(super) fn failed(error: &BoxError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(%error, "cannot read the log of ended sessions");
    let _ = error;
}

/// Reports that nothing reads the log any more.
pub(super) fn stopped() {
    #[cfg(feature = "metrics")]
    crate::metrics::set_age(None);
    #[cfg(feature = "tracing")]
    tracing::warn!("nothing follows the log of ended sessions any more");
}
