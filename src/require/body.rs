//! The response body, which ends with its session if it is a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::stream::Watch;
use crate::body;
use crate::reply::ReplyBody;

pin_project! {
    /// Response body of [`RequireSession`](super::RequireSession).
    ///
    /// The body is either the inner service's body, or the answer to a request that was refused. The body of the
    /// inner service is forwarded unchanged, and may end with its session
    /// ([`end_streams`](super::RequireSessionLayer::end_streams)).
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: body::ResponseBody<B>,
        watch: Watch,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn passed(body: B, watch: Watch) -> Self {
        Self {
            inner: body::ResponseBody::passed(body),
            watch,
        }
    }

    pub(super) fn refused(body: ReplyBody) -> Self {
        Self {
            inner: body::ResponseBody::reply(body),
            watch: Watch::default(),
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::passed(B::default(), Watch::default())
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
        let this = self.project();
        match this.watch.poll_end(cx) {
            Poll::Ready(last) => Poll::Ready(last.map(Ok)),
            Poll::Pending => {
                let frame = ready!(this.inner.poll_frame(cx));
                if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
                    // The body is complete, so that nothing may follow.
                    *this.watch = Watch::default();
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.watch.has_ended() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
