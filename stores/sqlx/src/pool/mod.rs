//! The pool of connections that a store uses.

mod connection;
mod database;
pub(crate) mod failure;
mod idle;
mod lease;
mod own;
mod settings;
mod terms;
mod transaction;
pub(crate) mod url;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tower_logout::BoxError;

pub(crate) use self::database::{Row, Value};
pub(crate) use self::idle::in_background;
pub(crate) use self::own::OwnConnection;
pub(crate) use self::terms::STATEMENT_TIMEOUT;
pub(crate) use self::transaction::{Decode, Fetch, Rows, Transaction};

use self::connection::{Connection, Connections};
use self::lease::Access;
use self::terms::Terms;
use self::transaction::{Answer, Sql};
use crate::dialect::Dialect;

/// A pool of connections to SQLite, Postgres, MySQL or MariaDB, made from sqlx's own pool.
///
/// A store waits for a server no longer than the [timeout](Self::with_statement_timeout), whoever made the
/// pool. If an answer does not come in time, the store closes the connection, and each other idle
/// connection that does not answer either. A database that comes back is then served by new connections
/// at once. If a server turns out to be a replica, the store closes the connections to it, and the next
/// attempt connects again.
///
/// In SQLite one connection writes at a time. The stores of one `SqlPool` and its clones take turns in the
/// order in which they came, and a store that waits for its turn takes no connection from the pool.
///
/// Behind `PgBouncer` in transaction mode a store works
/// [without prepared statements](Self::without_prepared_statements), and with
/// `ignore_startup_parameters = extra_float_digits`, which sqlx sends (tested with 1.18). In a Galera
/// cluster, a node may not have applied a change that another node has acknowledged: send logouts and
/// refreshes to one node, or set `wsrep_sync_wait = 7` (not tested).
///
/// Begin your own transactions with sqlx's `begin`, which ends them with their handle. If you return a
/// connection to the pool after a raw `BEGIN`, the store's statements become part of your transaction, and
/// are undone with it.
#[derive(Clone, Debug)]
pub struct SqlPool {
    connections: Arc<dyn Connections>,
    terms: Terms,
}

/// A pool, for statements that a server which takes no writes must not answer.
pub(crate) struct Primary<'p>(&'p SqlPool);

macro_rules! from_pools {
    ($($feature:literal $pool:ident,)*) => {$(
        #[cfg(feature = $feature)]
        impl From<sqlx::$pool> for SqlPool {
            fn from(pool: sqlx::$pool) -> Self {
                Self {
                    connections: Arc::new(pool),
                    terms: Terms::default(),
                }
            }
        }
    )*};
}

from_pools! {
    "sqlite" SqlitePool,
    "postgres" PgPool,
    "mysql" MySqlPool,
}

impl SqlPool {
    /// How long a store waits for a connection, and then for the answer to each statement. 3 seconds by
    /// default, which is less than the layer's `timeout`. For SQLite, which has no network to lose an answer,
    /// the timeout limits the wait for the turn to write and for the connection.
    ///
    /// After a statement that timed out, the store also tells Postgres how long to wait for a lock. MySQL is
    /// told by the pools that a store opens. For a pool of your own, set `innodb_lock_wait_timeout`: the
    /// server goes on waiting for a closed connection, for 50 seconds by default.
    ///
    /// ```
    /// # fn pool(pool: impl Into<tower_logout_sqlx::SqlPool>) {
    /// use std::time::Duration;
    /// use tower_logout_sqlx::SqlPool;
    ///
    /// let pool: SqlPool = pool.into();
    /// let pool = pool.with_statement_timeout(Duration::from_secs(1));
    /// # }
    /// ```
    #[must_use]
    pub fn with_statement_timeout(mut self, timeout: Duration) -> Self {
        self.terms.limit = timeout;
        self
    }

    /// Keeps no statement prepared on the server, and runs each statement in a transaction: for a pooler
    /// that gives the connection to another client after each transaction, such as `PgBouncer` before 1.21
    /// in transaction mode. By default statements stay prepared.
    ///
    /// Create the tables past the pooler, with
    /// [`SqlStoreBuilder::migrate`](crate::SqlStoreBuilder::migrate).
    ///
    /// ```
    /// # fn pool(pool: impl Into<tower_logout_sqlx::SqlPool>) {
    /// use tower_logout_sqlx::SqlPool;
    ///
    /// let pool: SqlPool = pool.into();
    /// let pool = pool.without_prepared_statements();
    /// # }
    /// ```
    #[must_use]
    pub fn without_prepared_statements(mut self) -> Self {
        self.terms.prepares = false;
        self
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.connections.dialect()
    }

    /// Opens a connection outside the pool. Who reads on that connection waits for nobody who has all of the pool's.
    pub(crate) async fn connect(&self) -> Result<OwnConnection, BoxError> {
        let connection = self.connections.connect(&self.terms).await?;
        let in_transactions = self.dialect() == Dialect::Postgres && !self.terms.prepares;
        Ok(OwnConnection::new(connection, in_transactions))
    }

