//! One face for the databases: a pool, a transaction, a row.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use sqlx::Executor as _;
use sqlx::Row as _;
#[cfg(feature = "mysql")]
use sqlx::mysql::{MySql, MySqlPool, MySqlRow};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgPool, PgRow, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Either};

use super::dialect::Dialect;
use super::lease::{Lease, Lends, Terms};
use tower_logout::BoxError;
use tower_logout::store::Transient;

/// How long a database may take to answer, which is less than the layer's deadline.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool of connections to one of the databases whose feature is switched on: made from sqlx's own.
///
/// Whatever a store waits for on a server has a [time-out](Self::with_statement_timeout), be the pool
/// the application's or the store's. A connection whose answer did not come is closed, and so are the
/// others that do not answer any more: a database that comes back is served by new ones at once. One
/// that turns out to be no primary any more is left, and the next attempt reaches whoever is at its
/// address.
///
/// Behind `PgBouncer` in transaction mode the store keeps its promises
/// [without prepared statements](Self::without_prepared_statements), and with
/// `ignore_startup_parameters = extra_float_digits`, which sqlx sends (tried with 1.18). In a Galera
/// cluster a node may not have applied yet what another one has acknowledged: send logouts and
/// refreshes to one node, or set `wsrep_sync_wait = 7` (not tried).
///
/// Transactions of the application's own go through sqlx's `begin`, which ends them with their handle. A
/// raw `BEGIN` that comes back to the pool open takes with it what a store is told is done.
#[derive(Clone, Debug)]
pub struct SqlPool(pub(super) Pool);

impl SqlPool {
    /// How long a connection, and then the answer to each statement, is waited for. 3 seconds by
    /// default, below the layer's [deadline](tower_logout::LogoutLayerBuilder::deadline). Of SQLite, which has
    /// no network to lose an answer, only the connection.
    ///
    /// Postgres is told to give up waiting for a lock as well, once a statement had to be given up, and
    /// MySQL is by the pools that a store opens. In a pool of your own set `innodb_lock_wait_timeout`:
    /// a closed connection goes on waiting on the server, by default for 50 seconds.
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
        self.0.terms.limit = timeout;
        self
    }

    /// Leaves no statement prepared on the server, and makes each a transaction: for a pooler that
    /// gives the connection to another client after each transaction, such as `PgBouncer` before 1.21
    /// in its transaction mode. Statements stay prepared by default.
    ///
    /// Make the tables past the pooler, by [`SqlStoreBuilder::migrate`](crate::SqlStoreBuilder::migrate).
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
        self.0.terms.prepares = false;
        self
    }
}

/// A value of a statement's parameter.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Bytes(&'v [u8]),
    Int(i64),
}

#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) connections: Connections,
    terms: Terms,
}

/// A transaction, rolled back when it is dropped.
pub(super) struct Transaction(Lent);

#[derive(Default)]
struct Answer {
    rows: Vec<Row>,
    changed: u64,
}

impl Pool {
    /// Runs a statement to its end, and returns all of its rows.
    pub(super) async fn fetch(
        &self,
        sql: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, BoxError> {
        Ok(self.run(sql, values, false).await?.rows)
    }

    /// Runs a statement, and returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        sql: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<u64, BoxError> {
        // In MySQL it would be part of a transaction that the application gave up and left open.
        let in_transaction = self.dialect() == Dialect::MySql;
        Ok(self.run(sql, values, in_transaction).await?.changed)
    }

