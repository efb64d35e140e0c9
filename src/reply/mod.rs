//! What a logout is answered with.
//!
//! [`Json`] is the contract's answer, and the default. Where an answer has another shape, there are
//! [`NoContent`] and [`Redirect`], and [`Reply`] for one of your own.

mod body;
mod by_client;
mod grpc;
mod json;
mod no_content;
mod redirect;
mod site_data;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::{Outcome, Scope};

pub use body::ReplyBody;
pub(crate) use by_client::ByClient;
pub use json::Json;
pub use no_content::NoContent;
pub use redirect::Redirect;
pub use site_data::SiteData;
pub(crate) use site_data::clear_site_data;

/// The contract's word for a logout that failed (§5).
const FAILURE: &str = "Error logging out";

/// Makes the answer to a logout. Set by [`reply_with`](crate::LogoutLayerBuilder::reply_with).
///
/// The layer adds `Cache-Control: no-store` and the removal cookies, and takes a `Content-Length` away:
/// the server knows the length of the body, and whether its answer may have the header. An answer
/// that tells [`Outcome::Revoked`] from [`Outcome::AlreadyEnded`] lets a client guess tokens. A panic
/// in it is the server's to catch, as one of a handler is; the session is ended by then.
///
/// A closure from an outcome to a response is a `Reply` that does not look at the request.
///
/// ```
/// # use tower_logout::{LogoutLayer, Revocation, store_fn};
/// use http::Response;
/// use http::request::Parts;
/// use tower_logout::Outcome;
/// use tower_logout::reply::{Reply, ReplyBody};
///
/// struct InTheirLanguage;
///
/// impl Reply for InTheirLanguage {
///     fn reply(&self, outcome: &Outcome, request: &Parts) -> Response<ReplyBody> {
///         let german = request.headers.get("accept-language").is_some_and(|value| value == "de");
///         let text = match (outcome.is_logged_out(), german) {
///             (true, true) => "Abgemeldet",
///             (true, false) => "Logged out",
///             (false, true) => "Fehler",
///             (false, false) => "Error",
///         };
///         let mut response = Response::new(text.into());
///         *response.status_mut() = outcome.status();
///         response
///     }
/// }
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let layer = LogoutLayer::builder(store).reply_with(InTheirLanguage).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Reply: Send + Sync + 'static {
    /// The answer to this request, whose body nobody has read.
    fn reply(&self, outcome: &Outcome, request: &Parts) -> Response<ReplyBody>;
}

impl<F, B> Reply for F
where
    F: Fn(&Outcome) -> Response<B> + Send + Sync + 'static,
    B: Into<Bytes>,
{
    fn reply(&self, outcome: &Outcome, _: &Parts) -> Response<ReplyBody> {
        self(outcome).map(|body| ReplyBody::from(body.into()))
    }
}

/// What a client is told of an outcome other than success.
fn error_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused { reason, .. } => reason.to_string(),
        _ => FAILURE.into(),
    }
}

/// The answer to a logout: the reply, and what every answer has.
pub(crate) struct Answer {
    /// The contract's.
    pub(crate) json: Json,
    /// Instead of it.
    pub(crate) other: Option<Box<dyn Reply>>,
    pub(crate) removals: Box<[HeaderValue]>,
    pub(crate) clear_site_data: Option<HeaderValue>,
    pub(crate) clear_on_failure: bool,
}

/// What is left of a request while its logout is under way.
pub(crate) enum Asked {
    /// Its header map without the headers, which has room for the answer's.
    Emptied(HeaderMap),
    /// All of it, for a reply that may look at it.
    Whole(Box<Parts>),
}

impl Asked {
    /// Without the headers before the store is called: while it is pending, its logout holds no token
    /// but those that it ends.
    pub(crate) fn emptied(mut headers: HeaderMap) -> Self {
        headers.clear();
        Self::Emptied(headers)
    }
}

impl Answer {
    pub(crate) fn to(&self, outcome: Outcome, asked: Asked) -> Response<ReplyBody> {
        let mut response = match asked {
            Asked::Emptied(recycled) => self.json.answer(&outcome, recycled),
            Asked::Whole(request) => {
                let reply = self.other.as_deref().unwrap_or(&self.json);
                let mut response = reply.reply(&outcome, &request);
                response.headers_mut().remove(CONTENT_LENGTH);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let clears = outcome.scope() != Scope::Others
            && match &outcome {
                Outcome::Failed(_) => self.clear_on_failure,
                outcome => outcome.is_logged_out(),
            };
        if clears {
            for removal in &self.removals {
                headers.append(SET_COOKIE, removal.clone());
            }
            if let Some(value) = &self.clear_site_data {
                headers.insert(HeaderName::from_static("clear-site-data"), value.clone());
            }
        } else if response.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1. Browsers ask nobody for a password for this scheme.
            let challenge = response.headers_mut().entry(WWW_AUTHENTICATE);
            challenge.or_insert(HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(outcome);
        response
    }
}
