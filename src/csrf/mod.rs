//! What a logout request has to prove before anything is done for it.
//!
//! A form on another site can send a `POST`, and a browser honours the clearing `Set-Cookie` of its
//! answer even where it sent no cookie along. A logout therefore shows that it was not made by such
//! a form: by a `Content-Type` that no form can send, by where the browser says that it comes from,
//! or by both.

pub(crate) mod content_type;
mod origin;

use http::{HeaderMap, Uri};

pub use self::origin::OriginCheck;

use self::content_type::{is_form, is_grpc, is_json};
use crate::outcome::Rejection;

/// The checks that are switched on.
#[derive(Clone, Debug)]
pub(crate) struct Csrf {
    pub(crate) require_json: bool,
    /// Whether gRPC's content type is as good as JSON's: no form can send it either.
    pub(crate) grpc: bool,
    /// Whether a form is let through that shows where it comes from.
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

    /// Out of line, so that JSON does not pay for it.
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
