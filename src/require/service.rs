//! The middleware.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::Head;
use super::body::ResponseBody;
use super::check::{Check, First};
use super::future::ResponseFuture;
use super::lookup::SessionLookup;
use crate::csrf::content_type::is_grpc;

/// Middleware that passes a request on only if its session is live.
///
/// Created by [`RequireSessionLayer`](super::RequireSessionLayer).
pub struct RequireSession<S, T> {
    inner: S,
    check: Arc<Check<T>>,
}

impl<S, T> RequireSession<S, T> {
    pub(super) fn new(inner: S, check: Arc<Check<T>>) -> Self {
        Self { inner, check }
    }
}

impl<S: Clone, T> Clone for RequireSession<S, T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.check))
    }
}

impl<S: fmt::Debug, T> fmt::Debug for RequireSession<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireSession")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for RequireSession<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    T: SessionLookup,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        };
        match self.check.first(&head) {
            First::Pass(watching) => {
                watching.announce(request.extensions_mut());
                ResponseFuture::calling(self.inner.call(request), watching)
            }
            First::Refuse(refusal) => {
                let is_grpc = is_grpc(request.headers());
                ResponseFuture::refused(self.check.refuse(refusal, is_grpc))
            }
            First::Ask(store, id, watching) => {
                let is_grpc = is_grpc(request.headers());
                // The service that was polled to readiness is the one to call.
                let ready = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, ready);
                let extensions = std::mem::take(request.extensions_mut());
                let checked = Arc::clone(&self.check).ask(store, id, extensions, is_grpc);
                ResponseFuture::asking(Box::pin(checked), watching, ready, request)
            }
        }
    }
}
