//! A timeout, if there is a tokio runtime.

use std::future::Future;
use std::time::Duration;

/// The output of the future, or `None` after the timeout. Without a tokio runtime there is no timeout.
#[cfg(feature = "tokio")]
pub(crate) async fn in_time<F: Future>(timeout: Duration, future: F) -> Option<F::Output> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(future.await);
    }
    tokio::time::timeout(timeout, future).await.ok()
}

#[cfg(not(feature = "tokio"))]
pub(crate) async fn in_time<F: Future>(_: Duration, future: F) -> Option<F::Output> {
    Some(future.await)
}
