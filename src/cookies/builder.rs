//! The builder of [`AuthCookies`].

use cookie::CookieBuilder;

use super::attributes::{key, removal, template};
use super::check::{check, duplicate};
use super::encoding::CookieEncoding;
use super::{ACCESS_COOKIE, AuthCookies, REFRESH_COOKIE};
use crate::error::ConfigError;

/// Builder of [`AuthCookies`]. Created by [`AuthCookies::builder`].
#[derive(Clone, Debug)]
pub struct AuthCookiesBuilder {
    access: Option<CookieBuilder<'static>>,
    refresh: CookieBuilder<'static>,
    also_refresh: Vec<CookieBuilder<'static>>,
    also_clear: Vec<CookieBuilder<'static>>,
    encoding: CookieEncoding,
}

impl AuthCookiesBuilder {
    pub(super) fn new() -> Self {
        Self {
            access: Some(template(ACCESS_COOKIE)),
            refresh: template(REFRESH_COOKIE),
            also_refresh: Vec::new(),
            also_clear: Vec::new(),
            encoding: CookieEncoding::default(),
        }
    }

    /// Sets the name and the attributes of the access cookie. A value is ignored.
    ///
    /// The default is `accessToken` with `Path=/`, `HttpOnly` and `SameSite=Lax`. A cookie without a `Path`
    /// gets `Path=/`.
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
        self.access = Some(cookie.into());
        self
    }

    /// Sets the name and the attributes of the refresh cookie, which holds the token to revoke. A value is
    /// ignored.
    ///
    /// The default is `refreshToken` with `Path=/`, `HttpOnly` and `SameSite=Lax`. A cookie without a
    /// `Path` gets `Path=/`.
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

    /// Sets the one cookie of a login that has no access cookie. A value is ignored.
    ///
    /// The default is an access and a refresh cookie. A cookie without a `Path` gets `Path=/`.
    /// [`AuthCookies::refresh`] returns the session cookie.
    ///
    /// ```
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let cookies = AuthCookies::builder()
    ///     .session(Cookie::build("__Host-session").path("/").secure(true).http_only(true))
    ///     .also_clear(Cookie::build("theme"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn session(mut self, cookie: impl Into<CookieBuilder<'static>>) -> Self {
        self.access = None;
        self.refresh = cookie.into();
        self
    }

    /// Sets how a logout reads the token from the value of the refresh cookie. [`CookieEncoding::plain`] by
    /// default.
    ///
    /// [`AuthCookies::refresh`] still returns the plain cookie, because the jar of your login signs or
    /// encrypts the value.
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

    /// Adds another cookie that holds a refresh token. None by default.
    ///
    /// Use this for an older name, `Domain` or `Path` of the refresh cookie. A logout revokes the token and
    /// removes the cookie.
    ///
    /// The `Path` has to cover the logout path. If [`refresh_encoding`](Self::refresh_encoding) is signed
    /// or private, a cookie with an older name is read in plain as well.
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

    /// Adds another cookie to remove, for example the name of the user or a part of the access token. None
    /// by default.
    ///
    /// The value is not read. If the cookie holds a refresh token, use
    /// [`also_refresh`](Self::also_refresh), so that the token is revoked too.
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

    /// Checks the cookies and creates the description.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::InvalidCookieName`] if a name is empty or has a forbidden character.
    /// - [`ConfigError::InvalidCookieAttribute`] if a browser would ignore a `Path` or a `Domain`.
    /// - [`ConfigError::UnmetCookieRequirement`] if a cookie lacks an attribute that its name prefix,
    ///   `SameSite=None` or `Partitioned` requires.
    /// - [`ConfigError::DuplicateCookie`] if the access and the refresh cookie have the same name, or if
    ///   one cookie is described twice.
    pub fn build(self) -> Result<AuthCookies, ConfigError> {
        let access = self.access.map(CookieBuilder::build);
        let refresh = self.refresh.build();
        if let Some(access) = access
            .as_ref()
            .filter(|access| access.name() == refresh.name())
        {
            return Err(duplicate(access));
        }
        let [also_refresh, also_clear] = [self.also_refresh, self.also_clear].map(|cookies| {
            let cookies = cookies.into_iter().map(CookieBuilder::build);
            cookies.collect::<Vec<_>>()
        });
        let all: Vec<_> = access
            .iter()
            .chain([&refresh])
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
            refresh: Some(refresh),
            also_refresh,
            encoding: self.encoding,
            removals,
        })
    }
}
