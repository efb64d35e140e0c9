//! Errors that are worth another attempt.

use std::error::Error;
use std::fmt;

use super::BoxError;

/// An error of a store that may not come again: a lost connection, a deadlock, a failover.
///
/// A store wraps such errors in it, and `RetryStore` (feature `retry`) tries again.
///
/// ```
/// use tower_logout::BoxError;
/// use tower_logout::store::Transient;
///
/// let error: BoxError = Transient::new("connection reset").into();
/// assert!(error.is::<Transient>());
/// assert_eq!(error.to_string(), "connection reset");
/// ```
#[derive(Debug)]
pub struct Transient(BoxError);

impl Transient {
    /// Marks an error.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl Transient {
    /// The error that is marked, which `source` passes over since it has the same text.
    pub(super) fn marked(&self) -> &(dyn Error + 'static) {
        &*self.0
    }
}

impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Transient {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
