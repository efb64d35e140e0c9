//! An answer without a body.

use http::request::Parts;
use http::{Response, StatusCode};

use super::{Json, Reply, ReplyBody};
use crate::outcome::Outcome;

/// Answers a logout with `204`, and errors with [`Json`].
///
/// ```
/// # use tower_logout::{LogoutLayer, Revocation, store_fn};
/// use tower_logout::reply::NoContent;
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let layer = LogoutLayer::builder(store).reply(NoContent::new()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct NoContent {
    errors: Json,
}

impl NoContent {
    /// Creates a reply with the default errors of [`Json`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the [`Json`] that answers errors. [`Json::new`] by default.
    ///
    /// ```
    /// use tower_logout::reply::{Json, NoContent};
    ///
    /// NoContent::new().with_errors(Json::new().with_problem_details());
    /// ```
    #[must_use]
    pub fn with_errors(mut self, errors: Json) -> Self {
        self.errors = errors;
        self
    }
}

impl Reply for NoContent {
    fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody> {
        if !outcome.is_logged_out() {
            return self.errors.reply(outcome, request);
        }
        let mut response = Response::new(ReplyBody::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }

    fn reads_request(&self) -> bool {
        false
    }
}
