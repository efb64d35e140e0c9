//! One description of the cookies of a login, used to set them and to remove them.
//!
//! A browser keys a cookie by name, `Domain`, `Path` and partition (RFC 6265bis §5.7), and drops a
//! removal that it would not have accepted as a cookie. A removal must therefore repeat what the
//! cookie was set with, whatever the request sent.

use cookie::{Cookie, CookieBuilder, SameSite};
use http::HeaderValue;

use crate::ConfigError;

const ACCESS_COOKIE: &str = "accessToken";
const REFRESH_COOKIE: &str = "refreshToken";
/// Longer attribute values are ignored (RFC 6265bis §5.6).
const MAX_ATTRIBUTE_LEN: usize = 1024;

/// The cookies of a login.
///
/// The default is the contract's: `accessToken` and `refreshToken`, both with `Path=/`, `HttpOnly`
/// and `SameSite=Lax`, without `Secure`, so that their removal works over http and https alike.
///
/// Over https, give the cookies names that begin with `__Host-`: no other host of your site can plant
/// cookies of such a name, which would be presented beside the real ones.
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
/// let layer = LogoutLayer::builder(store).cookies(&cookies).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AuthCookies {
    access: Cookie<'static>,
    refresh: Cookie<'static>,
    also_refresh: Vec<Cookie<'static>>,
    removals: Box<[HeaderValue]>,
}

impl Default for AuthCookies {
    fn default() -> Self {
        Self {
            access: template(ACCESS_COOKIE).build(),
            refresh: template(REFRESH_COOKIE).build(),
            also_refresh: Vec::new(),
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
    /// Starts from the default cookies.
    pub fn builder() -> AuthCookiesBuilder {
        AuthCookiesBuilder {
            access: template(ACCESS_COOKIE),
            refresh: template(REFRESH_COOKIE),
            also_refresh: Vec::new(),
            also_clear: Vec::new(),
        }
    }

    /// The access cookie with this value, to be set at login and refresh.
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

    /// The refresh cookie with this value, to be set at login and refresh.
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

    /// The name of the access cookie, to read it by.
    pub fn access_name(&self) -> &str {
        self.access.name()
    }

    /// The name of the refresh cookie, to read it by.
    pub fn refresh_name(&self) -> &str {
        self.refresh.name()
    }

    pub(crate) fn removals(&self) -> &[HeaderValue] {
        &self.removals
    }

    /// Each name that the refresh cookie has or had, once.
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

    /// Whether a browser sends the refresh cookies to this path (RFC 6265 §5.1.4).
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

/// Describes the cookies of a login. Made by [`AuthCookies::builder`].
#[derive(Clone, Debug)]
pub struct AuthCookiesBuilder {
    access: CookieBuilder<'static>,
    refresh: CookieBuilder<'static>,
    also_refresh: Vec<CookieBuilder<'static>>,
    also_clear: Vec<CookieBuilder<'static>>,
}

impl AuthCookiesBuilder {
    /// The access cookie: its name and attributes; a value is of no account. By default
    /// `accessToken` with `Path=/`, `HttpOnly` and `SameSite=Lax`. Without a `Path` it gets `/`.
    ///
    /// ```
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let cookies = AuthCookies::builder()
    ///     .access(Cookie::build("__Host-access").path("/").secure(true))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn access(mut self, cookie: impl Into<CookieBuilder<'static>>) -> Self {
        self.access = cookie.into();
        self
    }

    /// The refresh cookie, which holds the token that is revoked: its name and attributes; a value
    /// is of no account. By default `refreshToken` with `Path=/`, `HttpOnly` and `SameSite=Lax`.
    /// Without a `Path` it gets `/`.
    ///
    /// ```
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let cookies = AuthCookies::builder()
    ///     .refresh(Cookie::build("refreshToken").path("/auth").http_only(true))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn refresh(mut self, cookie: impl Into<CookieBuilder<'static>>) -> Self {
        self.refresh = cookie.into();
        self
    }

    /// A further cookie that holds a refresh token: the refresh cookie under an older name, or with an
    /// older `Domain` or `Path`. At logout its token is revoked and the cookie is removed. None by
    /// default.
    ///
    /// Its `Path` has to cover the logout path, like that of the refresh cookie. Its values may be from
    /// before they were signed or encrypted: they are read in clear as well.
    ///
    /// ```
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let cookies = AuthCookies::builder()
    ///     .also_refresh(Cookie::build("rt").path("/"))
    ///     .also_refresh(Cookie::build("refreshToken").domain("example.com").path("/"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn also_refresh(mut self, cookie: impl Into<CookieBuilder<'static>>) -> Self {
        self.also_refresh.push(cookie.into());
        self
    }

