//! The places of a request, besides the refresh cookie, that hold tokens.

use std::fmt;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

use super::Token;
use super::bounds::Bounds;
use super::kind::TokenSourceKind;
use super::presented::Presented;
use crate::csrf::content_type::is_grpc;
use crate::error::ConfigError;
use crate::outcome::FailureKind;

/// A place of a request, besides the refresh cookie, that holds tokens.
///
/// Added by [`LogoutLayerBuilder::token_source`](crate::builder::LogoutLayerBuilder::token_source).
pub struct TokenSource(Place);

enum Place {
    Bearer,
    Header(HeaderName),
    Metadata(HeaderName),
    Custom(Find),
}

type Find = Box<dyn Fn(&Parts, &mut dyn FnMut(Token) -> bool) + Send + Sync>;

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Bearer => f.write_str("Bearer"),
            Place::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Place::Metadata(key) => f.debug_tuple("Metadata").field(key).finish(),
            Place::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl TokenSource {
    /// Reads `Authorization: Bearer` (RFC 6750 §2.1).
    ///
    /// If your bearer tokens are access tokens, your store has to find the session of an access token.
    ///
    /// ```
    /// use tower_logout::TokenSource;
    ///
    /// let source = TokenSource::bearer();
    /// ```
    pub fn bearer() -> Self {
        Self(Place::Bearer)
    }

    /// Reads a header whose value is a token and nothing else.
    ///
    /// If the header occurs several times, each value is a token.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidTokenHeader`] for `Cookie`, for `Authorization`, and for a name that is not a
    /// valid header name.
    ///
    /// ```
    /// use tower_logout::TokenSource;
    ///
    /// assert!(TokenSource::header("x-refresh-token").is_ok());
    /// assert!(TokenSource::header("cookie").is_err());
    /// ```
    pub fn header(name: impl AsRef<str>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        match name.parse() {
            // The value of `Cookie` has other cookies too, and `Authorization` has a scheme before the
            // token.
            Ok(name) if name != COOKIE && name != AUTHORIZATION => Ok(Self(Place::Header(name))),
            _ => Err(ConfigError::InvalidTokenHeader { name: name.into() }),
        }
    }

    /// Reads the metadata of gRPC calls, under a key whose value is a token and nothing else.
    ///
    /// The layer ignores the key in requests that are not gRPC calls. For metadata with `authorization:
    /// Bearer …`, use [`bearer`](Self::bearer).
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidTokenMetadata`] for a key that ends in `-bin` or begins with `grpc-`, and for
    /// a key that is not a valid header name.
    ///
    /// ```
    /// use tower_logout::TokenSource;
    ///
    /// assert!(TokenSource::metadata("refresh-token").is_ok());
    /// assert!(TokenSource::metadata("refresh-token-bin").is_err());
    /// ```
    pub fn metadata(key: impl AsRef<str>) -> Result<Self, ConfigError> {
        let key = key.as_ref();
        match key.parse::<HeaderName>() {
            // The value of a `-bin` key is base64, and gRPC reserves `grpc-`.
            Ok(name) if !name.as_str().ends_with("-bin") && !name.as_str().starts_with("grpc-") => {
                Ok(Self(Place::Metadata(name)))
            }
            _ => Err(ConfigError::InvalidTokenMetadata { key: key.into() }),
        }
    }

    /// Finds tokens with a closure.
    ///
    /// The closure gets the request without its body. If the closure panics, no session is ended, and the
    /// panic reaches the server, like a panic in a handler.
    ///
    /// ```
    /// use tower_logout::{Token, TokenSource};
    ///
    /// /// An outer middleware adds this value to the extensions of the request.
    /// #[derive(Clone)]
    /// struct Found(Token);
    ///
    /// let source = TokenSource::from_fn(|request| Some(request.extensions.get::<Found>()?.0.clone()));
    /// ```
    pub fn from_fn<F, I>(find: F) -> Self
    where
        F: Fn(&Parts) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = Token>,
    {
        Self(Place::Custom(Box::new(move |request, add| {
            for token in find(request) {
                if !add(token) {
                    break;
                }
            }
        })))
    }

    pub(super) fn read(&self, request: &Parts, bounds: &Bounds, found: &mut Presented) {
        let mut add = |kind, value: &[u8]| {
            found.add(kind, value, bounds.token_len, bounds);
            found.unread != Some(FailureKind::TooManyTokens)
        };
        match &self.0 {
            Place::Bearer => {
                for value in request.headers.get_all(AUTHORIZATION) {
                    if let Some(token) = after_bearer(value.as_bytes()) {
                        add(TokenSourceKind::Bearer, token);
                    }
                }
            }
            Place::Header(name) => {
                for value in request.headers.get_all(name) {
                    add(TokenSourceKind::Header, value.as_bytes().trim_ascii());
                }
            }
            Place::Metadata(key) => {
                if is_grpc(&request.headers) {
                    for value in request.headers.get_all(key) {
                        add(TokenSourceKind::Metadata, value.as_bytes().trim_ascii());
                    }
                }
            }
            Place::Custom(find) => find(request, &mut |token| {
                add(TokenSourceKind::Custom, token.expose().as_bytes())
            }),
        }
    }
}

/// The token after `Bearer ` (RFC 6750 §2.1). The case of the scheme is ignored (RFC 9110 §11.1).
fn after_bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_scheme_counts_in_any_case() {
        for value in ["Bearer t", "bearer t", "BEARER  t "] {
            assert_eq!(after_bearer(value.as_bytes()), Some(&b"t"[..]), "{value}");
        }
        for value in ["", "t", "Bearer", "Bearert", "Basic dDp0", "Bearer\tt"] {
            assert_eq!(after_bearer(value.as_bytes()), None, "{value}");
        }
        assert_eq!(after_bearer(b"Bearer "), Some(&b""[..]));
    }

    #[test]
    fn a_header_that_can_hold_no_token_is_rejected() {
        for name in ["", "x token", "x-t\u{f6}ken", "cookie", "Cookie", "a:b"] {
            assert!(TokenSource::header(name).is_err(), "{name:?}");
        }
        assert!(TokenSource::header("X-Refresh-Token").is_ok());
        for key in ["", "token-bin", "Token-Bin", "grpc-status", "a b"] {
            assert!(TokenSource::metadata(key).is_err(), "{key:?}");
        }
        assert!(TokenSource::metadata("refresh-token").is_ok());
    }
}
