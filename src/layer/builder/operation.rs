//! How long a logout may take, and who is told of it.

use std::sync::Arc;
use std::time::Duration;

use super::LogoutLayerBuilder;
use crate::{Outcome, TokenStore};

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Calls back with the outcome of each logout and the time it took: an audit log, a denylist for
    /// access tokens, a counter. None by default.
    ///
    /// It runs before the answer is sent, so it should be quick; a panic in it changes nothing. Each
    /// ended session is named in one call alone. A revocation that outlives its client is reported
    /// when it ends; one that outlives its deadline is reported twice, as [`Outcome::Failed`] with
    /// [`FailureKind::Deadline`](crate::FailureKind::Deadline) when the deadline passes, and as what
    /// it came to when it ends.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .hook(|outcome, took| println!("logout: {} in {took:?}", outcome.name()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hook(mut self, hook: impl Fn(&Outcome, Duration) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// How long the client waits for the store, before it gets a `500` and the revocation goes on in
    /// the background. 5 seconds by default.
    ///
    /// # Panics
    ///
    /// A logout whose store is pending panics on a tokio runtime that was built without
    /// [`enable_time`](tokio::runtime::Builder::enable_time). Its revocation runs on.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).deadline(Duration::from_secs(2)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a revocation may go on in the background, after its deadline or its client has gone.
    /// 30 seconds by default. It is given up then, which the hook is told as
    /// [`FailureKind::GivenUp`](crate::FailureKind::GivenUp).
    ///
    /// A client was never told that such a logout succeeded.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).detached_timeout(Duration::from_secs(60)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn detached_timeout(mut self, timeout: Duration) -> Self {
        self.detached_timeout = timeout;
        self
    }

    /// How many revocations may be under way at once, those in the background included. 1,024 by
    /// default. A logout beyond that is answered with a `500` at once, and the store is not called:
    /// [`FailureKind::Overloaded`](crate::FailureKind::Overloaded).
    ///
    /// It bounds what logouts hold while a store does not answer. A concurrency limit outside of the
    /// layer does not: it counts requests, and a revocation outlives its own.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).max_in_flight(100).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn max_in_flight(mut self, revocations: usize) -> Self {
        self.max_in_flight = revocations;
        self
    }
}
