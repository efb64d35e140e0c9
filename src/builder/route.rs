//! The setters of the logout paths.

use super::LogoutLayerBuilder;
use crate::endpoint::LogoutEndpoint;
use crate::error::ConfigError;
use crate::route::Action;
use crate::store::{Scope, SubjectStore, TokenStore};

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Sets the path of the logout. `/auth/logout` by default.
    ///
    /// The layer compares the path byte by byte, without the query.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).path("/session/logout").build();
    /// assert!(layer.is_ok());
    /// ```
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.routes[0].0 = path.into();
        self
    }

    /// Adds another path of the same logout, for example the method of a gRPC service. None by default.
    ///
    /// If there is a [`token_source`](Self::token_source), the cookies need not reach this path.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .also_path("/auth.v1.Auth/Logout")
    ///     .grpc()
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn also_path(mut self, path: impl Into<String>) -> Self {
        self.routes.push((path.into(), Action::this()));
        self
    }

    /// Takes `DELETE` requests as logouts too. Off by default.
    ///
    /// A `DELETE` needs no content type, unless [`strict_json`](Self::strict_json) is set: no form can send
    /// the method, and a script of another origin needs the consent of CORS. Keep a middleware away from
    /// the logout that turns a `POST` of a form into a `DELETE`.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).path("/session").also_delete().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn also_delete(mut self) -> Self {
        self.also_delete = true;
        self
    }

    /// Checks the settings for a logout at this path, as the browser sees the path, and creates the
    /// [endpoint](crate::layer::LogoutLayer::endpoint). This replaces [`path`](Self::path) and
    /// [`public_prefix`](Self::public_prefix).
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use axum::Router;
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let cookies = AuthCookies::builder()
    ///     .refresh(Cookie::build("refreshToken").path("/session").http_only(true))
    ///     .build()?;
    /// let logout = LogoutLayer::builder(store).cookies(cookies).endpoint_at("/session/logout")?;
    /// let session = Router::new().route_service("/logout", logout);
    /// let app: Router = Router::new().nest("/session", session);
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint_at(
        mut self,
        public_path: impl Into<String>,
    ) -> Result<LogoutEndpoint<T>, ConfigError> {
        self.public_prefix.clear();
        Ok(self.path(public_path).build()?.endpoint())
    }

    /// Adds a path whose logout ends the sessions of this [`Scope`]. None by default.
    ///
    /// [`Scope::Others`] keeps the session of the presented token, so the cookies stay too.
    ///
    /// ```
    /// use tower_logout::{LogoutLayer, MemoryStore, Scope};
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let layer = LogoutLayer::builder(MemoryStore::new())
    ///     .scoped_path("/auth/logout-all", Scope::All)
    ///     .scoped_path("/auth/logout-others", Scope::Others)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without a [`SubjectStore`], this method does not compile:
    ///
    /// ```compile_fail
    /// # use tower_logout::{LogoutLayer, Revocation, Scope, store_fn};
    /// let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// LogoutLayer::builder(store).scoped_path("/auth/logout-all", Scope::All);
    /// ```
    pub fn scoped_path(mut self, path: impl Into<String>, scope: Scope) -> Self
    where
        T: SubjectStore,
    {
        self.routes.push((path.into(), Action::new(scope)));
        self
    }

    /// Sets the prefix that `nest` or a proxy strips from the path. No prefix by default.
    ///
    /// [`build`](Self::build) then checks the `Path` of the refresh cookie against the path that the
    /// browser sees.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let cookies = AuthCookies::builder()
    ///     .refresh(Cookie::build("refreshToken").path("/auth").http_only(true))
    ///     .build()?;
    /// let layer = LogoutLayer::builder(store)
    ///     .path("/logout")
    ///     .public_prefix("/auth")
    ///     .cookies(cookies.clone())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn public_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.public_prefix = prefix.into();
        self
    }
}
