//! The builder of the description.

use cookie::CookieBuilder;

use super::check::{check, duplicate};
use super::encoding::CookieEncoding;
use super::removal::removal;
use super::{ACCESS_COOKIE, AuthCookies, REFRESH_COOKIE, key, template};
use crate::error::ConfigError;

/// Describes the cookies of a login. Made by [`AuthCookies::builder`].
#[derive(Clone, Debug)]
pub struct AuthCookiesBuilder {
    access: CookieBuilder<'static>,
    refresh: CookieBuilder<'static>,
    also_refresh: Vec<CookieBuilder<'static>>,
    also_clear: Vec<CookieBuilder<'static>>,
    encoding: CookieEncoding,
}

impl AuthCookiesBuilder {
    pub(super) fn new() -> Self {
        Self {
            access: template(ACCESS_COOKIE),
            refresh: template(REFRESH_COOKIE),
            also_refresh: Vec::new(),
            also_clear: Vec::new(),
            encoding: CookieEncoding::default(),
        }
    }

    /// The access cookie: its name and attributes; a value is ignored. By default
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
    /// is ignored. By default `refreshToken` with `Path=/`, `HttpOnly` and `SameSite=Lax`.
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

    /// How the value of the refresh cookie holds the token at logout. [`CookieEncoding::plain`] by
    /// default.
    ///
    /// [`AuthCookies::refresh`] returns the cookie in clear: the jar of your login seals it.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    /// use tower_logout::cookies::CookieEncoding;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let cookies = AuthCookies::builder().refresh_encoding(CookieEncoding::plain()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn refresh_encoding(mut self, encoding: CookieEncoding) -> Self {
        self.encoding = encoding;
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
            encoding: self.encoding,
            removals,
        })
    }
}
