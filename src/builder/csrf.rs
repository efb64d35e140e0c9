//! The setters of the checks against forged requests.

use super::LogoutLayerBuilder;
use crate::csrf::OriginCheck;
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Whether a logout must have `Content-Type: application/json`. `true` by default.
    ///
    /// A form cannot send this content type to another site. A logout with another content type gets a
    /// `415`.
    ///
    /// If you turn this check off, set an [`origin_check`](Self::origin_check). Without either check,
    /// [`build`](Self::build) returns [`ConfigError::NoCsrfProof`](crate::error::ConfigError::NoCsrfProof).
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::csrf::OriginCheck;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .require_json(false)
    ///     .origin_check(OriginCheck::new())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_json(mut self, require: bool) -> Self {
        self.csrf.require_json = require;
        self
    }

    /// Checks `Sec-Fetch-Site` and `Origin` as well. Off by default.
    ///
    /// A logout from an origin that is not trusted gets a `403`.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::csrf::OriginCheck;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .origin_check(OriginCheck::new().add_trusted_origin("https://app.example.com")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn origin_check(mut self, check: OriginCheck) -> Self {
        self.csrf.origin = Some(check);
        self
    }
}