    async fn run(
        &self,
        sql: &Arc<str>,
        values: &[Value<'_>],
        in_transaction: bool,
    ) -> Result<Answer, BoxError> {
        if !in_transaction && !self.needs_transaction() {
            let answer = self.lend().await?.ask(sql, values).await;
            if answer.is_ok() || !self.terms.lessons.isolate.load(Ordering::Relaxed) {
                return answer;
            }
        }
        let mut transaction = self.begin().await?;
        let answer = transaction.0.ask(sql, values).await?;
        transaction.commit().await?;
        self.terms.lessons.wary.store(false, Ordering::Relaxed);
        Ok(answer)
    }

    /// Whether a statement has to be isolated, or the server has to be told how long to wait: only
    /// Postgres goes on waiting for a lock when the connection is closed. Or the statement and its
    /// values, of which it is told one after the other, have to reach the same server.
    fn needs_transaction(&self) -> bool {
        let lessons = &self.terms.lessons;
        self.dialect() == Dialect::Postgres
            && (lessons.isolate.load(Ordering::Relaxed)
                || lessons.wary.load(Ordering::Relaxed)
                || !self.terms.prepares)
    }

    /// Whether MySQL's binary log is one of statements, which READ COMMITTED cannot be written to.
    pub(super) fn logs_statements(&self, logs_statements: bool) {
        let lesson = &self.terms.lessons.logs_statements;
        lesson.store(logs_statements, Ordering::Relaxed);
    }

    pub(super) async fn begin(&self) -> Result<Transaction, BoxError> {
        let mut lent = self.lend().await?;
        lent.begin(self.begin_sql()).await?;
        Ok(Transaction(lent))
    }

    /// In one round trip: the isolation that the statements are made for, whatever the default is; and
    /// whether the server takes writes, which a demoted one does not.
    fn begin_sql(&self) -> String {
        let terms = &self.terms;
        match self.dialect() {
            // The write lock from the start: what a transaction reads is true until it commits.
            Dialect::Sqlite => "BEGIN IMMEDIATE".to_owned(),
            // A time-out of whole statements would cut a commit's wait for its replicas short, and
            // call that a success.
            Dialect::Postgres => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; \
                 SHOW transaction_read_only",
                terms
                    .limit
                    .as_millis()
                    .clamp(1, i32::MAX.unsigned_abs().into())
            ),
            // What the application left open is given up first.
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

impl Transaction {
    pub(super) async fn fetch(
        &mut self,
        sql: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, BoxError> {
        Ok(self.0.ask(sql, values).await?.rows)
    }

    pub(super) async fn execute(
        &mut self,
        sql: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<u64, BoxError> {
        Ok(self.0.ask(sql, values).await?.changed)
    }

    pub(super) async fn commit(mut self) -> Result<(), BoxError> {
        self.0.commit().await
    }
}

macro_rules! databases {
    ($($feature:literal $name:ident $database:ident $pool:ident $row:ident $is_server:literal,)*) => {
        #[derive(Clone, Debug)]
        pub(super) enum Connections {
            $(#[cfg(feature = $feature)] $name($pool),)*
        }

        /// A connection of one of the pools.
        enum Lent {
            $(#[cfg(feature = $feature)] $name(Lease<$database>),)*
        }

        pub(super) enum Row {
            $(#[cfg(feature = $feature)] $name($row),)*
        }

        $(#[cfg(feature = $feature)]
        impl From<$pool> for SqlPool {
            fn from(pool: $pool) -> Self {
                Self(Pool {
                    connections: Connections::$name(pool),
                    terms: Terms {
                        limit: STATEMENT_TIMEOUT,
                        prepares: true,
                        lessons: Arc::default(),
                    },
                })
            }
        }

        #[cfg(feature = $feature)]
        impl Lends for $database {
            const IS_SERVER: bool = $is_server;

            fn rollback(connection: &mut Self::Connection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
                Box::pin(async { connection.execute("ROLLBACK").await.map(drop) })
            }
        })*

        impl Pool {
            pub(super) fn dialect(&self) -> Dialect {
                match self.connections {
                    $(#[cfg(feature = $feature)]
                    Connections::$name(_) => Dialect::$name,)*
                }
            }

            async fn lend(&self) -> Result<Lent, BoxError> {
                match &self.connections {
                    $(#[cfg(feature = $feature)]
                    Connections::$name(pool) => Ok(Lent::$name(Lease::of(pool, &self.terms).await?)),)*
                }
            }
        }

        impl Lent {
            async fn begin(&mut self, sql: String) -> Result<(), BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(lease) => {
                        lease.opens();
                        let (connection, watch) = lease.parts()?;
                        let begin = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection);
                        let rows = watch.answer(begin).await?;
                        let read_only = rows.last().map(|row| row.try_get::<String, _>(0));
                        if read_only.transpose()?.is_some_and(|setting| setting == "on") {
                            lease.abandon();
                            return Err(Transient::new(
                                "the server takes no writes: it is a replica, or was told so",
                            )
                            .into());
                        }
                    })*
                }
                Ok(())
            }

            async fn ask(
                &mut self,
                sql: &Arc<str>,
                values: &[Value<'_>],
            ) -> Result<Answer, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(lease) => {
                        let (connection, watch) = lease.parts()?;
                        let mut parts = connection
                            .fetch_many(bind!(sql, values).persistent(watch.prepares()));
                        let answer = async {
                            let mut answer = Answer::default();
                            while let Some(part) = parts.try_next().await? {
                                match part {
                                    Either::Left(done) => answer.changed += done.rows_affected(),
                                    Either::Right(row) => answer.rows.push(Row::$name(row)),
                                }
                            }
                            Ok(answer)
                        };
                        watch.answer(answer).await
                    })*
                }
            }

            async fn commit(&mut self) -> Result<(), BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(lease) => {
                        let (connection, watch) = lease.parts()?;
                        watch.answer(connection.execute("COMMIT")).await?;
                        lease.closes();
                        Ok(())
                    })*
                }
            }
        }

        impl Row {
            pub(super) fn text(&self, column: usize) -> Result<String, BoxError> {
                match self {
                    // Unchecked, since MySQL's bytes are no text to sqlx.
                    $(#[cfg(feature = $feature)]
                    Self::$name(row) => Ok(row.try_get_unchecked(column)?),)*
                }
            }

            pub(super) fn text_or_null(&self, column: usize) -> Result<Option<String>, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(row) => Ok(row.try_get_unchecked(column)?),)*
                }
            }

            pub(super) fn int(&self, column: usize) -> Result<i64, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(row) => Ok(row.try_get(column)?),)*
                }
            }
        }
    };
}

/// The statement's text is made of the configuration alone; what a request holds is a value.
macro_rules! bind {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone($sql)));
        for value in $values {
            query = match *value {
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
                Value::Int(int) => query.bind(int),
            };
        }
        query
    }};
}

databases! {
    "sqlite" Sqlite Sqlite SqlitePool SqliteRow false,
    "postgres" Postgres Postgres PgPool PgRow true,
    "mysql" MySql MySql MySqlPool MySqlRow true,
}
