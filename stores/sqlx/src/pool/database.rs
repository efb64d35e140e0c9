//! What the databases that sqlx reaches have in common.

use std::future::Future;
use std::sync::Arc;

use futures::TryStreamExt;
use sqlx::{ColumnIndex, Decode, Either, Executor, Type};
use tower_logout::BoxError;

use crate::dialect::Dialect;
use crate::sql_text::sql_text;

/// The value of a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Value<'v> {
    Text(&'v str),
    Bytes(&'v [u8]),
    Int(i64),
}

/// A statement with its values.
#[derive(Clone, Copy)]
pub(crate) struct Statement<'s> {
    pub(crate) sql: &'s Arc<str>,
    pub(crate) values: &'s [Value<'s>],
    /// Whether the server keeps the statement prepared.
    pub(crate) stays_prepared: bool,
}

/// A row of an answer.
pub(crate) trait Row {
    fn text(&self, column: usize) -> Result<String, BoxError>;

    fn text_or_null(&self, column: usize) -> Result<Option<String>, BoxError>;

    fn int(&self, column: usize) -> Result<i64, BoxError>;
}

/// Takes each row of an answer.
pub(crate) type OnRow<'r> = dyn FnMut(&dyn Row) + Send + 'r;

/// How to connect to a database.
pub(crate) type Options<DB> = <<DB as sqlx::Database>::Connection as sqlx::Connection>::Options;

/// A database that sqlx reaches.
pub(crate) trait Database: sqlx::Database {
    const DIALECT: Dialect;

    /// The options of a connection that reads many rows.
    fn for_many_rows(options: Options<Self>) -> Options<Self>;

    /// Runs a statement, and returns how many rows it changed.
    fn fetch<'c>(
        connection: &'c mut Self::Connection,
        statement: Statement<'c>,
        on_row: &'c mut OnRow<'_>,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Runs statements without values, separated by semicolons.
    fn execute<'c>(
        connection: &'c mut Self::Connection,
        sql: &'c Arc<str>,
        on_row: &'c mut OnRow<'_>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

impl<R: sqlx::Row> Row for R
where
    usize: ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database>,
    for<'r> Option<String>: Decode<'r, R::Database>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn text(&self, column: usize) -> Result<String, BoxError> {
        // Unchecked, because to sqlx a column of bytes in MySQL is no text.
        Ok(self.try_get_unchecked(column)?)
    }

    fn text_or_null(&self, column: usize) -> Result<Option<String>, BoxError> {
        Ok(self.try_get_unchecked(column)?)
    }

    fn int(&self, column: usize) -> Result<i64, BoxError> {
        Ok(self.try_get(column)?)
    }
}

/// sqlx's types let nobody write these functions once for all databases.
macro_rules! databases {
    ($($feature:literal $database:ident $for_many_rows:expr,)*) => {$(
        #[cfg(feature = $feature)]
        impl Database for sqlx::$database {
            const DIALECT: Dialect = Dialect::$database;

            fn for_many_rows(options: Options<Self>) -> Options<Self> {
                let for_many_rows: fn(Options<Self>) -> Options<Self> = $for_many_rows;
                for_many_rows(options)
            }

            async fn fetch<'c>(
                connection: &'c mut Self::Connection,
                statement: Statement<'c>,
                on_row: &'c mut OnRow<'_>,
            ) -> Result<u64, sqlx::Error> {
                let mut query = sqlx::query(sql_text(statement.sql));
                for value in statement.values {
                    query = match *value {
                        Value::Text(text) => query.bind(text),
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Int(int) => query.bind(int),
                    };
                }
                let mut parts = connection.fetch_many(query.persistent(statement.stays_prepared));
                let mut changed = 0;
                while let Some(part) = parts.try_next().await? {
                    match part {
                        Either::Left(done) => changed += done.rows_affected(),
                        Either::Right(row) => on_row(&row),
                    }
                }
                Ok(changed)
            }

            async fn execute<'c>(
                connection: &'c mut Self::Connection,
                sql: &'c Arc<str>,
                on_row: &'c mut OnRow<'_>,
            ) -> Result<(), sqlx::Error> {
                let rows = connection.fetch_all(sqlx::raw_sql(sql_text(sql))).await?;
                for row in &rows {
                    on_row(row);
                }
                Ok(())
            }
        }
    )*};
}

databases! {
    // The thread of a connection waits for the reader whenever the buffer is full, by default after 50 rows.
    "sqlite" Sqlite |options| options.row_buffer_size(1000),
    "postgres" Postgres |options| options,
    "mysql" MySql |options| options,
}
