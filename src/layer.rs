//! The layer.

use std::fmt;
#[cfg(feature = "tokio")]
use std::future::Future;
use std::sync::Arc;

use tower::Layer;

use crate::body_token::{BodyToken, WithBodyToken};
use crate::builder::LogoutLayerBuilder;
use crate::endpoint::LogoutEndpoint;
use crate::route::Action;
#[cfg(feature = "tokio")]
use crate::service::drain;
use crate::service::{Config, Logout};
use crate::store::{Scope, SubjectStore, TokenStore};

/// Layer that answers logout requests and passes all others to the inner service.
///
/// See the [front page](crate) for an example, and [`guide::placement`](crate::guide::placement) for where
/// to put the layer.
#[must_use = "a layer does nothing until it is added to a stack"]
pub struct LogoutLayer<T> {
    config: Arc<Config<T>>,
}

impl<T: TokenStore> LogoutLayer<T> {
    /// Creates a layer with the defaults: `POST /auth/logout` as JSON or from a page of the same origin, the
    /// default [`AuthCookies`](crate::cookies::AuthCookies), and a timeout of 5 seconds.
    ///
    /// [`guide::endpoint`](crate::guide::endpoint) describes the defaults in full.
    ///
    /// ```
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// let layer = LogoutLayer::new(store_fn(|token| async move {
    ///     println!("logout with {token}");
    ///     Ok(Revocation::Revoked)
    /// }));
    /// ```
    pub fn new(store: T) -> Self {
        Self::builder(store).assemble()
    }

    /// Creates a builder that starts from the defaults of [`new`](Self::new).
    ///
    /// ```
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).path("/session/logout").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(store: T) -> LogoutLayerBuilder<T> {
        LogoutLayerBuilder::new(store)
    }

    /// Returns the logout as an endpoint: a service without an inner service, to mount on a route.
    ///
    /// The endpoint ignores the path of a request. Still set [`path`](LogoutLayerBuilder::path) to the
    /// route, because [`build`](LogoutLayerBuilder::build) checks that a browser sends the refresh cookie
    /// there.
    ///
    /// ```
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// use axum::Router;
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let logout = LogoutLayer::builder(store).path("/bye").build()?;
    /// let app: Router = Router::new().route_service("/bye", logout.endpoint());
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint(&self) -> LogoutEndpoint<T> {
        LogoutEndpoint::new(Arc::clone(&self.config), Action::this())
    }

    /// Returns an [`endpoint`](Self::endpoint) that ends the sessions of this [`Scope`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::Router;
    /// use tower_logout::{LogoutLayer, MemoryStore, Scope};
    ///
    /// let logout = LogoutLayer::new(MemoryStore::new());
    /// let app: Router = Router::new()
    ///     .route_service("/auth/logout", logout.endpoint())
    ///     .route_service("/auth/logout-all", logout.endpoint_for(Scope::All));
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint_for(&self, scope: Scope) -> LogoutEndpoint<T>
    where
        T: SubjectStore,
    {
        LogoutEndpoint::new(Arc::clone(&self.config), Action::new(scope))
    }

    /// Reads a token from the body of a logout as well. See [`BodyToken`].
    ///
    /// ```
    /// use axum::Router;
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let logout = LogoutLayer::new(store).body_token("refresh_token");
    /// let app: Router = Router::new().layer(logout);
    /// ```
    pub fn body_token(self, token: impl Into<BodyToken>) -> WithBodyToken<Self> {
        WithBodyToken::new(self, token.into())
    }

    /// Waits until no revocation runs in the background.
    ///
    /// This is the last step of a graceful shutdown, after the server has stopped accepting requests. If a
    /// store does not answer, the wait lasts up to
    /// [`detached_timeout`](LogoutLayerBuilder::detached_timeout). Add a timeout of your own if that is too
    /// long.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::new(store);
    /// // … the server runs with a clone of the layer, and has stopped …
    /// layer.drain().await;
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        drain(&self.config)
    }
}

impl<T> LogoutLayer<T> {
    pub(crate) fn new_with(config: Config<T>) -> Self {
        Self {
            config: Arc::new(config),
        }
    }
}

impl<T> Clone for LogoutLayer<T> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
        }
    }
}

impl<T> fmt::Debug for LogoutLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutLayer")
            .field("paths", &self.config.paths())
            .finish_non_exhaustive()
    }
}

impl<S, T> Layer<S> for LogoutLayer<T> {
    type Service = Logout<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Logout::new(inner, Arc::clone(&self.config))
    }
}
