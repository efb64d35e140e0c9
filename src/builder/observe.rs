//! The callback that is told each outcome.

use std::sync::Arc;
use std::time::Duration;

use super::LogoutLayerBuilder;
use crate::outcome::Outcome;
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Calls back with the outcome and the latency of each logout, for an audit log or for a denylist of
    /// access tokens. No callback by default.
    ///
    /// The callback runs before the answer is sent, so keep it quick. A panic in the callback changes
    /// nothing. Each ended session is named in exactly one call. A revocation that outlives its client is
    /// reported when the revocation ends. A revocation that outlives its [`timeout`](Self::timeout) is
    /// reported twice: as [`Outcome::Failed`] with
    /// [`FailureKind::TimedOut`](crate::outcome::FailureKind::TimedOut) when the timeout passes, and with
    /// its own outcome when the revocation ends.
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
