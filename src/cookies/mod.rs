//! One description of the cookies of a login, to set them and to remove them.
//!
//! A browser identifies a cookie by its name, `Domain`, `Path` and partition (RFC 6265bis §5.7), and drops
//! a removal that it would not accept as a cookie. A removal therefore has to repeat the attributes of its
//! cookie.

mod attributes;
mod builder;
mod check;
mod encoding;

use cookie::{Cookie, CookieBuilder};
use http::HeaderValue;

pub use self::builder::AuthCookiesBuilder;
pub use self::encoding::CookieEncoding;

use self::attributes::{nothing, path, template, with_value};
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
    access: Option<Cookie<'static>>,
    refresh: Option<Cookie<'static>>,
    also_refresh: Vec<Cookie<'static>>,
    encoding: CookieEncoding,
    removals: Box<[HeaderValue]>,
}

impl Default for AuthCookies {
    fn default() -> Self {
        Self {
            access: Some(template(ACCESS_COOKIE).build()),
            refresh: Some(template(REFRESH_COOKIE).build()),
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

    /// Describes a login with one session cookie and no access cookie. A value is ignored.
    ///
    /// [`refresh`](Self::refresh) then returns the session cookie.
    ///
    /// # Errors
    ///
    /// As [`AuthCookiesBuilder::build`].
    ///
    /// ```
    /// use cookie::{Cookie, SameSite};
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let session = Cookie::build("id").path("/").http_only(true).same_site(SameSite::Strict);
    /// let cookies = AuthCookies::session(session)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(cookie: impl Into<CookieBuilder<'static>>) -> Result<Self, ConfigError> {
        Self::builder().session(cookie).build()
    }

    /// Describes a login without cookies, for example with bearer tokens only.
    ///
    /// A logout reads and removes no cookie. Add the place of the token with
    /// [`token_source`](crate::builder::LogoutLayerBuilder::token_source).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::{AuthCookies, TokenSource};
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .cookies(AuthCookies::none())
    ///     .token_source(TokenSource::bearer())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn none() -> Self {
        Self {
            access: None,
            refresh: None,
            also_refresh: Vec::new(),
            encoding: CookieEncoding::default(),
            removals: Box::default(),
        }
    }

    /// Returns the access cookie with this value, to set at login and refresh.
    ///
    /// If the description has no access cookie, the result is the removal of a cookie, so that a browser
    /// stores nothing that no logout removes.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    ///
    /// let cookie = AuthCookies::default().access("eyJ0");
    /// assert_eq!(cookie.to_string(), "accessToken=eyJ0; HttpOnly; SameSite=Lax; Path=/");
    /// ```
    pub fn access(&self, value: impl Into<String>) -> Cookie<'static> {
        match &self.access {
            Some(access) => with_value(access, value),
            None => nothing(ACCESS_COOKIE),
        }
    }

    /// Returns the refresh cookie with this value, to set at login and refresh.
    ///
    /// If the description has no refresh cookie, the result is the removal of a cookie, so that a browser
    /// stores nothing that no logout removes.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    ///
    /// let cookie = AuthCookies::default().refresh("7d1c");
    /// assert_eq!(cookie.to_string(), "refreshToken=7d1c; HttpOnly; SameSite=Lax; Path=/");
    /// ```
    pub fn refresh(&self, value: impl Into<String>) -> Cookie<'static> {
        match &self.refresh {
            Some(refresh) => with_value(refresh, value),
            None => nothing(REFRESH_COOKIE),
        }
    }

    /// The name of the access cookie. `accessToken` if the description has none.
    pub fn access_name(&self) -> &str {
        self.access.as_ref().map_or(ACCESS_COOKIE, Cookie::name)
    }

    /// The name of the refresh cookie. `refreshToken` if the description has none.
    pub fn refresh_name(&self) -> &str {
        self.refresh.as_ref().map_or(REFRESH_COOKIE, Cookie::name)
    }

    pub(crate) fn refresh_encoding(&self) -> &CookieEncoding {
        &self.encoding
    }

    pub(crate) fn removals(&self) -> &[HeaderValue] {
        &self.removals
    }

    /// The name of the access cookie, if there is one.
    pub(crate) fn access_names(&self) -> impl Iterator<Item = &str> {
        self.access.iter().map(Cookie::name)
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
        self.refresh.iter().chain(&self.also_refresh)
    }

    /// Checks that a browser sends the cookies with tokens to this path (RFC 6265 §5.1.4).
    pub(crate) fn reach(
        &self,
        logout_path: &str,
        access_token_too: bool,
    ) -> Result<(), ConfigError> {
        let access = self.access.iter().filter(|_| access_token_too);
        for cookie in self.refresh_cookies().chain(access) {
            let cookie_path = path(cookie);
            let covers = logout_path.strip_prefix(cookie_path).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/')
            });
            if !covers {
                return Err(ConfigError::CookieNotSent {
                    name: cookie.name().into(),
                    cookie_path: cookie_path.into(),
                    logout_path: logout_path.into(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cookie::SameSite;

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
                .reach(logout_path, false)
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
