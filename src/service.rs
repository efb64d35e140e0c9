//! The services: the middleware and the endpoint.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use smallvec::SmallVec;
use std::future::{Ready, ready};
use tower::Service;

use crate::body::ResponseBody;
use crate::csrf::Csrf;
use crate::detach::{Detachable, InFlight, Permit};
use crate::future::{LoggingOut, ResponseFuture};
use crate::observe::{Observer, OnOutcome};
use crate::outcome::{Failure, FailureKind, Outcome, Rejection};
use crate::reply::Answer;
use crate::revoke::revoke_all;
use crate::route::{Action, Route};
use crate::store::{Scope, TokenStore};
use crate::token::{Presented, Sources, TokenSourceKinds};

/// The settings of a layer, shared by its services.
pub(crate) struct Config<T> {
    /// The first route is the one of `path`.
    pub(crate) routes: SmallVec<[Route<T>; 1]>,
    pub(crate) csrf: Csrf,
    pub(crate) sources: Sources,
    pub(crate) store: T,
    pub(crate) answer: Arc<Answer>,
    pub(crate) on_outcome: Option<OnOutcome>,
    pub(crate) in_flight: Arc<InFlight>,
}

impl<T> Config<T> {
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.routes.iter().map(Route::path).collect()
    }
}

impl<T: TokenStore> Config<T> {
    // Not inlined, so that other requests do not need its stack frame.
    #[inline(never)]
    fn log_out<F, B>(
        self: &Arc<Self>,
        action: Action<T>,
        request: Request<B>,
    ) -> ResponseFuture<F> {
        // The body is dropped unread: a logout does not need it, and it may never end.
        let (request, _) = request.into_parts();
        let presented = self.presented(&request, action.scope);
        let token_sources = match &presented {
            Ok((presented, _)) => presented.kinds,
            Err(decided) => decided.token_sources(),
        };
        let observer = Observer::start(self.on_outcome.as_ref(), token_sources, action.scope);
        let config = Arc::clone(self);
        let operation = async move {
            // Borrowed, because the compiler copies a value on each further move.
            match &presented {
                Ok((presented, _permit)) => revoke_all(&config.store, action, presented).await,
                Err(decided) => decided.clone(),
            }
        };
        ResponseFuture::logging_out(LoggingOut {
            operation: Detachable::new(operation, observer, &self.in_flight),
            request: self.answer.needs(request),
            answer: Arc::clone(&self.answer),
        })
    }

    /// Returns the tokens to revoke with a permit, or the outcome of a request that needs no store call.
    fn presented(&self, request: &Parts, scope: Scope) -> Result<(Presented, Permit), Outcome> {
        let rejected = |rejection, token_sources| Outcome::Rejected {
            rejection,
            token_sources,
            scope,
        };
        self.csrf
            .check(&request.uri, &request.headers)
            .map_err(|rejection| rejected(rejection, TokenSourceKinds::default()))?;
        let found = self.sources.read(request);
        let failed = |kind| Outcome::Failed(Failure::new(kind).in_logout(found.kinds, scope));
        if found.tokens.is_empty() {
            return Err(match found.unread {
                Some(kind) => failed(kind),
                None if scope != Scope::This => rejected(Rejection::NoSubject, found.kinds),
                None if found.kinds.is_empty() => Outcome::NoToken,
                None => Outcome::Inactive {
                    token_sources: found.kinds,
                    scope,
                },
            });
        }
        match self.in_flight.try_begin() {
            Some(permit) => Ok((found, permit)),
            None => Err(failed(FailureKind::Overloaded)),
        }
    }
}

/// Middleware that answers logout requests and passes all others to the inner service.
///
/// Created by [`LogoutLayer`](crate::layer::LogoutLayer). The inner service need not be `Clone`. Its
/// requests and responses are neither boxed nor copied, and its error type stays the same.
pub struct Logout<S, T> {
    inner: S,
    config: Arc<Config<T>>,
}

impl<S, T> Logout<S, T> {
    pub(crate) fn new(inner: S, config: Arc<Config<T>>) -> Self {
        Self { inner, config }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, T> Clone for Logout<S, T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.config))
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Logout<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logout")
            .field("inner", &self.inner)
            .field("paths", &self.config.paths())
            .finish_non_exhaustive()
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for Logout<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    T: TokenStore,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match Route::find(&self.config.routes, &request) {
            Some(action) => self.config.log_out(*action, request),
            None => ResponseFuture::passed(self.inner.call(request)),
        }
    }
}

/// The logout as a service without an inner service, for example for Axum's `Router::route_service`.
///
/// Created by [`LogoutLayer::endpoint`](crate::layer::LogoutLayer::endpoint). The endpoint ignores the
/// path. `POST` is a logout, and every other method gets a `405` with `Allow: POST`.
pub struct LogoutEndpoint<T> {
    config: Arc<Config<T>>,
    action: Action<T>,
}

impl<T> LogoutEndpoint<T> {
    pub(crate) fn new(config: Arc<Config<T>>, action: Action<T>) -> Self {
        Self { config, action }
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
        if request.method() == Method::POST {
            self.config.log_out(self.action, request)
        } else {
            let mut response = Response::new(Empty::new());
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            ResponseFuture::passed(ready(Ok(response)))
        }
    }
}
