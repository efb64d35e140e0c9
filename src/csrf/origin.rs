//! The check of `Sec-Fetch-Site` and `Origin`.

use std::collections::HashSet;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Uri};

use crate::error::ConfigError;
use crate::outcome::Rejection;

/// A page with one of these schemes has the origin `null`, or there is no such page.
const OPAQUE_SCHEMES: [&str; 8] = [
    "about",
    "blob",
    "data",
    "file",
    "ftp",
    "javascript",
    "ws",
    "wss",
];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rejects logouts that a browser sent from another origin, by `Sec-Fetch-Site` and `Origin`.
///
/// The algorithm is the one of `net/http.CrossOriginProtection` in Go 1.25. A request passes if
///
/// 1. `Sec-Fetch-Site` is `same-origin` or `none`, or
/// 2. `Origin` is a trusted origin, or
/// 3. there is no `Sec-Fetch-Site`, and there is no `Origin`, or `Origin` has the host and the port of the
///    request.
///
/// A client that is not a browser sends neither header, and passes. Such a client has no cookies that
/// another site could use.
///
/// # Deployment caveat
///
/// Rule 3 compares `Origin` with the authority of the request, or with `Host` if there is no authority. If
/// a proxy rewrites `Host`, browsers from before 2023 are rejected, because they send no `Sec-Fetch-Site`.
/// Trust your public origin with [`add_trusted_origin`](Self::add_trusted_origin) then. If a proxy strips
/// `Origin`, these browsers always pass.
///
/// # Example
///
/// ```
/// use tower_logout::csrf::OriginCheck;
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// let check = OriginCheck::new().add_trusted_origin("https://app.example.com")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OriginCheck {
    trusted: HashSet<String>,
}

impl OriginCheck {
    /// Creates a check that trusts no other origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts another origin. No other origin is trusted by default.
    ///
    /// If the origin is on another site, your cookies need `SameSite=None`. A browser does not send a
    /// cookie with `SameSite=Lax` or `Strict` from another site. Such a logout removes the cookies but ends
    /// no session, and its outcome is [`NoToken`](crate::outcome::Outcome::NoToken).
    ///
    /// ```
    /// use tower_logout::csrf::OriginCheck;
    ///
    /// assert!(OriginCheck::new().add_trusted_origin("https://app.example.com").is_ok());
    /// assert!(OriginCheck::new().add_trusted_origin("https://app.example.com/").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidOrigin`] if a browser would not write the origin this way (RFC 6454 §6.2): the
    /// scheme and the host are in lower case, and there is no default port and no path. Schemes of apps and
    /// extensions are allowed, for example `capacitor://localhost`, `tauri://localhost` and
    /// `chrome-extension://…`.
    pub fn add_trusted_origin(mut self, origin: impl Into<String>) -> Result<Self, ConfigError> {
        let origin = origin.into();
        if is_serialized_origin(&origin) {
            self.trusted.insert(origin);
            Ok(self)
        } else {
            Err(ConfigError::InvalidOrigin { origin })
        }
    }

    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejection> {
        let silent = value(headers, SEC_FETCH_SITE).is_empty() && value(headers, ORIGIN).is_empty();
        if silent || self.is_proved(uri, headers) {
            Ok(())
        } else {
            Err(Rejection::CrossOrigin)
        }
    }

    /// Whether the headers show that no page of another origin sent the request, unless that origin is
    /// trusted. `Sec-Fetch-Site: none` is a navigation that the user began, for example a form sent again.
    pub(super) fn is_proved(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        value(headers, SEC_FETCH_SITE) == b"none" || self.is_same_or_trusted(uri, headers)
    }

    /// Whether the headers show that a page of the request's own origin or of a trusted origin sent the
    /// request.
    pub(super) fn is_same_or_trusted(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let origin = value(headers, ORIGIN);
        let own = match value(headers, SEC_FETCH_SITE) {
            b"same-origin" => true,
            b"" => is_own_origin(origin, uri, headers),
            _ => false,
        };
        own || std::str::from_utf8(origin).is_ok_and(|origin| self.trusted.contains(origin))
    }
}

/// The value of the header, or an empty slice.
fn value(headers: &HeaderMap, name: HeaderName) -> &[u8] {
    headers.get(name).map_or(&[], |value| value.as_bytes())
}

