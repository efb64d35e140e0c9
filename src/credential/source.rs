//! The tokens in a request's other headers.

use std::fmt;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

use super::{Bounds, CredentialKind, Credentials, Token};
use crate::media_type::is_grpc;
use crate::{ConfigError, FailureKind};

/// A user's own.
type Find = Box<dyn Fn(&Parts, &mut dyn FnMut(Token) -> bool) + Send + Sync>;

/// A place that is looked at besides the refresh cookie.
pub(crate) enum Source {
    Bearer,
    Header(HeaderName),
    Metadata(HeaderName),
    Custom(Find),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("Bearer"),
            Self::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Self::Metadata(key) => f.debug_tuple("Metadata").field(key).finish(),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl Source {
    pub(crate) fn header(name: &str) -> Result<Self, ConfigError> {
        match name.parse() {
            // All cookies in one would be no token, and neither is one with its scheme.
            Ok(name) if name != COOKIE && name != AUTHORIZATION => Ok(Self::Header(name)),
            _ => Err(ConfigError::InvalidTokenHeader { name: name.into() }),
        }
    }

    /// A key with `-bin` holds base64 of what need not be text, and `grpc-` is gRPC's own.
    pub(crate) fn metadata(key: &str) -> Result<Self, ConfigError> {
        match key.parse::<HeaderName>() {
            Ok(name) if !name.as_str().ends_with("-bin") && !name.as_str().starts_with("grpc-") => {
                Ok(Self::Metadata(name))
            }
            _ => Err(ConfigError::InvalidTokenMetadata { key: key.into() }),
        }
    }

    pub(crate) fn custom<F, I>(find: F) -> Self
    where
        F: Fn(&Parts) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = Token>,
    {
        Self::Custom(Box::new(move |request, add| {
            for token in find(request) {
                if !add(token) {
                    break;
                }
            }
        }))
    }

    pub(super) fn read(&self, request: &Parts, bounds: &Bounds, found: &mut Credentials) {
        let mut add = |kind, value: &[u8]| {
            found.add(kind, value, bounds.token_len, bounds);
            found.unread != Some(FailureKind::TooManyTokens)
        };
        match self {
            Self::Bearer => {
                for value in request.headers.get_all(AUTHORIZATION) {
                    if let Some(token) = after_bearer(value.as_bytes()) {
                        add(CredentialKind::Bearer, token);
                    }
                }
            }
            Self::Header(name) => {
                for value in request.headers.get_all(name) {
                    add(CredentialKind::Header, value.as_bytes().trim_ascii());
                }
            }
            Self::Metadata(key) => {
                if is_grpc(&request.headers) {
                    for value in request.headers.get_all(key) {
                        add(CredentialKind::Metadata, value.as_bytes().trim_ascii());
                    }
                }
            }
            Self::Custom(find) => find(request, &mut |token| {
                add(CredentialKind::Custom, token.expose().as_bytes())
            }),
        }
    }
}

/// RFC 6750 §2.1, with the scheme in any case (RFC 9110 §11.1).
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
    fn a_header_that_can_hold_no_token_is_refused() {
        for name in ["", "x token", "x-t\u{f6}ken", "cookie", "Cookie", "a:b"] {
            assert!(Source::header(name).is_err(), "{name:?}");
        }
        assert!(Source::header("X-Refresh-Token").is_ok());
        for key in ["", "token-bin", "Token-Bin", "grpc-status", "a b"] {
            assert!(Source::metadata(key).is_err(), "{key:?}");
        }
        assert!(Source::metadata("refresh-token").is_ok());
    }
}
