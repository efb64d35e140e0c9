//! The response future: the future of the inner service, or of a logout.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http::request::Parts;
use pin_project_lite::pin_project;

use crate::body::ResponseBody;
use crate::detach::Detachable;
use crate::reply::Answer;

pin_project! {
    /// Response future of [`Logout`](crate::service::Logout) and
    /// [`LogoutEndpoint`](crate::endpoint::LogoutEndpoint).
    ///
    /// If the future of a logout is dropped before the answer, the revocation continues as a task on the
    /// tokio runtime (feature `tokio`).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Inner<F>,
    }
}

pin_project! {
    #[project = InnerProj]
    enum Inner<F> {
        Passed { #[pin] future: F },
        LoggingOut { logout: Option<Box<LoggingOut>> },
    }
}

/// A logout in progress. Boxed, so that the future of other requests stays small.
pub(crate) struct LoggingOut {
    pub(crate) operation: Detachable,
    pub(crate) request: Parts,
    pub(crate) answer: Arc<Answer>,
}

impl<F> ResponseFuture<F> {
    #[inline]
    pub(crate) fn passed(future: F) -> Self {
        Self {
            inner: Inner::Passed { future },
        }
    }

    pub(crate) fn logging_out(logout: LoggingOut) -> Self {
        Self {
            inner: Inner::LoggingOut {
                logout: Some(Box::new(logout)),
            },
        }
    }

    /// A future that is pending until a logout takes its place.
    pub(crate) fn waiting() -> Self {
        Self {
            inner: Inner::LoggingOut { logout: None },
        }
    }
}

/// Cold and not inlined, so that the compiler inlines the poll of other requests into its caller.
#[cold]
#[inline(never)]
fn poll_logout<B, E>(
    logout: &mut Option<Box<LoggingOut>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<ResponseBody<B>>, E>> {
    let Some(state) = logout else {
        return Poll::Pending;
    };
    let outcome = ready!(state.operation.poll_outcome(cx));
    let Some(state) = logout.take() else {
        return Poll::Pending;
    };
    let LoggingOut {
        request, answer, ..
    } = *state;
    let response = answer.to(outcome, request);
    Poll::Ready(Ok(response.map(ResponseBody::reply)))
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
            InnerProj::LoggingOut { logout } => poll_logout(logout, cx),
        }
    }
}
