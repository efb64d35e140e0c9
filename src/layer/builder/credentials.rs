//! Where the tokens of a logout are.

use http::request::Parts;

use super::LogoutLayerBuilder;
use crate::credential::Source;
use crate::{AuthCookies, ConfigError, CookieFormat, Token, TokenStore};

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// The cookies that are read and removed. [`AuthCookies::default`] by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let cookies = AuthCookies::builder()
    ///     .refresh(Cookie::build("__Host-refresh").path("/").secure(true))
    ///     .build()?;
    /// let layer = LogoutLayer::builder(store).cookies(&cookies).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cookies(mut self, cookies: &AuthCookies) -> Self {
        self.cookies = cookies.clone();
        self
    }

    /// How the refresh cookie's value holds the token. [`CookieFormat::plain`] by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::CookieFormat;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).cookie_format(CookieFormat::plain()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cookie_format(mut self, format: CookieFormat) -> Self {
        self.cookie_format = format;
        self
    }

    /// Reads `Authorization: Bearer` as well (RFC 6750 §2.1). Not read by default, since what a
    /// bearer header holds differs per application: where it is an access token, the store has to
    /// know which session that belongs to.
    ///
    /// All that a request presents is ended, those in headers before those in cookies.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).bearer().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bearer(self) -> Self {
        self.source(Ok(Source::Bearer))
    }

    /// Reads this header as well, whose value is a token and nothing else. None by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).token_header("x-refresh-token").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_header(self, name: impl AsRef<str>) -> Self {
        self.source(Source::header(name.as_ref()))
    }

    /// Reads this key of a gRPC call's metadata as well, whose value is a token and nothing else.
    /// None by default. Requests that are no gRPC calls are not searched for it.
    ///
    /// For metadata with `authorization: Bearer …` there is [`bearer`](Self::bearer).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).token_metadata("refresh-token").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_metadata(self, key: impl AsRef<str>) -> Self {
        self.source(Source::metadata(key.as_ref()))
    }

    /// Looks for tokens with a closure as well. None by default.
    ///
    /// It sees the request without its body. A panic in it is the server's to catch, as one of a
    /// handler is; nothing is ended by then, and nothing is answered.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use http::request::Parts;
    /// use tower_logout::Token;
    ///
    /// /// What a middleware further out has found.
    /// #[derive(Clone)]
    /// struct Found(Token);
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .token_fn(|request| Some(request.extensions.get::<Found>()?.0.clone()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_fn<F, I>(self, find: F) -> Self
    where
        F: Fn(&Parts) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = Token>,
    {
        self.source(Ok(Source::custom(find)))
    }

    /// How many distinct values a request may present. 16 by default: a browser sends one cookie of a name
    /// for each prefix of the path and each level of the domain, which is four times three for
    /// `/auth/logout`, and other sources have room besides.
    ///
    /// A logout with more has those ended that are within the bound, and fails:
    /// [`FailureKind::TooManyTokens`](crate::FailureKind::TooManyTokens). Another host of the same
    /// site can plant cookies, and have your users' logouts fail. It cannot plant one whose name begins
    /// with `__Host-`.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).max_tokens(32).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_tokens(mut self, tokens: usize) -> Self {
        self.bounds.tokens = tokens;
        self
    }

    /// How long the value of a cookie may be, in bytes. 4,096 by default, which no browser exceeds. A
    /// logout with a longer one fails:
    /// [`FailureKind::TokenTooLong`](crate::FailureKind::TokenTooLong).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).max_cookie_len(8192).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_cookie_len(mut self, bytes: usize) -> Self {
        self.bounds.cookie_len = bytes;
        self
    }

    /// How long a token may be that is not in a cookie, in bytes. 16,384 by default. A logout with a
    /// longer one fails: [`FailureKind::TokenTooLong`](crate::FailureKind::TokenTooLong).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).bearer().max_token_len(65_536).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_token_len(mut self, bytes: usize) -> Self {
        self.bounds.token_len = bytes;
        self
    }

    fn source(mut self, source: Result<Source, ConfigError>) -> Self {
        match source {
            Ok(source) => self.headers.push(source),
            Err(error) => self.refuse(error),
        }
        self
    }
}
