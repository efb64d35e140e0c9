//! What a logout has to prove.

use super::LogoutLayerBuilder;
use crate::csrf::OriginCheck;
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Whether a logout must have `Content-Type: application/json`, which no form can send to another site. `true` by default; else the answer is `415`.
    ///
    /// Where it is switched off, an [`origin_check`](Self::origin_check) must stand in for it: without
    /// either, [`build`](Self::build) returns [`ConfigError::NoCsrfProof`](crate::error::ConfigError::NoCsrfProof).
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

    /// Checks `Sec-Fetch-Site` and `Origin` as well; else the answer is `403`. Off by default.
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
