//! The response body: the inner service's, or the answer to a logout.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use crate::reply::ReplyBody;

pin_project! {
    /// Response body of [`Logout`](crate::Logout) and [`LogoutEndpoint`](crate::LogoutEndpoint).
    ///
    /// It is the inner service's body, whose frames, trailers, errors and size hint it forwards
    /// unchanged, or the short body that answers a logout, and its trailers.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Inner<B>,
    }
}

pin_project! {
    #[project = InnerProj]
    #[derive(Debug)]
    enum Inner<B> {
        Passed { #[pin] body: B },
        Answer { #[pin] body: Full<Bytes>, trailers: Option<Box<HeaderMap>> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn passed(body: B) -> Self {
        Self {
            inner: Inner::Passed { body },
        }
    }

    pub(crate) fn answer(body: ReplyBody) -> Self {
        Self {
            inner: Inner::Answer {
                body: Full::new(body.data),
                trailers: body.trailers,
            },
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::passed(B::default())
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().inner.project() {
            InnerProj::Passed { body } => body.poll_frame(cx),
            InnerProj::Answer { body, trailers } => match body.poll_frame(cx) {
                Poll::Ready(None) => Poll::Ready(
                    trailers
                        .take()
                        .map(|trailers| Ok(Frame::trailers(*trailers))),
                ),
                frame => frame.map_err(|never| match never {}),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Passed { body } => body.is_end_stream(),
            Inner::Answer { body, trailers } => body.is_end_stream() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Passed { body } => body.size_hint(),
            Inner::Answer {
                body,
                trailers: None,
            } => body.size_hint(),
            // Of an exact size servers make a `Content-Length`, which would hold for the trailers too
            // where gRPC-Web makes them a part of the body.
            Inner::Answer { body, .. } => {
                let mut hint = SizeHint::new();
                hint.set_lower(body.size_hint().lower());
                hint
            }
        }
    }
}
