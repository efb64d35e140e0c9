//! The setters of the places that hold tokens.

use super::LogoutLayerBuilder;
use crate::cookies::AuthCookies;
use crate::store::TokenStore;
use crate::token::TokenSource;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Sets the cookies to read and to remove. [`AuthCookies::default`] by default.
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
    /// let layer = LogoutLayer::builder(store).cookies(cookies).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cookies(mut self, cookies: AuthCookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// Adds a place where the layer looks for tokens, besides the refresh cookie. None by default.
    ///
    /// A logout ends the session of every token that the request presents. Tokens from these places count
    /// first towards [`max_tokens`](Self::max_tokens), before tokens from cookies.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn, TokenSource};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .token_source(TokenSource::bearer())
    ///     .token_source(TokenSource::header("x-refresh-token")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_source(mut self, source: TokenSource) -> Self {
        self.tokens.sources.push(source);
        self
    }

    /// Presents the value of the access cookie to the store as well. Off by default.
    ///
    /// Use this if your application looks its access tokens up, for example in an allow-list in Redis. The
    /// store tells the tokens apart by [`Token::source`](crate::Token::source).
    ///
    /// The access cookie may be plain, or have the encoding of the refresh cookie.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).access_token_too().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn access_token_too(mut self) -> Self {
        self.tokens.access_cookie = true;
        self
    }

    /// Rejects a logout that presents no token with a `401`. Off by default.
    ///
    /// By default such a logout is a success, because it leaves nothing to end. Its outcome is
    /// [`NoToken`](crate::outcome::Outcome::NoToken).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).require_token().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_token(mut self) -> Self {
        self.require_token = true;
        self
    }

    /// Sets how many distinct values a request may present. 16 by default.
    ///
    /// A browser sends one cookie of a name for each prefix of the path and each level of the domain. For
    /// `/auth/logout` there are up to 12: four prefixes of the path times three levels of the domain. So
    /// the default leaves room for other sources.
    ///
    /// If a request presents more values, the layer ends the sessions of those within the limit, and the
    /// logout fails ([`FailureKind::TooManyTokens`](crate::outcome::FailureKind::TooManyTokens)). Another
    /// host of the same site can plant cookies and make the logouts of your users fail. No other host can
    /// plant a cookie whose name begins with `__Host-`.
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
        self.tokens.bounds.tokens = tokens;
        self
    }

    /// Sets the longest value of a refresh cookie, in bytes. 4,096 by default, which no browser exceeds.
    ///
    /// A logout with a longer value fails
    /// ([`FailureKind::TokenTooLong`](crate::outcome::FailureKind::TokenTooLong)).
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
        self.tokens.bounds.cookie_len = bytes;
        self
    }

    /// Sets the longest token outside cookies, in bytes. 16,384 by default.
    ///
    /// A logout with a longer token fails
    /// ([`FailureKind::TokenTooLong`](crate::outcome::FailureKind::TokenTooLong)).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn, TokenSource};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).token_source(TokenSource::bearer()).max_token_len(65_536).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_token_len(mut self, bytes: usize) -> Self {
        self.tokens.bounds.token_len = bytes;
        self
    }
}
