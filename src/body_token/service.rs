//! The layer, the middleware and the endpoint with a token in the body.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Empty;
use tower::{Layer, Service};

use super::BodyToken;
use super::future::WithBodyTokenFuture;
use crate::body::ResponseBody;
use crate::csrf::content_type::is_grpc;
use crate::endpoint::LogoutEndpoint;
use crate::future::ResponseFuture;
use crate::layer::LogoutLayer;
use crate::route::Action;
use crate::service::{Config, Logout};
use crate::store::TokenStore;
use crate::token::Presented;

/// A logout that reads a token from the body of the request as well.
///
/// Created by [`LogoutLayer::body_token`] and [`LogoutEndpoint::body_token`].
#[derive(Clone, Debug)]
pub struct WithBodyToken<L> {
    logout: L,
    token: Arc<BodyToken>,
}

impl<L> WithBodyToken<L> {
    pub(crate) fn new(logout: L, token: BodyToken) -> Self {
        Self {
            logout,
            token: Arc::new(token),
        }
    }

    /// Returns the layer, the middleware or the endpoint without the body token.
    pub fn into_inner(self) -> L {
        self.logout
    }
}

impl<S, T> Layer<S> for WithBodyToken<LogoutLayer<T>> {
    type Service = WithBodyToken<Logout<S, T>>;

    fn layer(&self, inner: S) -> Self::Service {
        WithBodyToken {
            logout: self.logout.layer(inner),
            token: Arc::clone(&self.token),
        }
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for WithBodyToken<Logout<S, T>>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    T: TokenStore,
    ReqBody: Body + Send + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = WithBodyTokenFuture<S::Future, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.logout.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.logout.config.find(&request) {
            Some(action) => log_out(&self.logout.config, *action, request, &self.token),
            None => {
                WithBodyTokenFuture::from(ResponseFuture::passed(self.logout.inner.call(request)))
            }
        }
    }
}

impl<T, ReqBody> Service<Request<ReqBody>> for WithBodyToken<LogoutEndpoint<T>>
where
    T: TokenStore,
    ReqBody: Body + Send + 'static,
{
    type Response = Response<ResponseBody<Empty<Bytes>>>;
    type Error = Infallible;
    type Future = WithBodyTokenFuture<Ready<Result<Response<Empty<Bytes>>, Infallible>>, T>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if self.logout.is_logout(&request) {
            log_out(
                &self.logout.config,
                self.logout.action,
                request,
                &self.token,
            )
        } else {
            let answer = ready(Ok(self.logout.not_allowed()));
            WithBodyTokenFuture::from(ResponseFuture::passed(answer))
        }
    }
}

/// Checks the request first, so that a forged request costs no more than its headers.
// Not inlined, so that other requests do not need its stack frame.
#[inline(never)]
fn log_out<F, T, B>(
    config: &Arc<Config<T>>,
    action: Action<T>,
    request: Request<B>,
    token: &Arc<BodyToken>,
) -> WithBodyTokenFuture<F, T>
where
    T: TokenStore,
    B: Body + Send + 'static,
{
    let (request, body) = request.into_parts();
    let found = match config.check(&request, action.scope) {
        Ok(()) if is_grpc(&request.headers) => Ok(Presented::default()),
        Ok(()) => {
            let body = Box::pin(token.read(&request.headers, body));
            return WithBodyTokenFuture::reading(body, request, action, Arc::clone(config));
        }
        Err(outcome) => Err(outcome),
    };
    let logout = config.end_sessions(action, request, found);
    WithBodyTokenFuture::from(ResponseFuture::logging_out(logout))
}
