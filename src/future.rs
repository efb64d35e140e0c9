//! The response future: the inner service's, or a logout.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::ResponseBody;
use crate::detach::Revoking;
use crate::reply::{Answer, Asked, ReplyBody};

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
        Answering { revoking: Revoking<Rest> },
    }
}

/// What it takes to answer, once the outcome is there.
pub(crate) struct Rest {
    pub(crate) asked: Asked,
    pub(crate) answer: Arc<Answer>,
}

impl<F> ResponseFuture<F> {
    #[inline]
    pub(crate) fn passed(future: F) -> Self {
        Self {
            inner: Inner::Passed { future },
        }
    }

    pub(crate) fn answering(revoking: Revoking<Rest>) -> Self {
        Self {
            inner: Inner::Answering { revoking },
        }
    }
}

#[inline(never)]
fn poll_answer(revoking: &mut Revoking<Rest>, cx: &mut Context<'_>) -> Poll<Response<ReplyBody>> {
    let (outcome, rest) = ready!(Pin::new(revoking).poll(cx));
    Poll::Ready(rest.answer.to(outcome, rest.asked))
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
            InnerProj::Answering { revoking } => {
                poll_answer(revoking, cx).map(|response| Ok(response.map(ResponseBody::answer)))
            }
        }
    }
}
