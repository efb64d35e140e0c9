//! The checks against forged logouts (cross-site request forgery).
//!
//! A form on another site can send a `POST`. A browser then obeys the `Set-Cookie` headers of the answer,
//! even if the browser sent no cookie with the request. So a logout has to show that no such form sent it:
//! by a `Content-Type` or a method that no form can send, or by the origin that the browser states.

pub(crate) mod content_type;
mod origin;

use http::Method;
use http::request::Parts;

pub use self::origin::OriginCheck;

use self::content_type::{is_form, is_grpc, is_json};
use crate::outcome::Rejection;

/// The checks of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Csrf {
    pub(crate) json: RequireJson,
    /// Whether the content type of gRPC passes too. No form can send it.
    pub(crate) grpc: bool,
    /// Whether a form passes if it shows its origin.
    pub(crate) forms: bool,
    pub(crate) origin: Option<OriginCheck>,
}

/// Which requests must be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequireJson {
    Always,
    UnlessSameOrigin,
    Never,
}

impl Csrf {
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Rejection> {
        if !is_json(&request.headers) {
            self.check_other(request)?;
        }
        match &self.origin {
            Some(origin) => origin.check(&request.uri, &request.headers),
            None => Ok(()),
        }
    }

    /// Not inlined, so that JSON requests do not pay for this code.
    #[inline(never)]
    fn check_other(&self, request: &Parts) -> Result<(), Rejection> {
        let (uri, headers) = (&request.uri, &request.headers);
        let no_trust = OriginCheck::new();
        let origin = self.origin.as_ref().unwrap_or(&no_trust);
        if self.forms && is_form(headers) {
            let proved = origin.is_proved(uri, headers);
            return proved.then_some(()).ok_or(Rejection::CrossOrigin);
        }
        if self.grpc && is_grpc(headers) {
            return Ok(());
        }
        match self.json {
            RequireJson::Never => Ok(()),
            // No form sends another method than GET and POST, and a script of another origin needs the
            // consent of CORS for it.
            RequireJson::UnlessSameOrigin if request.method == Method::DELETE => Ok(()),
            RequireJson::UnlessSameOrigin if origin.is_same_or_trusted(uri, headers) => Ok(()),
            RequireJson::UnlessSameOrigin => Err(Rejection::UnsupportedMediaType),
            RequireJson::Always => Err(Rejection::NotJson),
        }
    }
}
