//! The setters of the answer to a logout.

use super::LogoutLayerBuilder;
use crate::reply::{Redirect, Reply, SiteData, clear_site_data};
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Sets the [`Reply`] that makes the answers. [`Json::new`](crate::reply::Json::new) by default.
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

    /// Accepts logouts from HTML forms, and redirects browsers that `Accept: text/html`. Off by default.
    ///
    /// A form cannot send JSON, so a form has to show its origin instead. One of these is enough:
    ///
    /// - `Sec-Fetch-Site` is `same-origin` or `none`.
    /// - There is no `Sec-Fetch-Site`, and `Origin` is the origin of the request itself.
    /// - `Origin` is an origin that the [`origin_check`](Self::origin_check) trusts.
    ///
    /// Any other form gets a `403`. This setting changes nothing for requests that are not forms.
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

    /// Accepts gRPC calls, and answers them in gRPC. Off by default.
    ///
    /// A gRPC call is a `POST` to the path with `Content-Type: application/grpc`, or a content type that
    /// begins with `application/grpc+`. Such a call passes the [`require_json`](Self::require_json) check,
    /// because no form can send these content types either. gRPC-Web works if tonic-web's layer is outside
    /// this layer.
    ///
    /// The answer to a logout is an empty message and one of these statuses:
    ///
    /// | outcome | status |
    /// |---|---|
    /// | logged out | `OK` |
    /// | failed | `INTERNAL` |
    /// | rejected | `PERMISSION_DENIED` |
    /// | rejected for lack of a token or a subject | `UNAUTHENTICATED` |
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn, TokenSource};
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

    /// Sends `Clear-Site-Data` with each answer that removes the cookies. Nothing by default.
    ///
    /// Call this only if your site is served over https: browsers ignore the header over http (W3C Clear
    /// Site Data §4.1). [`guide::browsers`](crate::guide::browsers) describes the data that a browser keeps
    /// besides cookies, and how to clear the data.
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

    /// Whether a failed logout removes the cookies too. `false` by default.
    ///
    /// With `false`, the client can try again. With `true`, the browser forgets a token that may still
    /// work.
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
