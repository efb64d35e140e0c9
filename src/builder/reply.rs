//! The answer to a logout.

use super::LogoutLayerBuilder;
use crate::reply::{Redirect, Reply, SiteData, clear_site_data};
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Answers with this [`Reply`]. [`Json`](crate::reply::Json) with the contract's texts by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::reply::NoContent;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).reply(NoContent::new()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply(mut self, reply: impl Reply) -> Self {
        self.reply = Box::new(reply);
        self
    }

    /// Lets HTML forms log out, and sends browsers on that `Accept: text/html`. Off by default.
    ///
    /// A form cannot send JSON, so it has to prove otherwise that it is from here: by a
    /// `Sec-Fetch-Site` of `same-origin` or `none`, or by an `Origin` that is the request's own or
    /// one that the [`origin_check`](Self::origin_check) trusts. One that says nothing of where it
    /// comes from gets a `403`. Every other request is checked and answered as without this.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::reply::Redirect;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).forms(Redirect::to("/login")?).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn forms(mut self, redirect: Redirect) -> Self {
        self.csrf.forms = true;
        self.forms = Some(redirect);
        self
    }

    /// Answers gRPC calls in gRPC: an empty message with the status `OK`, `INTERNAL` if the store
    /// failed, `PERMISSION_DENIED` for a refusal. Off by default.
    ///
    /// A call is a `POST` to the path with `Content-Type: application/grpc`, or one that begins with
    /// `application/grpc+`. It need not be JSON then: no form can send that type either. A gRPC-Web
    /// call is one where tonic-web's layer is outside of this one.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, TokenSource, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .path("/auth.v1.Auth/Logout")
    ///     .grpc()
    ///     .token_source(TokenSource::bearer())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn grpc(mut self) -> Self {
        self.csrf.grpc = true;
        self
    }

    /// Has browsers forget this as well, by `Clear-Site-Data` on every answer that removes the
    /// cookies. Nothing by default.
    ///
    /// Browsers obey it over https alone (W3C Clear Site Data §4.1), and so is it to be set: to call
    /// this is to say that the site is served over https. `docs/browser-memory.md` has what a browser
    /// holds besides cookies, and what clears it.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::reply::SiteData;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .clear_site_data([
    ///         SiteData::Storage,
    ///         SiteData::PrefetchCache,
    ///         SiteData::PrerenderCache,
    ///     ])
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_site_data(mut self, data: impl IntoIterator<Item = SiteData>) -> Self {
        self.clear_site_data = clear_site_data(data);
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
