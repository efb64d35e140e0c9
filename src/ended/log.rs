//! The log of ended sessions, which a store writes and each node reads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::{BoxError, SessionId};

/// The log of the sessions that a store has ended.
///
/// A store writes the log in the commit of the revocation, so that no session ends without its entry.
///
/// # Requirements
///
/// - After a [`read`](Self::read) with its cursor, the next `read` returns each session whose end was committed
///   since, also if its transaction began long before. A position from a sequence is not enough: a transaction
///   that took a low position can commit after a transaction that took a higher one.
/// - A cursor of another database, or of a database that lost commits, is no error: `read` starts again without
///   a cursor.
/// - A replica, which may lag, is an error. A read of a replica would look complete for ever.
/// - An entry stays for the [`retention`](Self::retention), by the clock of the database.
///
/// `testing::Conformance::with_ended_log` (feature `testing`) tests a log.
///
/// The trait is also implemented for `Arc<T>` and `Box<T>`, including `Arc<dyn EndedLog>`.
#[async_trait]
pub trait EndedLog: Send + Sync + 'static {
    /// Reads what was committed since the cursor. Without a cursor, reads all sessions whose access tokens may
    /// still live.
    ///
    /// The order does not matter, and an entry may come twice. A read of many entries may return them in several
    /// pages.
    ///
    /// # Errors
    ///
    /// An error if the log cannot be read, or if the server is not the one that takes the writes.
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError>;

    /// How long an access token can outlive its session: the lifetime of an access token, and a slack for clocks
    /// that differ.
    ///
    /// [`SessionPolicy::ended_retention`](crate::store::SessionPolicy::ended_retention) is the one of a policy.
    fn retention(&self) -> Duration;

    /// Waits until there may be something to read. By default, waits for ever.
    ///
    /// The wait is a hint that makes an end travel faster. An end of which no hint tells is found by the next
    /// read, at the latest after [`poll`](Self::poll).
    async fn news(&self) {
        std::future::pending::<()>().await;
    }

    /// How long after a read the next one follows, unless [`news`](Self::news) come first. 1 second by default.
    ///
    /// A log without news needs a shorter time: it is the longest that an end travels.
    fn poll(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The sessions, and how much longer each one matters. Count the time from its end by the clock of the
    /// database alone, so that clocks of several machines never meet.
    pub ended: Vec<(SessionId, Duration)>,
    /// Where the next read begins.
    pub cursor: Cursor,
    /// Whether the page ends with the last entry that was committed when the first page of the read began.
    /// Otherwise the next page follows at once.
    pub is_complete: bool,
}

impl Page {
    /// Creates the last page of a read.
    pub fn new(ended: Vec<(SessionId, Duration)>, cursor: Cursor) -> Self {
        Self {
            ended,
            cursor,
            is_complete: true,
        }
    }

    /// Creates a page that others follow.
    pub fn partial(ended: Vec<(SessionId, Duration)>, cursor: Cursor) -> Self {
        Self {
            is_complete: false,
            ..Self::new(ended, cursor)
        }
    }
}

/// A place in a log. Only the log that made a cursor knows what the text means.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Box<str>);

impl Cursor {
    /// Creates a cursor from its text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text of the cursor.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Does not show the text, which can hold the id of a session.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").finish_non_exhaustive()
    }
}

/// Implements the trait for `Arc<T>` and `Box<T>`, including `dyn EndedLog`.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: EndedLog + ?Sized> EndedLog for $pointer<T> {
            async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
                (**self).read(since).await
            }

            fn retention(&self) -> Duration {
                (**self).retention()
            }

            async fn news(&self) {
                (**self).news().await;
            }

            fn poll(&self) -> Duration {
                (**self).poll()
            }
        }
    )*};
}

forward!(Arc, Box);
