//! The answer to a logout.
//!
//! [`Json`] is the default. [`NoContent`] and [`Redirect`] answer in another shape, [`from_fn`] makes a
//! reply of a closure, and [`Reply`] is the trait for one of your own.

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

/// The body of a failed logout.
const FAILURE: &str = "Error logging out";

/// Makes the answer to a logout. Set by [`LogoutLayerBuilder::reply`](crate::builder::LogoutLayerBuilder::reply).
///
/// The layer adds `Cache-Control: no-store` and the removal cookies. The layer removes a
/// `Content-Length`: the server knows the length of the body.
///
/// An answer that tells [`Outcome::Revoked`] from [`Outcome::Inactive`] lets a client guess tokens. The
/// server catches a panic of a reply like one of a handler; the session has ended by then.
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
    /// The answer to this request, whose body nobody has read.
    fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody>;

    /// Whether [`reply`](Self::reply) looks at the request. `true` by default.
    ///
    /// If `false`, the layer drops the request's URI, headers and extensions before it calls the store.
    /// A logout that waits for its store then holds less memory.
    fn reads_request(&self) -> bool {
        true
    }
}

/// The text of every outcome other than success.
fn error_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rejected { rejection, .. } => rejection.to_string(),
        _ => FAILURE.into(),
    }
}
