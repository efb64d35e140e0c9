//! The setters of the timeouts and of the limit of revocations.

use std::time::Duration;

#[cfg(feature = "tokio")]
use super::LogoutLayerBuilder;
#[cfg(feature = "tokio")]
use crate::store::TokenStore;

/// The timeouts and the limit of revocations. Without tokio there are none.
#[cfg_attr(not(feature = "tokio"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) detached_timeout: Duration,
    pub(crate) max_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            detached_timeout: Duration::from_secs(30),
            max_in_flight: 1024,
        }
    }
}

#[cfg(feature = "tokio")]
impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Sets how long a client waits for the store. 5 seconds by default.
    ///
    /// After the timeout the client gets a `500`, and the revocation continues in the background.
    ///
    /// # Panics
    ///
    /// A logout panics while it waits for the store if the tokio runtime was built without
    /// [`enable_time`](tokio::runtime::Builder::enable_time). The revocation continues.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).timeout(Duration::from_secs(2)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets how long a revocation may continue in the background. 30 seconds by default.
    ///
    /// A revocation moves to the background when its [`timeout`](Self::timeout) passes or its client
    /// disconnects. After this time the layer gives the revocation up and calls
    /// [`on_outcome`](Self::on_outcome) with
    /// [`FailureKind::GivenUp`](crate::outcome::FailureKind::GivenUp). No client was told that such a
    /// logout succeeded.
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
    pub fn detached_timeout(mut self, timeout: Duration) -> Self {
        self.limits.detached_timeout = timeout;
        self
    }

    /// Sets how many revocations may run at once, including those in the background. 1,024 by default.
    ///
    /// A logout beyond the limit gets a `500` at once, and the store is not called
    /// ([`FailureKind::Overloaded`](crate::outcome::FailureKind::Overloaded)).
    ///
    /// The limit bounds the memory of logouts while a store does not answer. A concurrency limit outside
    /// the layer cannot do so, because it counts requests, and a revocation can outlive its request.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).max_in_flight(100).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_in_flight(mut self, revocations: usize) -> Self {
        self.limits.max_in_flight = revocations;
        self
    }
}
