//! A mark for errors that may pass.

use std::error::Error;
use std::fmt;

use super::BoxError;

/// Marks an error of a store that may pass, for example a lost connection, a deadlock or a failover.
///
/// `RetryStore` (feature `retry`) calls the store again after a marked error.
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
    /// Marks an error as transient.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl Transient {
    /// The marked error. `source` skips the marked error, because both have the same text.
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
