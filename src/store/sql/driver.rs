//! One face for the databases: a pool, a transaction, a row.

use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::error::DatabaseError;
#[cfg(feature = "mysql")]
use sqlx::mysql::{MySql, MySqlPool, MySqlRow};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgPool, PgRow, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqlitePool, SqliteRow};

use super::dialect::Dialect;
use crate::BoxError;
use crate::store::Transient;

/// A pool of connections to one of the databases whose feature is switched on: made from sqlx's own.
///
/// Transactions of the application's own go through sqlx's `begin`, which ends them with their handle. A
/// raw `BEGIN` that comes back to the pool open takes with it what a store is told is done.
#[derive(Clone, Debug)]
pub struct SqlPool(pub(super) Pool);

/// A value of a statement's parameter.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Bytes(&'v [u8]),
    Int(i64),
}

macro_rules! databases {
    ($($feature:literal $name:ident $database:ident $pool:ident $row:ident $begin:literal,)*) => {
        #[derive(Clone, Debug)]
        pub(super) enum Pool {
            $(#[cfg(feature = $feature)] $name($pool),)*
        }

        pub(super) enum Transaction {
            $(#[cfg(feature = $feature)] $name(sqlx::Transaction<'static, $database>),)*
        }

        pub(super) enum Row {
            $(#[cfg(feature = $feature)] $name($row),)*
        }

        $(#[cfg(feature = $feature)]
        impl From<$pool> for SqlPool {
            fn from(pool: $pool) -> Self {
                Self(Pool::$name(pool))
            }
        })*

        impl Pool {
            pub(super) fn dialect(&self) -> Dialect {
                match self {
                    $(#[cfg(feature = $feature)] Self::$name(_) => Dialect::$name,)*
                }
            }

            pub(super) async fn begin(&self) -> Result<Transaction, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(pool) => {
                        let pool = pool.clone();
                        let begin = async move { pool.begin_with($begin).await };
                        // One that is given up half way leaves MySQL's connection in a transaction that
                        // nobody ends, and gives it back to the pool.
                        let begun = if self.dialect() == Dialect::MySql {
                            tokio::spawn(begin).await?
                        } else {
                            begin.await
                        };
                        Ok(Transaction::$name(begun.map_err(failed)?))
                    })*
                }
            }

            /// Runs a statement to its end, and returns all of its rows.
            pub(super) async fn fetch(
                &self,
                sql: &Arc<str>,
                values: &[Value<'_>],
            ) -> Result<Vec<Row>, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(pool) => {
                        let rows = bind!(sql, values).fetch_all(pool).await.map_err(failed)?;
                        Ok(rows.into_iter().map(Row::$name).collect())
                    })*
                }
            }

            /// Runs a statement, and returns how many rows it changed.
            pub(super) async fn execute(
                &self,
                sql: &Arc<str>,
                values: &[Value<'_>],
            ) -> Result<u64, BoxError> {
                if self.dialect() == Dialect::MySql {
                    // A `BEGIN` commits what one that the application gave up has left open.
                    let mut transaction = self.begin().await?;
                    let changed = transaction.execute(sql, values).await?;
                    transaction.commit().await?;
                    return Ok(changed);
                }
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(pool) => {
                        let done = bind!(sql, values).execute(pool).await.map_err(failed)?;
                        Ok(done.rows_affected())
                    })*
                }
            }
        }

        impl Transaction {
            pub(super) async fn fetch(
                &mut self,
                sql: &Arc<str>,
                values: &[Value<'_>],
            ) -> Result<Vec<Row>, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(transaction) => {
                        let query = bind!(sql, values);
                        let rows = query.fetch_all(&mut **transaction).await.map_err(failed)?;
                        Ok(rows.into_iter().map(Row::$name).collect())
                    })*
                }
            }

            pub(super) async fn execute(
                &mut self,
                sql: &Arc<str>,
                values: &[Value<'_>],
            ) -> Result<u64, BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(transaction) => {
                        let query = bind!(sql, values);
                        let done = query.execute(&mut **transaction).await.map_err(failed)?;
                        Ok(done.rows_affected())
                    })*
                }
            }

            pub(super) async fn commit(self) -> Result<(), BoxError> {
                match self {
                    $(#[cfg(feature = $feature)]
                    Self::$name(transaction) => transaction.commit().await.map_err(failed),)*
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
    // The write lock from the start: what a transaction reads is true until it commits.
    "sqlite" Sqlite Sqlite SqlitePool SqliteRow "BEGIN IMMEDIATE",
    "postgres" Postgres Postgres PgPool PgRow "BEGIN",
    "mysql" MySql MySql MySqlPool MySqlRow "BEGIN",
}

/// Marks what is worth another attempt: the connection, the pool, a deadlock, a lock that was waited
/// for too long, a server that is shutting down.
pub(super) fn failed(error: sqlx::Error) -> BoxError {
    let transient = match &error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => is_transient(&**error),
        _ => false,
    };
    if transient {
        Transient::new(error).into()
    } else {
        error.into()
    }
}

fn is_transient(error: &dyn DatabaseError) -> bool {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_SERVER_SHUTDOWN, ER_CON_COUNT_ERROR.
        return [1205, 1213, 1053, 1040].contains(&error.number());
    }
    let Some(code) = error.code() else {
        return false;
    };
    #[cfg(feature = "sqlite")]
    if error
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some()
    {
        // SQLITE_BUSY and SQLITE_LOCKED, of which the code may be an extended one.
        return code
            .parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6));
    }
    // Postgres: connection exceptions, serialization_failure, deadlock_detected,
    // lock_not_available, too_many_connections, and the shutdowns.
    ["40001", "40P01", "55P03", "53300"].contains(&&*code)
        || ["08", "57P0"].iter().any(|class| code.starts_with(class))
}

pub(super) fn is_taken(error: &BoxError) -> bool {
    error
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
        .is_some_and(DatabaseError::is_unique_violation)
}
