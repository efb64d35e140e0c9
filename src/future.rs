//! The response future: the inner service's, or a logout.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::{Either, Ready};
use http::{HeaderMap, Response};
use pin_project_lite::pin_project;

use crate::reply::Answer;
use crate::revoke::Revoking;
use crate::{Outcome, ResponseBody};

pin_project! {
    /// Response future of [`Logout`](crate::Logout) and [`LogoutEndpoint`](crate::LogoutEndpoint).
    ///
    /// Dropped before it has answered a logout, it hands the revocation to the tokio runtime
    /// (feature `tokio`), where it runs on.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Inner<F>,
    }
}

pin_project! {
    #[project = InnerProj]
    enum Inner<F> {
        Passed { #[pin] future: F },
        // Boxed, so that a pass-through future is no larger than it needs to be.
        Answering { answering: Box<Answering> },
    }
}

/// A logout on its way to its answer.
pub(crate) struct Answering {
    pub(crate) outcome: Either<Ready<Outcome>, Revoking>,
    pub(crate) headers: HeaderMap,
    pub(crate) answer: Arc<Answer>,
}

impl Answering {
    #[inline(never)]
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Response<Bytes>> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        let headers = std::mem::take(&mut self.headers);
        Poll::Ready(self.answer.to(outcome, headers))
    }
}

impl<F> ResponseFuture<F> {
    #[inline]
    pub(crate) fn passed(future: F) -> Self {
        Self {
            inner: Inner::Passed { future },
        }
    }

    pub(crate) fn answering(answering: Answering) -> Self {
        Self {
            inner: Inner::Answering {
                answering: Box::new(answering),
            },
        }
    }
}

impl<F> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().inner.project() {
            InnerProj::Passed { future } => future
                .poll(cx)
                .map(|result| result.map(|response| response.map(ResponseBody::passed))),
            InnerProj::Answering { answering } => answering
                .poll_answer(cx)
                .map(|response| Ok(response.map(ResponseBody::answer))),
        }
    }
}