/// Whether the origin has the host and the port of the request. The authority of the request target wins
/// over `Host` (RFC 9112 §3.3).
fn is_own_origin(origin: &[u8], uri: &Uri, headers: &HeaderMap) -> bool {
    let own = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => match headers.get(HOST) {
            Some(host) => host.as_bytes(),
            None => return false,
        },
    };
    ["http://", "https://"]
        .into_iter()
        .filter_map(|scheme| origin.strip_prefix(scheme.as_bytes()))
        .any(|host| !host.is_empty() && host == own)
}

fn is_serialized_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let default_port = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        scheme if OPAQUE_SCHEMES.contains(&scheme) => return false,
        _ => None,
    };
    !authority.host().is_empty()
        && !authority.as_str().contains(['@', '*'])
        && (default_port.is_none() || authority.port_u16() != default_port)
        && origin == format!("{scheme}://{authority}")
        && origin == origin.to_ascii_lowercase()
        && !origin.ends_with(':')
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::csrf::content_type::tests::headers;

    #[test]
    #[allow(clippy::too_many_lines)]
    fn the_origin_check_follows_gos_table() {
        let check = OriginCheck::new()
            .add_trusted_origin("https://trusted.example")
            .unwrap();
        let uri = |text: &str| Request::builder().uri(text).body(()).unwrap().uri().clone();
        // Sec-Fetch-Site, Origin, Host, request target, let through?
        let rows = [
            (None, None, Some("a.example"), "/", true),
            (Some("same-origin"), None, Some("a.example"), "/", true),
            (
                Some("same-origin"),
                Some("https://evil.example"),
                None,
                "/",
                true,
            ),
            (Some("none"), None, Some("a.example"), "/", true),
            (Some("same-site"), None, Some("a.example"), "/", false),
            (Some("cross-site"), None, Some("a.example"), "/", false),
            (
                Some("cross-site"),
                Some("https://a.example"),
                Some("a.example"),
                "/",
                false,
            ),
            (
                Some("cross-site"),
                Some("https://trusted.example"),
                Some("a.example"),
                "/",
                true,
            ),
            (Some("garbage"), None, Some("a.example"), "/", false),
            (
                None,
                Some("https://trusted.example"),
                Some("a.example"),
                "/",
                true,
            ),
            (
                None,
                Some("https://trusted.example:444"),
                Some("a.example"),
                "/",
                false,
            ),
            (
                None,
                Some("https://trusted.example.evil"),
                Some("a.example"),
                "/",
                false,
            ),
            (
                None,
                Some("https://a.example"),
                Some("a.example"),
                "/",
                true,
            ),
            (
                None,
                Some("http://a.example:8080"),
                Some("a.example:8080"),
                "/",
                true,
            ),
            (
                None,
                Some("https://a.example:8443"),
                Some("a.example"),
                "/",
                false,
            ),
            (
                None,
                Some("https://evil.example"),
                Some("a.example"),
                "/",
                false,
            ),
            (None, Some("ftp://a.example"), Some("a.example"), "/", false),
            (None, Some("a.example"), Some("a.example"), "/", false),
            (None, Some("null"), Some("a.example"), "/", false),
            (None, Some("null"), Some("null"), "/", false),
            (None, Some("https://"), None, "/", false),
            (
                None,
                Some("https://a.example"),
                Some("b.example"),
                "https://a.example/",
                true,
            ),
            (
                None,
                Some("https://b.example"),
                Some("b.example"),
                "https://a.example/",
                false,
            ),
        ];
        for (site, origin, host, target, expected) in rows {
            let pairs: Vec<_> = [("sec-fetch-site", site), ("origin", origin), ("host", host)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let seen = check.check(&uri(target), &headers(&pairs)).is_ok();
            assert_eq!(seen, expected, "{site:?} {origin:?} {host:?} {target}");
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_rejected() {
        for origin in [
            "",
            "null",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com?q",
            "https://user@app.example.com",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:",
            "ftp://app.example.com",
            "file://localhost",
            "data://app",
            "capacitor://",
            "capacitor://localhost/",
            "Capacitor://localhost",
            "chrome-extension:gighmmpiobklfepjocnamgkkbiglidom",
            "https://äpp.example.com",
            "https://*.example.com",
        ] {
            assert!(
                OriginCheck::new().add_trusted_origin(origin).is_err(),
                "{origin:?}"
            );
        }
        for origin in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "chrome-extension://gighmmpiobklfepjocnamgkkbiglidom",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "app://obsidian.md",
        ] {
            assert!(
                OriginCheck::new().add_trusted_origin(origin).is_ok(),
                "{origin:?}"
            );
        }
    }
}