    /// A further cookie to remove at logout, which holds no refresh token: the name of the user, a
    /// chunk of the access token. None by default.
    ///
    /// Its value is not read. A cookie that holds a refresh token belongs into
    /// [`also_refresh`](Self::also_refresh): removed from the browser alone, the token still works.
    ///
    /// ```
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let cookies = AuthCookies::builder()
    ///     .also_clear(Cookie::build("accessToken").path("/api"))
    ///     .also_clear(Cookie::build("username").domain("example.com"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn also_clear(mut self, cookie: impl Into<CookieBuilder<'static>>) -> Self {
        self.also_clear.push(cookie.into());
        self
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for whatever a browser would refuse or ignore: an illegal name, `Path` or
    /// `Domain`, a name prefix, `SameSite=None` or `Partitioned` whose demands are not met, one name
    /// for both cookies, one removal twice.
    pub fn build(self) -> Result<AuthCookies, ConfigError> {
        let access = self.access.build();
        let refresh = self.refresh.build();
        if access.name() == refresh.name() {
            return Err(duplicate(&access));
        }
        let [also_refresh, also_clear] = [self.also_refresh, self.also_clear].map(|cookies| {
            let cookies = cookies.into_iter().map(CookieBuilder::build);
            cookies.collect::<Vec<_>>()
        });
        let all: Vec<_> = [&access, &refresh]
            .into_iter()
            .chain(&also_refresh)
            .chain(&also_clear)
            .collect();
        for (index, cookie) in all.iter().enumerate() {
            check(cookie)?;
            if all[..index].iter().any(|other| key(other) == key(cookie)) {
                return Err(duplicate(cookie));
            }
        }
        let removals = all.into_iter().map(removal).collect::<Result<_, _>>()?;
        Ok(AuthCookies {
            access,
            refresh,
            also_refresh,
            removals,
        })
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

/// Without a `Path` a browser takes that of the request, which differs between login and logout.
fn path<'c>(cookie: &'c Cookie<'static>) -> &'c str {
    cookie.path().unwrap_or("/")
}

/// What a browser tells cookies apart by.
fn key<'c>(cookie: &'c Cookie<'static>) -> (&'c str, &'c str, Option<String>, bool) {
    (
        cookie.name(),
        path(cookie),
        cookie.domain().map(str::to_ascii_lowercase),
        cookie.partitioned() == Some(true),
    )
}

/// In the order of the contract (§5), with what else the cookie was set with behind it.
fn removal(cookie: &Cookie<'static>) -> Result<HeaderValue, ConfigError> {
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

fn check(cookie: &Cookie<'static>) -> Result<(), ConfigError> {
    check_syntax(cookie)?;
    let secure = ("Secure", cookie.secure() == Some(true));
    let http_only = ("HttpOnly", cookie.http_only() == Some(true));
    let no_domain = ("no Domain", cookie.domain().is_none());
    let root = ("Path=/", path(cookie) == "/");
    // Browsers compare prefixes without regard to case (RFC 6265bis §5.7).
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

fn duplicate(cookie: &Cookie<'static>) -> ConfigError {
    ConfigError::DuplicateCookie {
        name: cookie.name().into(),
    }
}

/// RFC 9110 §5.6.2.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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
