//! One description of the cookies of a login, to set them and to remove them.
//!
//! A browser identifies a cookie by its name, `Domain`, `Path` and partition (RFC 6265bis §5.7), and drops
//! a removal that it would not accept as a cookie. A removal therefore has to repeat the attributes of its
//! cookie.

mod builder;
mod check;
mod encoding;
mod removal;

use cookie::{Cookie, CookieBuilder, SameSite};
use http::HeaderValue;

pub use self::builder::AuthCookiesBuilder;
pub use self::encoding::CookieEncoding;

use crate::error::ConfigError;

const ACCESS_COOKIE: &str = "accessToken";
const REFRESH_COOKIE: &str = "refreshToken";

/// The cookies of a login.
///
/// The default is `accessToken` and `refreshToken`, both with `Path=/`, `HttpOnly` and `SameSite=Lax`. They
/// have no `Secure`, so that the removal works over http as well as https.
///
/// If your site uses https, give the cookies names that begin with `__Host-`. Another host of your site can
/// plant a cookie of any other name, and a browser would send the planted cookie together with the real
/// one.
///
/// # Example
///
/// ```
/// use cookie::{Cookie, SameSite};
/// use tower_logout::{AuthCookies, LogoutLayer, Revocation, store_fn};
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let cookies = AuthCookies::builder()
///     .access(
///         Cookie::build("accessToken")
///             .path("/")
///             .secure(true)
///             .http_only(true)
///             .same_site(SameSite::Lax),
///     )
///     .refresh(
///         Cookie::build("refreshToken")
///             .path("/auth")
///             .secure(true)
///             .http_only(true)
///             .same_site(SameSite::Strict),
///     )
///     .build()?;
///
/// // At login and refresh:
/// assert_eq!(
///     cookies.refresh("7d1c").to_string(),
///     "refreshToken=7d1c; HttpOnly; SameSite=Strict; Secure; Path=/auth",
/// );
/// // At logout:
/// let layer = LogoutLayer::builder(store).cookies(cookies.clone()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AuthCookies {
    access: Cookie<'static>,
    refresh: Cookie<'static>,
    also_refresh: Vec<Cookie<'static>>,
    encoding: CookieEncoding,
    removals: Box<[HeaderValue]>,
}

impl Default for AuthCookies {
    fn default() -> Self {
        Self {
            access: template(ACCESS_COOKIE).build(),
            refresh: template(REFRESH_COOKIE).build(),
            also_refresh: Vec::new(),
            encoding: CookieEncoding::default(),
            removals: Box::new([
                HeaderValue::from_static(
                    "accessToken=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; \
                     HttpOnly; SameSite=Lax",
                ),
                HeaderValue::from_static(
                    "refreshToken=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; \
                     HttpOnly; SameSite=Lax",
                ),
            ]),
        }
    }
}

impl AuthCookies {
    /// Creates a builder that starts from the default cookies.
    pub fn builder() -> AuthCookiesBuilder {
        AuthCookiesBuilder::new()
    }

    /// Returns the access cookie with this value, to set at login and refresh.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    ///
    /// let cookie = AuthCookies::default().access("eyJ0");
    /// assert_eq!(cookie.to_string(), "accessToken=eyJ0; HttpOnly; SameSite=Lax; Path=/");
    /// ```
    pub fn access(&self, value: impl Into<String>) -> Cookie<'static> {
        with_value(&self.access, value)
    }

    /// Returns the refresh cookie with this value, to set at login and refresh.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    ///
    /// let cookie = AuthCookies::default().refresh("7d1c");
    /// assert_eq!(cookie.to_string(), "refreshToken=7d1c; HttpOnly; SameSite=Lax; Path=/");
    /// ```
    pub fn refresh(&self, value: impl Into<String>) -> Cookie<'static> {
        with_value(&self.refresh, value)
    }

    /// The name of the access cookie.
    pub fn access_name(&self) -> &str {
        self.access.name()
    }

    /// The name of the refresh cookie.
    pub fn refresh_name(&self) -> &str {
        self.refresh.name()
    }

    pub(crate) fn refresh_encoding(&self) -> &CookieEncoding {
        &self.encoding
    }

    pub(crate) fn removals(&self) -> &[HeaderValue] {
        &self.removals
    }

    /// The distinct names of the refresh cookie, including older names.
    pub(crate) fn refresh_names(&self) -> impl Iterator<Item = &str> {
        let cookies = self.refresh_cookies();
        cookies.enumerate().filter_map(|(index, cookie)| {
            let mut before = self.refresh_cookies().take(index);
            let is_first = before.all(|other| other.name() != cookie.name());
            is_first.then(|| cookie.name())
        })
    }

    fn refresh_cookies(&self) -> impl Iterator<Item = &Cookie<'static>> {
        std::iter::once(&self.refresh).chain(&self.also_refresh)
    }

    /// Checks that a browser sends the refresh cookies to this path (RFC 6265 §5.1.4).
    pub(crate) fn reach(&self, logout_path: &str) -> Result<(), ConfigError> {
        for cookie in self.refresh_cookies() {
            let cookie_path = path(cookie);
            let covers = logout_path.strip_prefix(cookie_path).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/')
            });
            if !covers {
                return Err(ConfigError::RefreshCookieNotSent {
                    name: cookie.name().into(),
                    cookie_path: cookie_path.into(),
                    logout_path: logout_path.into(),
                });
            }
        }
        Ok(())
    }
}

