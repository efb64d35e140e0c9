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
    /// let layer = LogoutLayer::builder(store)
    ///     .cookie_format(CookieFormat::percent_encoded())
    ///     .build()?;
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
    /// All that a request presents is ended, by the same bounds: at most 8 distinct tokens of at most
    /// 4096 bytes, those in headers before those in cookies.
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

    fn source(mut self, source: Result<Source, ConfigError>) -> Self {
        match source {
            Ok(source) => self.headers.push(source),
            Err(error) => self.refuse(error),
        }
        self
    }
}
