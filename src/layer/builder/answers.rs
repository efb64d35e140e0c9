//! What a logout is answered with.

use bytes::Bytes;
use http::Response;

use super::LogoutLayerBuilder;
use crate::reply::Reply;
use crate::{Outcome, TokenStore};

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Answers in a language of your own, instead of the contract's JSON.
    ///
    /// The layer adds `Cache-Control: no-store`, `Content-Length` and the removal cookies. An answer
    /// that tells [`Outcome::Revoked`] from [`Outcome::AlreadyEnded`] lets a client guess tokens. A
    /// panic in it is the server's to catch, as one of a handler is; the session is ended by then.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use http::Response;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .reply(|outcome| {
    ///         let mut response = Response::new("bye");
    ///         *response.status_mut() = outcome.status();
    ///         response
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply<F, B>(mut self, reply: F) -> Self
    where
        F: Fn(&Outcome) -> Response<B> + Send + Sync + 'static,
        B: Into<Bytes>,
    {
        self.reply = Reply::Custom(Box::new(move |outcome| reply(outcome).map(Into::into)));
        self
    }

    /// Whether the cookies are removed although the store failed. `false` by default, so that the
    /// client can try again; with `true` the browser forgets a token that may still work.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).clear_cookies_on_failure(true).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_cookies_on_failure(mut self, clear: bool) -> Self {
        self.clear_on_failure = clear;
        self
    }
}
