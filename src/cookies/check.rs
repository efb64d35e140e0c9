//! The checks of a cookie: a browser must neither drop nor ignore any part of it.

use cookie::{Cookie, SameSite};

use super::attributes::path;
use crate::error::ConfigError;

/// Browsers ignore longer attribute values (RFC 6265bis §5.6).
const MAX_ATTRIBUTE_LEN: usize = 1024;

pub(super) fn check(cookie: &Cookie<'static>) -> Result<(), ConfigError> {
    check_syntax(cookie)?;
    let secure = ("Secure", cookie.secure() == Some(true));
    let http_only = ("HttpOnly", cookie.http_only() == Some(true));
    let no_domain = ("no Domain", cookie.domain().is_none());
    let root = ("Path=/", path(cookie) == "/");
    // Browsers ignore the case of prefixes (RFC 6265bis §5.7).
    let name = cookie.name().to_ascii_lowercase();
    let demands: [(_, _, &[_]); 6] = [
        ("__Secure-", name.starts_with("__secure-"), &[secure]),
        (
            "__Host-",
            name.starts_with("__host-"),
            &[secure, no_domain, root],
        ),
        ("__Http-", name.starts_with("__http-"), &[secure, http_only]),
        (
            "__Host-Http-",
            name.starts_with("__host-http-"),
            &[http_only],
        ),
        (
            "SameSite=None",
            cookie.same_site() == Some(SameSite::None),
            &[secure],
        ),
        ("Partitioned", cookie.partitioned() == Some(true), &[secure]),
    ];
    for (because, applies, requirements) in demands {
        for (requires, met) in requirements {
            if applies && !met {
                return Err(ConfigError::UnmetCookieRequirement {
                    name: cookie.name().into(),
                    because,
                    requires,
                });
            }
        }
    }
    Ok(())
}

fn check_syntax(cookie: &Cookie<'static>) -> Result<(), ConfigError> {
    let name = cookie.name();
    if name.is_empty() || !name.bytes().all(is_token_char) {
        return Err(ConfigError::InvalidCookieName { name: name.into() });
    }
    let invalid = |attribute, value: &str| {
        Err(ConfigError::InvalidCookieAttribute {
            name: name.into(),
            attribute,
            value: value.into(),
        })
    };
    let path = path(cookie);
    let visible = |value: &str| {
        value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';')
    };
    if !path.starts_with('/') || path.len() > MAX_ATTRIBUTE_LEN || !visible(path) {
        return invalid("Path", path);
    }
    match cookie.domain() {
        Some(domain)
            if domain.is_empty()
                || domain.len() > MAX_ATTRIBUTE_LEN
                || !domain
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) =>
        {
            invalid("Domain", domain)
        }
        _ => Ok(()),
    }
}

pub(super) fn duplicate(cookie: &Cookie<'static>) -> ConfigError {
    ConfigError::DuplicateCookie {
        name: cookie.name().into(),
    }
}

/// Whether the byte is a `tchar` (RFC 9110 §5.6.2).
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
