//! The setter of the callback.

use std::sync::Arc;
use std::time::Duration;

use super::LogoutLayerBuilder;
use crate::outcome::Outcome;
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Sets a callback that gets the outcome and the latency of each logout. No callback by default.
    ///
    /// Use the callback for an audit log or for a denylist of access tokens. It runs before the answer is
    /// sent, so keep it short. A panic in the callback is ignored.
    ///
    /// The layer names each ended session in exactly one call. If the client disconnects, the call comes
    /// when the revocation ends. If a revocation outlives its [`timeout`](Self::timeout), there are two
    /// calls: one with [`FailureKind::TimedOut`](crate::outcome::FailureKind::TimedOut) when the timeout
    /// passes, and one with the final outcome when the revocation ends.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .on_outcome(|outcome, latency| println!("logout: {} in {latency:?}", outcome.name()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_outcome(
        mut self,
        on_outcome: impl Fn(&Outcome, Duration) + Send + Sync + 'static,
    ) -> Self {
        self.on_outcome = Some(Arc::new(on_outcome));
        self
    }
}