fn template(name: &'static str) -> CookieBuilder<'static> {
    Cookie::build(name)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
}

fn with_value(template: &Cookie<'static>, value: impl Into<String>) -> Cookie<'static> {
    let mut cookie = template.clone();
    cookie.set_value(value.into());
    cookie.set_path(path(template).to_owned());
    cookie
}

/// The `Path` of the cookie, or `/`. Without a `Path`, a browser takes the path of the request, which
/// differs between login and logout.
fn path<'c>(cookie: &'c Cookie<'static>) -> &'c str {
    cookie.path().unwrap_or("/")
}

/// The parts that identify a cookie in a browser.
fn key<'c>(cookie: &'c Cookie<'static>) -> (&'c str, &'c str, Option<String>, bool) {
    (
        cookie.name(),
        path(cookie),
        cookie.domain().map(str::to_ascii_lowercase),
        cookie.partitioned() == Some(true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_the_builder_starts_from() {
        let built = AuthCookies::builder().build().unwrap();
        assert_eq!(built.removals(), AuthCookies::default().removals());
        assert_eq!(built.access("v"), AuthCookies::default().access("v"));
        assert_eq!(built.refresh("v"), AuthCookies::default().refresh("v"));
    }

    #[test]
    fn a_removal_repeats_every_attribute_of_the_cookie() {
        let cookies = AuthCookies::builder()
            .refresh(
                Cookie::build("refreshToken")
                    .path("/auth")
                    .domain(".example.com")
                    .http_only(true)
                    .same_site(SameSite::None)
                    .secure(true)
                    .partitioned(true),
            )
            .build()
            .unwrap();
        assert_eq!(
            cookies.removals()[1],
            "refreshToken=; Path=/auth; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; \
             Domain=example.com; HttpOnly; SameSite=None; Secure; Partitioned"
        );
    }

    #[test]
    fn a_cookie_without_a_path_is_set_and_removed_with_the_root() {
        let cookies = AuthCookies::builder()
            .access(Cookie::build("access"))
            .build()
            .unwrap();
        assert_eq!(cookies.access("v").to_string(), "access=v; Path=/");
        assert!(
            cookies.removals()[0]
                .to_str()
                .unwrap()
                .starts_with("access=; Path=/;")
        );
    }

    #[test]
    fn the_refresh_cookie_reaches_the_paths_that_rfc_6265_says() {
        let reach = |cookie_path: &'static str, logout_path: &str| {
            AuthCookies::builder()
                .refresh(Cookie::build("r").path(cookie_path))
                .build()
                .unwrap()
                .reach(logout_path)
                .is_ok()
        };
        assert!(reach("/", "/auth/logout"));
        assert!(reach("/auth", "/auth/logout"));
        assert!(reach("/auth/", "/auth/logout"));
        assert!(reach("/auth/logout", "/auth/logout"));
        assert!(!reach("/auth/logout/", "/auth/logout"));
        assert!(!reach("/auth/refresh", "/auth/logout"));
        assert!(!reach("/au", "/auth/logout"));
        assert!(!reach("/AUTH", "/auth/logout"));
    }
}
