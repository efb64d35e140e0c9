//! What a configuration can get wrong.

use std::fmt;

/// A configuration that could not keep the promise, refused when it is built.
///
/// Returned by [`AuthCookiesBuilder::build`](crate::cookies::AuthCookiesBuilder::build),
/// [`LogoutLayerBuilder::build`](crate::builder::LogoutLayerBuilder::build),
/// [`OriginCheck::add_trusted_origin`](crate::csrf::OriginCheck::add_trusted_origin) and
/// [`Redirect`](crate::reply::Redirect). Its `Display` says what was wrong and what
/// to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The logout path is not one that a request line can hold.
    #[non_exhaustive]
    InvalidPath {
        /// The path as given.
        path: String,
    },
    /// A logout would need neither JSON nor an origin check, so a form of any site could send one.
    NoCsrfProof,
    /// Two logouts are described under the same path.
    #[non_exhaustive]
    DuplicatePath {
        /// The path they share.
        path: String,
    },
    /// A cookie's name is empty or holds a character that RFC 6265 §4.1.1 does not allow.
    #[non_exhaustive]
    InvalidCookieName {
        /// The name as given.
        name: String,
    },
    /// A cookie's `Path` or `Domain` is one that a browser would ignore.
    #[non_exhaustive]
    InvalidCookieAttribute {
        /// The cookie's name.
        name: String,
        /// `"Path"` or `"Domain"`.
        attribute: &'static str,
        /// The value as given.
        value: String,
    },
    /// A name prefix, `SameSite=None` or `Partitioned` demands what the cookie does not have, so
    /// that a browser would drop it when it is set, and its removal as well.
    #[non_exhaustive]
    UnmetCookieRequirement {
        /// The cookie's name.
        name: String,
        /// What makes the demand: `"__Host-"`, `"SameSite=None"`, …
        because: &'static str,
        /// What is demanded: `"Secure"`, `"Path=/"`, …
        requires: &'static str,
    },
    /// Two cookies are described under the same name, or one removal twice.
    #[non_exhaustive]
    DuplicateCookie {
        /// The name they share.
        name: String,
    },
    /// The refresh cookie's `Path` does not cover the logout path: no browser would send it there.
    #[non_exhaustive]
    RefreshCookieNotSent {
        /// The refresh cookie's name.
        name: String,
        /// Its `Path`.
        cookie_path: String,
        /// The logout path.
        logout_path: String,
    },
    /// A token is to be read from a header that can hold none.
    #[non_exhaustive]
    InvalidTokenHeader {
        /// The header's name as given.
        name: String,
    },
    /// A token is to be read from gRPC metadata that can hold none.
    #[non_exhaustive]
    InvalidTokenMetadata {
        /// The key as given.
        key: String,
    },
    /// The target of a redirect is one that a browser might read as another.
    #[non_exhaustive]
    InvalidRedirect {
        /// The target as given.
        target: String,
    },
    /// A trusted origin is not one that a browser would send.
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
                "no request can have the path {path:?}: give it as on the request line, \
                 such as \"/auth/logout\", without host, query or fragment"
            ),
            Self::NoCsrfProof => f.write_str(
                "a form on any site could log your users out: leave require_json on, or set an \
                 origin_check",
            ),
            Self::DuplicatePath { path } => write!(
                f,
                "two logouts have the path {path:?}: give each scope a path of its own"
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
                "a browser would ignore {attribute}={value:?} of cookie {name:?}: a Path starts \
                 with '/', a Domain is a host name, both are ASCII of at most 1024 bytes without \
                 spaces, control characters or ';'"
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
                "cookie {name:?} is described twice: give each cookie a name of its own, and each \
                 further removal another Path or Domain"
            ),
            Self::RefreshCookieNotSent {
                name,
                cookie_path,
                logout_path,
            } => write!(
                f,
                "no browser would send cookie {name:?} with Path={cookie_path} to {logout_path}: \
                 give it a Path that covers the logout path, or move the logout path below it"
            ),
            Self::InvalidTokenHeader { name } => write!(
                f,
                "no token can be read from a header named {name:?}: give the name of a header that \
                 holds a token and nothing else, such as \"x-refresh-token\""
            ),
            Self::InvalidTokenMetadata { key } => write!(
                f,
                "no token can be read from gRPC metadata with the key {key:?}: give an ASCII key \
                 that neither ends in \"-bin\" nor begins with \"grpc-\", such as \
                 \"refresh-token\", or read it with TokenSource::from_fn"
            ),
            Self::InvalidRedirect { target } => write!(
                f,
                "a browser might read {target:?} as another page: give a path such as \"/login\", or \
                 an http or https URL without a user name, in ASCII without spaces and '\\\\'"
            ),
            Self::InvalidOrigin { origin } => write!(
                f,
                "no browser sends {origin:?} as an Origin: give scheme and host in lower case, \
                 and the port only where it is not the default, such as \
                 \"https://app.example.com\" or \"capacitor://localhost\"; international names in \
                 punycode"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
