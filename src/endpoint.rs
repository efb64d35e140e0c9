//! The endpoint: the logout without an inner service.

use std::convert::Infallible;
use std::fmt;
#[cfg(feature = "tokio")]
use std::future::Future;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use tower::Service;

use crate::body::ResponseBody;
use crate::body_token::{BodyToken, WithBodyToken};
use crate::future::ResponseFuture;
use crate::route::{Action, is_logout_method};
use crate::service::Config;
#[cfg(feature = "tokio")]
use crate::service::drain;
use crate::store::TokenStore;

/// The logout as a service without an inner service, for example for Axum's `Router::route_service`.
///
/// Created by [`LogoutLayer::endpoint`](crate::layer::LogoutLayer::endpoint). The endpoint ignores the
/// path. `POST` is a logout, and every other method gets a `405` with `Allow: POST`. `DELETE` is a logout
/// too with [`also_delete`](crate::builder::LogoutLayerBuilder::also_delete).
pub struct LogoutEndpoint<T> {
    pub(crate) config: Arc<Config<T>>,
    pub(crate) action: Action<T>,
}

impl<T> LogoutEndpoint<T> {
    pub(crate) fn new(config: Arc<Config<T>>, action: Action<T>) -> Self {
        Self { config, action }
    }

    pub(crate) fn is_logout<B>(&self, request: &Request<B>) -> bool {
        is_logout_method(request.method(), self.config.also_delete)
    }

    /// The answer to a method that is no logout.
    pub(crate) fn not_allowed(&self) -> Response<Empty<Bytes>> {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allowed = if self.config.also_delete {
            "POST, DELETE"
        } else {
            "POST"
        };
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(allowed));
        response
    }
}

impl<T: TokenStore> LogoutEndpoint<T> {
    /// Reads a token from the body of the request as well. See [`BodyToken`].
    ///
    /// ```
    /// use axum::Router;
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let logout = LogoutLayer::new(store).endpoint().body_token("refresh_token");
    /// let app: Router = Router::new().route_service("/auth/logout", logout);
    /// ```
    pub fn body_token(self, token: impl Into<BodyToken>) -> WithBodyToken<Self> {
        WithBodyToken::new(self, token.into())
    }

    /// Waits until no revocation runs in the background, as [`LogoutLayer::drain`] does.
    ///
    /// [`LogoutLayer::drain`]: crate::layer::LogoutLayer::drain
    #[cfg(feature = "tokio")]
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        drain(&self.config)
    }
}

impl<T> Clone for LogoutEndpoint<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.config), self.action)
    }
}

impl<T> fmt::Debug for LogoutEndpoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutEndpoint").finish_non_exhaustive()
    }
}

impl<T, ReqBody> Service<Request<ReqBody>> for LogoutEndpoint<T>
where
    T: TokenStore,
{
    type Response = Response<ResponseBody<Empty<Bytes>>>;
    type Error = Infallible;
    type Future = ResponseFuture<Ready<Result<Response<Empty<Bytes>>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if self.is_logout(&request) {
            self.config.log_out(self.action, request)
        } else {
            ResponseFuture::passed(ready(Ok(self.not_allowed())))
        }
    }
}
