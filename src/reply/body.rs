//! The body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// The body of a [`Reply`](super::Reply): bytes, and optional trailers.
///
/// ```
/// use http::HeaderMap;
/// use tower_logout::reply::ReplyBody;
///
/// let body = ReplyBody::from("bye").with_trailers(HeaderMap::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReplyBody {
    /// Empty after the bytes were sent.
    data: Bytes,
    /// Boxed, because trailers are rare and a `HeaderMap` is large.
    trailers: Option<Box<HeaderMap>>,
}

impl ReplyBody {
    /// Sets the trailers to send after the bytes. None by default.
    ///
    /// Over HTTP/1, a client gets trailers only if the client asked for them (RFC 9110 §6.5.1), and hyper
    /// sends only the trailers that the `Trailer` header of the answer names.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use tower_logout::reply::ReplyBody;
    ///
    /// let trailers = HeaderMap::from_iter([("x-checksum".parse().unwrap(), "7".parse().unwrap())]);
    /// let body = ReplyBody::from("bye").with_trailers(trailers);
    /// ```
    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(Box::new(trailers));
        self
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(if self.data.is_empty() {
            let trailers = self.trailers.take();
            trailers.map(|trailers| Ok(Frame::trailers(*trailers)))
        } else {
            Some(Ok(Frame::data(std::mem::take(&mut self.data))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.len() as u64;
        if self.trailers.is_none() {
            return SizeHint::with_exact(length);
        }
        // A server derives `Content-Length` from an exact size. With gRPC-Web the trailers become part of
        // the body, so the length would be too short.
        let mut hint = SizeHint::new();
        hint.set_lower(length);
        hint
    }
}

impl From<Bytes> for ReplyBody {
    fn from(data: Bytes) -> Self {
        Self {
            data,
            trailers: None,
        }
    }
}

impl From<&'static str> for ReplyBody {
    fn from(data: &'static str) -> Self {
        Bytes::from(data).into()
    }
}

impl From<String> for ReplyBody {
    fn from(data: String) -> Self {
        Bytes::from(data).into()
    }
}

impl From<Vec<u8>> for ReplyBody {
    fn from(data: Vec<u8>) -> Self {
        Bytes::from(data).into()
    }
}
