//! The errors of a configuration.

use std::fmt;

/// A configuration with which a logout could not work, or would not be safe.
///
/// Returned by [`AuthCookiesBuilder::build`](crate::cookies::AuthCookiesBuilder::build),
/// [`LogoutLayerBuilder::build`](crate::builder::LogoutLayerBuilder::build),
/// [`OriginCheck::add_trusted_origin`](crate::csrf::OriginCheck::add_trusted_origin),
/// [`Redirect`](crate::reply::Redirect), [`TokenSource::header`](crate::token::TokenSource::header) and
/// [`TokenSource::metadata`](crate::token::TokenSource::metadata). The text of `Display` says what is
/// wrong and how to fix it, and so does `Debug`, which `unwrap` and `expect` print.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// No request line can contain the logout path.
    #[non_exhaustive]
    InvalidPath {
        /// The path as given.
        path: String,
    },
    /// Neither JSON nor the own origin is required (`require_json(false)`), and there is no origin check, so
    /// a form on any site could send a logout.
    NoCsrfProof,
    /// Two logouts have the same path.
    #[non_exhaustive]
    DuplicatePath {
        /// The path of both.
        path: String,
    },
    /// The name of a cookie is empty or has a character that RFC 6265 §4.1.1 does not allow.
    #[non_exhaustive]
    InvalidCookieName {
        /// The name as given.
        name: String,
    },
    /// A browser would ignore the `Path` or `Domain` of a cookie.
    #[non_exhaustive]
    InvalidCookieAttribute {
        /// The cookie's name.
        name: String,
        /// `"Path"` or `"Domain"`.
        attribute: &'static str,
        /// The value as given.
        value: String,
    },
    /// The cookie lacks an attribute that its name prefix, `SameSite=None` or `Partitioned` requires.
    ///
    /// A browser would drop both the cookie and its removal.
    #[non_exhaustive]
    UnmetCookieRequirement {
        /// The name of the cookie.
        name: String,
        /// The prefix or attribute with the requirement, for example `"__Host-"` or `"SameSite=None"`.
        because: &'static str,
        /// The missing attribute, for example `"Secure"` or `"Path=/"`.
        requires: &'static str,
    },
    /// The access and the refresh cookie have the same name, or one cookie is described twice.
    #[non_exhaustive]
    DuplicateCookie {
        /// The name of both.
        name: String,
    },
    /// No browser would send a cookie with a token to the logout path, because its `Path` does not cover
    /// it.
    #[non_exhaustive]
    CookieNotSent {
        /// The name of the cookie.
        name: String,
        /// The `Path` of the cookie.
        cookie_path: String,
        /// The logout path, as a browser sees it.
        logout_path: String,
    },
    /// A [`TokenSource`](crate::token::TokenSource) names a header that cannot contain a token.
    #[non_exhaustive]
    InvalidTokenHeader {
        /// The name of the header as given.
        name: String,
    },
    /// A [`TokenSource`](crate::token::TokenSource) names a metadata key that cannot contain a token.
    #[non_exhaustive]
    InvalidTokenMetadata {
        /// The key as given.
        key: String,
    },
    /// A browser might read the target of a redirect as another page.
    #[non_exhaustive]
    InvalidRedirect {
        /// The target as given.
        target: String,
    },
    /// No browser sends this text as an `Origin`.
    #[non_exhaustive]
    InvalidOrigin {
        /// The origin as given.
        origin: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPath { path } => write!(
                f,
                "no request can have the path {path:?}: write it as on the request line, \
                 for example \"/auth/logout\", without host, query or fragment"
            ),
            Self::NoCsrfProof => f.write_str(
                "a form on any site could log your users out: keep require_json on, or set an \
                 origin_check",
            ),
            Self::DuplicatePath { path } => write!(
                f,
                "two logouts have the path {path:?}: give each logout its own path"
            ),
            Self::InvalidCookieName { name } => write!(
                f,
                "no browser accepts a cookie named {name:?}: use letters, digits and \
                 !#$%&'*+-.^_`|~ only"
            ),
            Self::InvalidCookieAttribute {
                name,
                attribute,
                value,
            } => write!(
                f,
                "a browser would ignore {attribute}={value:?} of cookie {name:?}: start a Path \
                 with '/', use a host name as the Domain, and write both in ASCII of at most 1024 \
                 bytes without spaces, control characters or ';'"
            ),
            Self::UnmetCookieRequirement {
                name,
                because,
                requires,
            } => write!(
                f,
                "a browser would drop cookie {name:?}: {because} requires {requires}"
            ),
            Self::DuplicateCookie { name } => write!(
                f,
                "cookie {name:?} is described twice: give each cookie its own name, or each further \
                 cookie of the same name another Path or Domain"
            ),
            Self::CookieNotSent {
                name,
                cookie_path,
                logout_path,
            } => write!(
                f,
                "no browser would send cookie {name:?} with Path={cookie_path} to {logout_path}: \
                 give the cookie a Path that covers the logout path, move the logout path below \
                 {cookie_path}, or set public_prefix if a proxy or a router strips a prefix"
            ),
            Self::InvalidTokenHeader { name } => write!(
                f,
                "no token can be read from a header named {name:?}: name a header whose value is a \
                 token and nothing else, for example \"x-refresh-token\""
            ),
            Self::InvalidTokenMetadata { key } => write!(
                f,
                "no token can be read from gRPC metadata with the key {key:?}: use an ASCII key \
                 that neither ends in \"-bin\" nor begins with \"grpc-\", for example \
                 \"refresh-token\", or read the token with TokenSource::from_fn"
            ),
            Self::InvalidRedirect { target } => write!(
                f,
                "a browser might read {target:?} as another page: use a path such as \"/login\", or \
                 an http or https URL without a user name, in ASCII without spaces or '\\\\'"
            ),
            Self::InvalidOrigin { origin } => write!(
                f,
                "no browser sends {origin:?} as an Origin: write the scheme and the host in lower \
                 case, international names in punycode, and the port only if it is not the default, \
                 for example \"https://app.example.com\" or \"capacitor://localhost\""
            ),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}
