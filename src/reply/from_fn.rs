//! A reply from a closure.

use std::fmt;

use http::Response;
use http::request::Parts;

use super::{Reply, ReplyBody};
use crate::outcome::Outcome;

/// Creates a [`Reply`] from a closure.
///
/// The closure gets the outcome and returns the response. To read the request as well, implement [`Reply`].
///
/// ```
/// # use tower_logout::{LogoutLayer, Revocation, store_fn};
/// use http::Response;
/// use tower_logout::reply;
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let layer = LogoutLayer::builder(store)
///     .reply(reply::from_fn(|outcome| {
///         let mut response = Response::new("bye");
///         *response.status_mut() = outcome.status();
///         response
///     }))
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub fn from_fn<F, B>(f: F) -> FromFn<F>
where
    F: Fn(&Outcome) -> Response<B> + Send + Sync + 'static,
    B: Into<ReplyBody>,
{
    FromFn { f }
}

/// A [`Reply`] from a closure. Created by [`from_fn`].
#[derive(Clone, Copy)]
pub struct FromFn<F> {
    f: F,
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

impl<F, B> Reply for FromFn<F>
where
    F: Fn(&Outcome) -> Response<B> + Send + Sync + 'static,
    B: Into<ReplyBody>,
{
    fn reply(&self, outcome: &Outcome, _: Parts) -> Response<ReplyBody> {
        (self.f)(outcome).map(Into::into)
    }

    fn reads_request(&self) -> bool {
        false
    }
}
