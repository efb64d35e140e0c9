//! A refresh token in the body of the request, as mobile clients send it.
//!
//! A logout ignores its body by default. [`LogoutEndpoint::body_token`] and [`LogoutLayer::body_token`] read
//! the body of a logout. Every other request passes with its body unread.
//!
//! [`LogoutEndpoint::body_token`]: crate::endpoint::LogoutEndpoint::body_token
//! [`LogoutLayer::body_token`]: crate::layer::LogoutLayer::body_token

mod fields;
mod future;
mod read;
mod service;

use std::time::Duration;

pub use self::future::WithBodyTokenFuture;
pub use self::service::WithBodyToken;

/// The field of a request body that holds a token.
///
/// The body is a JSON object, or a form with `Content-Type: application/x-www-form-urlencoded`, without a
/// `Content-Encoding`. The layer
/// ends the session of the token in the field, together with the sessions of the tokens in cookies and other
/// places. If the field occurs several times, each value is a token.
///
/// - A body without the field presents no token. So do an empty body, and a field that is empty or `null`.
/// - If the layer cannot read the body, the logout fails with a `500`, because the body may hold a token:
///   [`BodyTooLong`], [`BodyIncomplete`] and [`BodyMalformed`].
/// - The body is read after the checks against forged requests.
/// - The body of a gRPC call is not read. Use
///   [`TokenSource::metadata`](crate::token::TokenSource::metadata).
///
/// A `&str` becomes a `BodyToken` with the default limits.
///
/// ```
/// use std::time::Duration;
/// use tower_logout::body_token::BodyToken;
/// use tower_logout::{LogoutLayer, Revocation, store_fn};
///
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let token = BodyToken::new("refresh_token").with_timeout(Duration::from_secs(2));
/// let logout = LogoutLayer::new(store).endpoint().body_token(token);
/// ```
///
/// [`BodyTooLong`]: crate::outcome::FailureKind::BodyTooLong
/// [`BodyIncomplete`]: crate::outcome::FailureKind::BodyIncomplete
/// [`BodyMalformed`]: crate::outcome::FailureKind::BodyMalformed
#[derive(Clone, Debug)]
#[must_use]
pub struct BodyToken {
    field: String,
    max_len: usize,
    timeout: Duration,
}

impl BodyToken {
    /// Names the field that holds the token.
    ///
    /// ```
    /// tower_logout::body_token::BodyToken::new("refresh_token");
    /// ```
    pub fn new(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            max_len: 16 * 1024,
            timeout: Duration::from_secs(5),
        }
    }

    /// Sets the longest body, in bytes. 16,384 by default.
    ///
    /// ```
    /// tower_logout::body_token::BodyToken::new("refresh_token").with_max_len(4096);
    /// ```
    pub fn with_max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// Sets how long the body may take to arrive. 5 seconds by default.
    ///
    /// Without a tokio runtime there is no timeout.
    ///
    /// # Panics
    ///
    /// A logout panics if the tokio runtime was built without
    /// [`enable_time`](tokio::runtime::Builder::enable_time).
    ///
    /// ```
    /// # use std::time::Duration;
    /// tower_logout::body_token::BodyToken::new("refresh_token").with_timeout(Duration::from_secs(2));
    /// ```
    #[cfg(feature = "tokio")]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl From<&str> for BodyToken {
    fn from(field: &str) -> Self {
        Self::new(field)
    }
}

impl From<String> for BodyToken {
    fn from(field: String) -> Self {
        Self::new(field)
    }
}
