//! The checks against forged logouts (cross-site request forgery).
//!
//! A form on another site can send a `POST`. A browser then obeys the `Set-Cookie` headers of the answer,
//! even if the browser sent no cookie with the request. So a logout has to show that no such form sent it:
//! by a `Content-Type` that no form can send, by the origin that the browser states, or by both.

pub(crate) mod content_type;
mod origin;

use http::{HeaderMap, Uri};

pub use self::origin::OriginCheck;

use self::content_type::{is_form, is_grpc, is_json};
use crate::outcome::Rejection;

/// The checks of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Csrf {
    pub(crate) require_json: bool,
    /// Whether the content type of gRPC passes too. No form can send it.
    pub(crate) grpc: bool,
    /// Whether a form passes if it shows its origin.
    pub(crate) forms: bool,
    pub(crate) origin: Option<OriginCheck>,
}

impl Csrf {
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejection> {
        if !self.require_json || !is_json(headers) {
            self.check_other(uri, headers)?;
        }
        match &self.origin {
            Some(origin) => origin.check(uri, headers),
            None => Ok(()),
        }
    }

    /// Not inlined, so that JSON requests do not pay for this code.
    #[inline(never)]
    fn check_other(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejection> {
        if self.forms && is_form(headers) {
            let proved = match &self.origin {
                Some(origin) => origin.is_proved(uri, headers),
                None => OriginCheck::new().is_proved(uri, headers),
            };
            return proved.then_some(()).ok_or(Rejection::CrossOrigin);
        }
        if self.require_json && !(self.grpc && is_grpc(headers)) {
            return Err(Rejection::UnsupportedMediaType);
        }
        Ok(())
    }
}
