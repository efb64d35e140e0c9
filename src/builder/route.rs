//! Which requests are a logout.

use super::LogoutLayerBuilder;
use crate::route::Action;
use crate::store::{Scope, SubjectStore, TokenStore};

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// The path of the logout, compared to the letter. `/auth/logout` by default.
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

    /// A further path, whose logout reaches as far as the [`Scope`] says. None by default.
    ///
    /// [`Scope::Others`] keeps the session of the presented token, and therefore its cookies.
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
    /// A store that does not know whose sessions it holds has no such route:
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

    /// What is stripped from the path before the layer sees it, by a proxy or by Axum's `nest`. The
    /// refresh cookie's `Path` has to cover the paths as browsers see them. Nothing by default.
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
