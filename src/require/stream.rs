//! The end of a stream with its session.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Extensions, HeaderMap, Response};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::reply::Refusal;
use crate::csrf::content_type::is_grpc;
use crate::ended::{Refused, SessionEnded};

/// The session whose end a response has to see, if any.
#[derive(Default)]
pub(super) struct Watching(pub(super) Option<SessionEnded>);

impl Watching {
    /// Tells the inner service of the session, for what has no response body that could end.
    #[inline]
    pub(super) fn announce(&self, extensions: &mut Extensions) {
        if let Some(session) = &self.0 {
            extensions.insert(session.clone());
        }
    }
}

/// Watches the session of a response body, if the body is a stream.
#[derive(Default)]
pub(super) struct Watch(Option<Pin<Box<Watched>>>);

pin_project! {
    struct Watched {
        #[pin]
        ended: WaitForCancellationFutureOwned,
        // Kept as long as the body, because the last handle forgets the session.
        session: SessionEnded,
        is_grpc: bool,
        has_ended: bool,
    }
}

impl Watch {
    /// Watches a response without a known size. A response of a known size runs out by itself.
    pub(super) fn new<B: Body>(watching: Watching, response: &Response<B>) -> Self {
        if let Some(session) = watching.0 {
            let is_sized = response.body().size_hint().exact().is_some()
                || response.headers().contains_key(CONTENT_LENGTH);
            if !is_sized {
                return Self(Some(Box::pin(Watched {
                    ended: session.waiting(),
                    session,
                    is_grpc: is_grpc(response.headers()),
                    has_ended: false,
                })));
            }
        }
        Self::default()
    }

    /// The last frame, or `None` for no more frames, once the session has ended.
    #[inline]
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(watched) = &mut self.0 {
            return watched.as_mut().poll_end(cx);
        }
        Poll::Pending
    }

    pub(super) fn has_ended(&self) -> bool {
        if let Some(watched) = &self.0 {
            return watched.has_ended;
        }
        false
    }
}

impl Watched {
    fn poll_end(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let this = self.project();
        if *this.has_ended {
            return Poll::Ready(None);
        }
        if this.ended.poll(cx).is_pending() {
            return Poll::Pending;
        }
        *this.has_ended = true;
        let trailers = || {
            let mut trailers = HeaderMap::new();
            let refusal = match this.session.reason() {
                Refused::Ended => Refusal::Ended,
                Refused::Stale => Refusal::Unavailable,
            };
            refusal.grpc_status(&mut trailers);
            Frame::trailers(trailers)
        };
        Poll::Ready(this.is_grpc.then(trailers))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
