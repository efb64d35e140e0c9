//! The response future: it reads the body, and then is the future of the logout.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http::request::Parts;
use pin_project_lite::pin_project;

use super::read::BodyTokens;
use crate::body::ResponseBody;
use crate::future::{LoggingOut, ResponseFuture};
use crate::route::Action;
use crate::service::Config;
use crate::store::TokenStore;

pin_project! {
    /// Response future of [`WithBodyToken`](super::WithBodyToken).
    ///
    /// If the future is dropped before the body has arrived, nothing was done. After that, the future is a
    /// [`ResponseFuture`].
    pub struct WithBodyTokenFuture<F, T> {
        reading: Option<Box<Reading<T>>>,
        #[pin]
        response: ResponseFuture<F>,
    }
}

/// A logout whose body has not arrived. Boxed, so that the future of other requests stays small.
struct Reading<T> {
    body: Pin<Box<dyn Future<Output = BodyTokens> + Send>>,
    request: Parts,
    action: Action<T>,
    config: Arc<Config<T>>,
}

impl<F, T> From<ResponseFuture<F>> for WithBodyTokenFuture<F, T> {
    fn from(response: ResponseFuture<F>) -> Self {
        Self {
            reading: None,
            response,
        }
    }
}

impl<F, T> WithBodyTokenFuture<F, T> {
    pub(super) fn reading(
        body: Pin<Box<dyn Future<Output = BodyTokens> + Send>>,
        request: Parts,
        action: Action<T>,
        config: Arc<Config<T>>,
    ) -> Self {
        Self {
            reading: Some(Box::new(Reading {
                body,
                request,
                action,
                config,
            })),
            response: ResponseFuture::waiting(),
        }
    }
}

/// Waits for the body, and begins the logout.
fn begin<T: TokenStore>(
    reading: &mut Option<Box<Reading<T>>>,
    cx: &mut Context<'_>,
) -> Poll<Option<LoggingOut>> {
    let Some(state) = reading else {
        return Poll::Ready(None);
    };
    let tokens = ready!(state.body.as_mut().poll(cx));
    let logout = reading.take().map(|state| {
        let Reading {
            request,
            action,
            config,
            ..
        } = *state;
        let found = config.sources.read_body(tokens);
        config.end_sessions(action, request, Ok(found))
    });
    Poll::Ready(logout)
}

impl<F, T> fmt::Debug for WithBodyTokenFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithBodyTokenFuture")
            .finish_non_exhaustive()
    }
}

impl<F, T, B, E> Future for WithBodyTokenFuture<F, T>
where
    F: Future<Output = Result<Response<B>, E>>,
    T: TokenStore,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(logout) = ready!(begin(this.reading, cx)) {
            this.response.set(ResponseFuture::logging_out(logout));
        }
        this.response.poll(cx)
    }
}
