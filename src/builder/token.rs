//! Where the tokens of a logout are.

use super::LogoutLayerBuilder;
use crate::cookies::AuthCookies;
use crate::store::TokenStore;
use crate::token::TokenSource;

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
    /// let layer = LogoutLayer::builder(store).cookies(cookies).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cookies(mut self, cookies: AuthCookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// Reads a further place of the request. None by default: only the refresh cookie is read.
    ///
    /// The logout ends the session of every token that a request presents. Tokens in other places come
    /// before those in cookies.
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
        self.token_sources.push(source);
        self
    }

    /// How many distinct values a request may present. 16 by default: a browser sends one cookie of a name
    /// for each prefix of the path and each level of the domain, which is four times three for
    /// `/auth/logout`, and other sources have room besides.
    ///
    /// A logout with more has those ended that are within the bound, and fails:
    /// [`FailureKind::TooManyTokens`](crate::outcome::FailureKind::TooManyTokens). Another host of the same
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
    /// [`FailureKind::TokenTooLong`](crate::outcome::FailureKind::TokenTooLong).
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
    /// longer one fails: [`FailureKind::TokenTooLong`](crate::outcome::FailureKind::TokenTooLong).
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
        self.bounds.token_len = bytes;
        self
    }
}