    /// The pool, if it is one of Postgres.
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(&self) -> Option<&sqlx::PgPool> {
        self.connections.postgres()
    }

    /// How long an answer is waited for.
    #[cfg(feature = "postgres")]
    pub(crate) fn statement_timeout(&self) -> Duration {
        self.terms.limit
    }

    /// Runs statements that change the schema.
    pub(crate) async fn migrate(&self, sql: &Sql) -> Result<(), sqlx::Error> {
        self.connections.migrate(sql).await
    }

    /// For statements that [`Dialect::on_primary`] has changed.
    pub(crate) fn primary(&self) -> Primary<'_> {
        Primary(self)
    }

    /// Runs a statement that writes, and returns the rows of its answer.
    pub(crate) async fn write<T: Send>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        decode: Decode<T>,
    ) -> Rows<T> {
        Ok(self.run(Access::Write, sql, values, decode).await?.rows)
    }

    /// Runs a statement that writes, and returns how many rows it changed.
    pub(crate) async fn execute(&self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, BoxError> {
        let done = self.run(Access::Write, sql, values, |_| Ok(())).await?;
        Ok(done.changed)
    }

    async fn run<T: Send>(
        &self,
        access: Access,
        sql: &Sql,
        values: &[Value<'_>],
        decode: Decode<T>,
    ) -> Result<Answer<T>, BoxError> {
        // In MySQL the statement would be part of a transaction that the application left open.
        let in_transaction = access == Access::Write && self.dialect() == Dialect::MySql;
        if !in_transaction && !self.needs_transaction() {
            let mut connection = self.take(access).await?;
            let answer = Answer::to(&mut *connection, sql, values, decode).await;
            if answer.is_ok() || !self.terms.lessons.isolate.load(Ordering::Relaxed) {
                return answer;
            }
        }
        let mut transaction = self.begin().await?;
        let answer = transaction.run(sql, values, decode).await?;
        transaction.commit().await?;
        self.terms.lessons.wary.store(false, Ordering::Relaxed);
        Ok(answer)
    }

    async fn take(&self, access: Access) -> Result<Box<dyn Connection>, BoxError> {
        self.connections.take(&self.terms, access).await
    }

    /// Whether a statement of Postgres has to run in a transaction: to be isolated as the store expects, to
    /// limit how long the server waits for a lock (only Postgres goes on waiting when the connection is
    /// closed), or because the statement and its values are sent one after the other and have to reach the
    /// same server.
    fn needs_transaction(&self) -> bool {
        let lessons = &self.terms.lessons;
        self.dialect() == Dialect::Postgres
            && (lessons.isolate.load(Ordering::Relaxed)
                || lessons.wary.load(Ordering::Relaxed)
                || !self.terms.prepares)
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Transaction, BoxError> {
        let mut connection = self.take(Access::Write).await?;
        connection.begin(&self.begin_sql().into()).await?;
        Ok(Transaction::new(connection))
    }

    /// In one round trip: the isolation that the statements are made for, whatever the default is; and
    /// whether the server takes writes, which a demoted primary does not.
    pub(crate) fn begin_sql(&self) -> String {
        let terms = &self.terms;
        match self.dialect() {
            // With the lock for writing from the start, nothing that a transaction reads changes before its
            // commit.
            Dialect::Sqlite => "BEGIN IMMEDIATE".to_owned(),
            // A timeout of whole statements would cut short how long a commit waits for its replicas, and
            // report success.
            Dialect::Postgres => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; \
                 SHOW transaction_read_only",
                terms
                    .limit
                    .as_millis()
                    .clamp(1, i32::MAX.unsigned_abs().into())
            ),
            // A transaction that the application left open is rolled back first.
            Dialect::MySql => {
                let logs_statements = terms.lessons.logs_statements.load(Ordering::Relaxed);
                let level = if logs_statements {
                    "REPEATABLE READ"
                } else {
                    "READ COMMITTED"
                };
                format!(
                    "ROLLBACK; SET TRANSACTION ISOLATION LEVEL {level}; START TRANSACTION READ WRITE"
                )
            }
        }
    }
}

impl Fetch for &SqlPool {
    async fn fetch<T: Send>(self, sql: &Sql, values: &[Value<'_>], decode: Decode<T>) -> Rows<T> {
        Ok(self.run(Access::Read, sql, values, decode).await?.rows)
    }
}

impl Fetch for Primary<'_> {
    async fn fetch<T: Send>(self, sql: &Sql, values: &[Value<'_>], decode: Decode<T>) -> Rows<T> {
        let answer = self.0.run(Access::ReadOnPrimary, sql, values, decode);
        Ok(answer.await?.rows)
    }
}
