//! An error with the sessions that were ended before the error.

use std::error::Error;
use std::fmt;

use super::{BoxError, Revocation, Transient};

/// An error of a store that has ended some sessions before it failed.
///
/// With this error, the operator learns of the ended sessions although the logout failed, for example
/// because a replica is late or one of two databases is down.
///
/// ```
/// use tower_logout::{BoxError, Revocation};
/// use tower_logout::store::{Incomplete, SessionId};
///
/// let ended = Revocation::from_iter([SessionId::new("1f0c")]);
/// let error: BoxError = Incomplete::new(ended, "the second database is down").into();
/// assert_eq!(error.source().unwrap().to_string(), "the second database is down");
/// ```
#[derive(Debug)]
pub struct Incomplete {
    ended: Revocation,
    error: BoxError,
}

impl Incomplete {
    /// Creates an error from the ended sessions and the cause.
    pub fn new(ended: Revocation, error: impl Into<BoxError>) -> Self {
        let error = error.into();
        Self { ended, error }
    }

    /// Returns the sessions that were ended before this error or one of its sources.
    ///
    /// ```
    /// use tower_logout::{BoxError, Revocation};
    /// use tower_logout::store::Incomplete;
    ///
    /// let error: BoxError = Incomplete::new(Revocation::Revoked, "a replica is late").into();
    /// assert_eq!(Incomplete::ended_by(&*error), Revocation::Revoked);
    /// ```
    pub fn ended_by(error: &(dyn Error + 'static)) -> Revocation {
        std::iter::successors(Some(error), |&error| made_of(error))
            .filter_map(|error| error.downcast_ref::<Self>())
            .fold(Revocation::NotFound, |ended, error| {
                ended.and(error.ended.clone())
            })
    }

    /// Combines the results of two revocations of one logout.
    ///
    /// # Errors
    ///
    /// The first error, if one of the results is an error. The error is an [`Incomplete`] if sessions were
    /// ended.
    ///
    /// ```
    /// use tower_logout::Revocation;
    /// use tower_logout::store::Incomplete;
    ///
    /// let result = Incomplete::both(Ok(Revocation::Revoked), Err("the second database is down".into()));
    /// assert!(result.unwrap_err().is::<Incomplete>());
    /// ```
    pub fn both(
        one: Result<Revocation, BoxError>,
        other: Result<Revocation, BoxError>,
    ) -> Result<Revocation, BoxError> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok(one.and(other)),
            (Ok(Revocation::NotFound), failed) | (failed, Ok(Revocation::NotFound)) => failed,
            (Ok(ended), Err(error)) | (Err(error), Ok(ended)) => {
                Err(Self::new(ended, error).into())
            }
            (Err(error), Err(other)) => match Self::ended_by(&*other) {
                Revocation::NotFound => Err(error),
                ended => Err(Self::new(ended, error).into()),
            },
        }
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("some sessions ended before the error")
    }
}

impl Error for Incomplete {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

/// The next error of the chain. `Transient::source` skips the marked error, so this function returns it.
fn made_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<Transient>() {
        Some(transient) => Some(transient.marked()),
        None => error.source(),
    }
}
