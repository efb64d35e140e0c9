//! The setters of the checks against forged requests.

use super::LogoutLayerBuilder;
use crate::csrf::{OriginCheck, RequireJson};
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Requires `Content-Type: application/json` of every logout, except of gRPC calls and HTML forms if
    /// [`grpc`](Self::grpc) and [`forms`](Self::forms) allow these. Off by default.
    ///
    /// By default a logout is either JSON or from a page of the same origin. A page of another origin can
    /// forge neither: a form cannot send JSON, a script needs the consent of CORS, and only the browser
    /// writes `Sec-Fetch-Site` and `Origin`.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).strict_json().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn strict_json(mut self) -> Self {
        self.csrf.json = RequireJson::Always;
        self
    }

    /// Whether a logout that does not come from a page of the same origin must have `Content-Type:
    /// application/json`. `true` by default.
    ///
    /// Such a logout with another content type gets a `415`. A request comes from a page of the same origin
    /// if the browser says so: `Sec-Fetch-Site` is `same-origin`, or there is no `Sec-Fetch-Site` and
    /// `Origin` has the host and the port of the request. An origin that the
    /// [`origin_check`](Self::origin_check) trusts counts as well.
    ///
    /// If you turn the check off, set an [`origin_check`](Self::origin_check). Without either check,
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
        self.csrf.json = match (require, self.csrf.json) {
            (false, _) => RequireJson::Never,
            (true, RequireJson::Never) => RequireJson::UnlessSameOrigin,
            (true, strict) => strict,
        };
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
