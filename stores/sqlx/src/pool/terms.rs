//! How a store waits for a pool and its database.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::Semaphore;

/// How long a database may take to answer by default: less than the layer's timeout.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// How all connections of a pool are used.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// How long a connection, and then an answer, is waited for.
    pub(super) limit: Duration,
    /// Whether the server keeps statements prepared.
    pub(super) prepares: bool,
    pub(super) lessons: Arc<Lessons>,
    /// The permit of the one writer that SQLite has at a time.
    ///
    /// SQLite's own lock is not fair. A connection that finds it taken sleeps and tries again, for
    /// longer each time, while others come and take it. The permit goes to whoever waits longest.
    pub(super) writer: Arc<Semaphore>,
}

/// What errors have taught about the server.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    /// A statement outside a transaction is isolated more strictly than the store expects: a Postgres
    /// server with another default.
    pub(super) isolate: AtomicBool,
    /// An answer did not come. Until one comes, each statement limits how long the server waits for a
    /// lock.
    pub(super) wary: AtomicBool,
    /// MySQL's binary log is one of statements. READ COMMITTED cannot be written to such a log.
    pub(super) logs_statements: AtomicBool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            limit: STATEMENT_TIMEOUT,
            prepares: true,
            lessons: Arc::default(),
            writer: Arc::new(Semaphore::new(1)),
        }
    }
}
