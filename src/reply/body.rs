//! The body of an answer.

use bytes::Bytes;
use http::HeaderMap;

/// The body of a [`Reply`](super::Reply): bytes, and trailers behind them if need be.
///
/// ```
/// use http::HeaderMap;
/// use tower_logout::reply::ReplyBody;
///
/// let body = ReplyBody::from("bye").with_trailers(HeaderMap::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReplyBody {
    pub(crate) data: Bytes,
    /// Boxed, lest every body is as large as the rarest.
    pub(crate) trailers: Option<Box<HeaderMap>>,
}

impl ReplyBody {
    /// With these trailers. None by default.
    ///
    /// Over HTTP/1 a client sees them only if it has asked for trailers (RFC 9110 §6.5.1), and from
    /// hyper only those that a `Trailer` header of the answer names.
    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(Box::new(trailers));
        self
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
