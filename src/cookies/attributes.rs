//! The attributes of a cookie: when it is set, and when it is removed.

use cookie::{Cookie, CookieBuilder, SameSite};
use http::HeaderValue;

use crate::error::ConfigError;

/// A cookie with the default attributes.
pub(super) fn template(name: &'static str) -> CookieBuilder<'static> {
    Cookie::build(name)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
}

/// The cookie that sets a value.
pub(super) fn with_value(template: &Cookie<'static>, value: impl Into<String>) -> Cookie<'static> {
    let mut cookie = template.clone();
    cookie.set_value(value.into());
    cookie.set_path(path(template).to_owned());
    cookie
}

/// A cookie of which a browser stores nothing.
pub(super) fn nothing(name: &'static str) -> Cookie<'static> {
    let mut cookie = template(name).build();
    cookie.make_removal();
    cookie
}

/// The `Path` of the cookie, or `/`. Without a `Path`, a browser takes the path of the request, which
/// differs between login and logout.
pub(super) fn path<'c>(cookie: &'c Cookie<'static>) -> &'c str {
    cookie.path().unwrap_or("/")
}

/// The parts that identify a cookie in a browser.
pub(super) fn key<'c>(cookie: &'c Cookie<'static>) -> (&'c str, &'c str, Option<String>, bool) {
    (
        cookie.name(),
        path(cookie),
        cookie.domain().map(str::to_ascii_lowercase),
        cookie.partitioned() == Some(true),
    )
}

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
