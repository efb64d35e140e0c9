//! The middleware, and what all services of a layer share.

use std::fmt;
#[cfg(feature = "tokio")]
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use smallvec::SmallVec;
use tower::Service;

use crate::body::ResponseBody;
use crate::csrf::Csrf;
use crate::detach::{Detachable, InFlight, Permit};
#[cfg(feature = "ended")]
use crate::ended::EndedSessions;
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
    pub(crate) also_delete: bool,
    pub(crate) csrf: Csrf,
    pub(crate) sources: Sources,
    pub(crate) require_token: bool,
    pub(crate) store: T,
    pub(crate) answer: Arc<Answer>,
    pub(crate) on_outcome: Option<OnOutcome>,
    #[cfg(feature = "ended")]
    pub(crate) ended: Option<EndedSessions>,
    pub(crate) in_flight: Arc<InFlight>,
}

impl<T> Config<T> {
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.routes.iter().map(Route::path).collect()
    }
}

impl<T: TokenStore> Config<T> {
    /// Returns what the requests of a logout are for, or `None` for other requests.
    #[inline]
    pub(crate) fn find<B>(&self, request: &Request<B>) -> Option<&Action<T>> {
        Route::find(&self.routes, self.also_delete, request)
    }

    // Not inlined, so that other requests do not need its stack frame.
    #[inline(never)]
    pub(crate) fn log_out<F, B>(
        self: &Arc<Self>,
        action: Action<T>,
        request: Request<B>,
    ) -> ResponseFuture<F> {
        // The body is dropped unread: a logout does not need it, and it may never end.
        let (request, _) = request.into_parts();
        let checked = self.check(&request, action.scope);
        let found = checked.map(|()| Presented::default());
        ResponseFuture::logging_out(self.end_sessions(action, request, found))
    }

    /// Checks that the request is not forged.
    pub(crate) fn check(&self, request: &Parts, scope: Scope) -> Result<(), Outcome> {
        self.csrf
            .check(request)
            .map_err(|rejection| rejected(rejection, TokenSourceKinds::default(), scope))
    }

    /// Ends the sessions of the tokens in the request and of those found in its body.
    #[inline]
    pub(crate) fn end_sessions(
        self: &Arc<Self>,
        action: Action<T>,
        request: Parts,
        found: Result<Presented, Outcome>,
    ) -> LoggingOut {
        let presented = found.and_then(|found| self.presented(&request, found, action.scope));
        let token_sources = match &presented {
            Ok((presented, _)) => presented.kinds,
            Err(decided) => decided.token_sources(),
        };
        let observer = Observer::start(self.on_outcome.as_ref(), token_sources, action.scope);
        let config = Arc::clone(self);
        let operation = async move {
            // Borrowed, because the compiler copies a value on each further move.
            match &presented {
                Ok((presented, _permit)) => {
                    let revoked = revoke_all(&config.store, action, &presented.tokens).await;
                    #[cfg(feature = "ended")]
                    let revoked = match &config.ended {
                        Some(ended) => revoked.end_on(ended).await,
                        None => revoked,
                    };
                    revoked.outcome(presented, action.scope)
                }
                Err(decided) => decided.clone(),
            }
        };
        LoggingOut {
            operation: Detachable::new(operation, observer, &self.in_flight),
            request: self.answer.needs(request),
            answer: Arc::clone(&self.answer),
        }
    }

    /// Returns the tokens to revoke with a permit, or the outcome of a request that needs no store call.
    fn presented(
        &self,
        request: &Parts,
        mut found: Presented,
        scope: Scope,
    ) -> Result<(Presented, Permit), Outcome> {
        self.sources.read(request, &mut found);
        let failed = |kind| Outcome::Failed(Failure::new(kind).in_logout(found.kinds, scope));
        if found.tokens.is_empty() {
            return Err(match found.unread {
                Some(kind) => failed(kind),
                None if scope != Scope::This => rejected(Rejection::NoSubject, found.kinds, scope),
                None if found.kinds.is_empty() && self.require_token => {
                    rejected(Rejection::NoToken, found.kinds, scope)
                }
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

/// Waits until no revocation of the layer runs in the background.
#[cfg(feature = "tokio")]
pub(crate) fn drain<T>(config: &Config<T>) -> impl Future<Output = ()> + Send + use<T> {
    let in_flight = Arc::clone(&config.in_flight);
    async move { in_flight.drained().await }
}

fn rejected(rejection: Rejection, token_sources: TokenSourceKinds, scope: Scope) -> Outcome {
    Outcome::Rejected {
        rejection,
        token_sources,
        scope,
    }
}

/// Middleware that answers logout requests and passes all others to the inner service.
///
/// Created by [`LogoutLayer`](crate::layer::LogoutLayer). The inner service need not be `Clone`. Its
/// requests and responses are neither boxed nor copied, and its error type stays the same.
pub struct Logout<S, T> {
    pub(crate) inner: S,
    pub(crate) config: Arc<Config<T>>,
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
        match self.config.find(&request) {
            Some(action) => self.config.log_out(*action, request),
            None => ResponseFuture::passed(self.inner.call(request)),
        }
    }
}
