//! The `Set-Cookie` header that removes a cookie.

use cookie::Cookie;
use http::HeaderValue;

use super::path;
use crate::error::ConfigError;

/// Writes the removal of a cookie. The default cookies get exactly the text of docs/endpoint.md.
pub(super) fn removal(cookie: &Cookie<'static>) -> Result<HeaderValue, ConfigError> {
    let mut text = format!(
        "{}=; Path={}; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0",
        cookie.name(),
        path(cookie),
    );
    if let Some(domain) = cookie.domain() {
        text = format!("{text}; Domain={domain}");
    }
    if cookie.http_only() == Some(true) {
        text.push_str("; HttpOnly");
    }
    if let Some(same_site) = cookie.same_site() {
        text = format!("{text}; SameSite={same_site}");
    }
    if cookie.secure() == Some(true) {
        text.push_str("; Secure");
    }
    if cookie.partitioned() == Some(true) {
        text.push_str("; Partitioned");
    }
    HeaderValue::try_from(text).map_err(|_| ConfigError::InvalidCookieName {
        name: cookie.name().into(),
    })
}
