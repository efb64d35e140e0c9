//! How long a revocation may take, and how many may be under way.

#[cfg(feature = "tokio")]
use std::time::Duration;

#[cfg(feature = "tokio")]
use super::LogoutLayerBuilder;
use crate::detach::InFlight;
#[cfg(feature = "tokio")]
use crate::store::TokenStore;

/// The time and the number of revocations. Nothing without tokio.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    #[cfg(feature = "tokio")]
    timeout: Duration,
    #[cfg(feature = "tokio")]
    detached_timeout: Duration,
    #[cfg(feature = "tokio")]
    max_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            #[cfg(feature = "tokio")]
            timeout: Duration::from_secs(5),
            #[cfg(feature = "tokio")]
            detached_timeout: Duration::from_secs(30),
            #[cfg(feature = "tokio")]
            max_in_flight: 1024,
        }
    }
}

impl From<Limits> for InFlight {
    #[cfg(feature = "tokio")]
    fn from(limits: Limits) -> Self {
        Self::new(
            limits.timeout,
            limits.detached_timeout,
            limits.max_in_flight,
        )
    }

    #[cfg(not(feature = "tokio"))]
    fn from(_: Limits) -> Self {
        Self
    }
}

#[cfg(feature = "tokio")]
impl<T: TokenStore> LogoutLayerBuilder<T> {
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
    /// let layer = LogoutLayer::builder(store).timeout(Duration::from_secs(2)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How long a revocation may go on in the background, after its timeout has passed or its client has
    /// gone. 30 seconds by default. The layer then gives the revocation up, and
    /// [`on_outcome`](Self::on_outcome) is told
    /// [`FailureKind::GivenUp`](crate::outcome::FailureKind::GivenUp).
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
    pub fn detached_timeout(mut self, timeout: Duration) -> Self {
        self.limits.detached_timeout = timeout;
        self
    }

    /// How many revocations may be under way at once, those in the background included. 1,024 by
    /// default. A logout beyond that is answered with a `500` at once, and the store is not called:
    /// [`FailureKind::Overloaded`](crate::outcome::FailureKind::Overloaded).
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
    pub fn max_in_flight(mut self, revocations: usize) -> Self {
        self.limits.max_in_flight = revocations;
        self
    }
}
