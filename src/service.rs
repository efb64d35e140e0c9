//! The service: decides whether a request is a logout, and hands it on.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::{Ready, ready};
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use smallvec::SmallVec;
use tower::Service;

use crate::credential::{Credentials, Sources};
use crate::csrf::Csrf;
use crate::detach::Revoking;
use crate::future::Rest;
use crate::observe::{Hook, Observer};
use crate::outcome::Failure;
use crate::reply::{Answer, Asked};
use crate::revoke::revoke_all;
use crate::route::{Action, Route};
use crate::runtime::{Background, Permit};
use crate::{
    CredentialKinds, FailureKind, Outcome, Refusal, ResponseBody, ResponseFuture, Scope, TokenStore,
};

/// All that a logout needs, decided when the layer was built.
pub(crate) struct Config<T> {
    /// The first is the main one.
    pub(crate) routes: SmallVec<[Route<T>; 1]>,
    pub(crate) csrf: Csrf,
    pub(crate) sources: Sources,
    pub(crate) store: T,
    pub(crate) answer: Arc<Answer>,
    pub(crate) hook: Option<Hook>,
    pub(crate) background: Arc<Background>,
}

impl<T> Config<T> {
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.routes.iter().map(Route::path).collect()
    }
}

impl<T: TokenStore> Config<T> {
    // Out of line, lest the requests that pass pay for its stack.
    #[inline(never)]
    fn log_out<F, B>(
        self: &Arc<Self>,
        action: Action<T>,
        request: Request<B>,
    ) -> ResponseFuture<F> {
        // The body goes here, unread: it has no say, and may never end.
        let (parts, _) = request.into_parts();
        let presented = self.presented(&parts, action.scope);
        let credentials = match &presented {
            Ok((found, _)) => found.kinds,
            Err(outcome) => outcome.credentials(),
        };
        let config = Arc::clone(self);
        let operation = async move {
            // By reference, since what is moved in here is copied.
            match &presented {
                Ok((found, _permit)) => revoke_all(&config.store, action, found).await,
                Err(outcome) => outcome.clone(),
            }
        };
        // Taken apart here, since a request is large to hand on.
        let asked = match &self.answer.other {
            None => Asked::emptied(parts.headers),
            Some(_) => Asked::Whole(Box::new(parts)),
        };
        ResponseFuture::answering(Revoking::new(
            operation,
            Observer::start(self.hook.as_ref(), credentials, action.scope),
            &self.background,
            Rest {
                asked,
                answer: Arc::clone(&self.answer),
            },
        ))
    }

    /// The credentials that are to be ended, and the permit to do so, or what becomes of a request
    /// without a store call.
    fn presented(&self, request: &Parts, scope: Scope) -> Result<(Credentials, Permit), Outcome> {
        let refused = |reason, credentials| Outcome::Refused {
            reason,
            credentials,
            scope,
        };
        self.csrf
            .check(&request.uri, &request.headers)
            .map_err(|reason| refused(reason, CredentialKinds::default()))?;
        let found = self.sources.read(request);
        let failed = |kind| Outcome::Failed(Failure::new(kind).of(found.kinds, scope));
        if found.tokens.is_empty() {
            return Err(match found.unread {
                Some(kind) => failed(kind),
                None if scope != Scope::This => refused(Refusal::NoSubject, found.kinds),
                None if found.kinds.is_empty() => Outcome::NoCredential,
                None => Outcome::AlreadyEnded {
                    credentials: found.kinds,
                    scope,
                },
            });
        }
        match self.background.try_begin() {
            Some(permit) => Ok((found, permit)),
            None => Err(failed(FailureKind::Overloaded)),
        }
    }
}

/// Middleware that answers logouts and passes everything else to the inner service.
///
/// Made by [`LogoutLayer`](crate::LogoutLayer). The inner service need not be `Clone`; what is
/// passed is neither boxed nor copied, and its error type stays as it is.
pub struct Logout<S, T> {
    inner: S,
    config: Arc<Config<T>>,
}

impl<S, T> Logout<S, T> {
    pub(crate) fn new(inner: S, config: Arc<Config<T>>) -> Self {
        Self { inner, config }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed in its place.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, without the layer.
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

/// The logout as an endpoint of its own, for `Router::route_service` and the like.
///
/// Made by [`LogoutLayer::endpoint`](crate::LogoutLayer::endpoint). It answers `POST` on whatever
/// path it is mounted, and every other method with `405`.
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
