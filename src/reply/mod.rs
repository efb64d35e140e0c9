//! The answer to a logout.
//!
//! [`Json`] is the default. [`NoContent`] answers without a body, [`Redirect`] sends the browser to a page,
//! and [`from_fn()`] takes a closure. Implement [`Reply`] for anything else.

mod answer;
mod body;
mod clear_site_data;
mod from_fn;
mod grpc;
mod json;
mod negotiated;
mod no_content;
mod redirect;

use http::Response;
use http::request::Parts;

pub(crate) use self::answer::Answer;
pub use self::body::ReplyBody;
pub use self::clear_site_data::SiteData;
pub(crate) use self::clear_site_data::clear_site_data;
pub use self::from_fn::{FromFn, from_fn};
pub use self::json::Json;
pub(crate) use self::negotiated::Negotiated;
pub use self::no_content::NoContent;
pub use self::redirect::Redirect;

use crate::outcome::Outcome;

/// The text of a failed logout.
const FAILURE: &str = "Error logging out";

/// Makes the answer to a logout. Set by
/// [`LogoutLayerBuilder::reply`](crate::builder::LogoutLayerBuilder::reply).
///
/// The layer adds `Cache-Control: no-store` and the headers that remove the cookies, and adds the
/// [`Outcome`] to the extensions of the response. The layer drops a `Content-Length`, because the server
/// computes the length.
///
/// Send the same answer for [`Outcome::Revoked`], [`Outcome::Inactive`] and [`Outcome::NoToken`]. Otherwise
/// a client can use the endpoint to guess tokens.
///
/// The session has ended before a reply is made. A panic in a reply reaches the server, like a panic in a
/// handler.
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
///     fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody> {
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
/// let layer = LogoutLayer::builder(store).reply(InTheirLanguage).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Reply: Send + Sync + 'static {
    /// Makes the answer. The request has no body any more.
    fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody>;

    /// Whether [`reply`](Self::reply) reads the request. `true` by default.
    ///
    /// If `false`, the layer drops the URI, the headers and the extensions of the request before it calls
    /// the store. A logout then needs less memory while it waits for the store.
    fn reads_request(&self) -> bool {
        true
    }
}

/// The text of an outcome that is not a success.
fn error_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rejected { rejection, .. } => rejection.to_string(),
        _ => FAILURE.into(),
    }
}
