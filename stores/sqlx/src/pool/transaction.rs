//! Statements, alone and in a transaction.

use std::future::Future;
use std::sync::Arc;

use tower_logout::BoxError;

use super::connection::Connection;
use super::database::{Row, Value};

/// Reads a row.
pub(crate) type Decode<T> = fn(&dyn Row) -> Result<T, BoxError>;

/// The rows of an answer.
pub(crate) type Rows<T> = Result<Vec<T>, BoxError>;

/// The text of a statement.
pub(crate) type Sql = Arc<str>;

/// A pool or a transaction, on which statements run.
pub(crate) trait Fetch: Send {
    /// Runs a statement that only reads or locks, and returns the rows of its answer.
    fn fetch<T: Send>(
        self,
        sql: &Sql,
        values: &[Value<'_>],
        decode: Decode<T>,
    ) -> impl Future<Output = Rows<T>> + Send;
}

/// The answer to a statement.
pub(super) struct Answer<T> {
    pub(super) rows: Vec<T>,
    pub(super) changed: u64,
}

/// A transaction, rolled back when it is dropped.
pub(crate) struct Transaction(Box<dyn Connection>);

impl<T: Send> Answer<T> {
    pub(super) async fn to(
        connection: &mut dyn Connection,
        sql: &Sql,
        values: &[Value<'_>],
        decode: Decode<T>,
    ) -> Result<Self, BoxError> {
        let mut rows = Vec::new();
        let mut on_row = |row: &dyn Row| rows.push(decode(row));
        let changed = connection.fetch(sql, values, &mut on_row).await?;
        // Only here, so that the whole answer was taken from the connection before an error.
        let rows = rows.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { rows, changed })
    }
}

impl Transaction {
    pub(super) fn new(connection: Box<dyn Connection>) -> Self {
        Self(connection)
    }

    /// Runs a statement that writes, and returns how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<u64, BoxError> {
        Ok(self.run(sql, values, |_| Ok(())).await?.changed)
    }

    pub(super) async fn run<T: Send>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        decode: Decode<T>,
    ) -> Result<Answer<T>, BoxError> {
        Answer::to(&mut *self.0, sql, values, decode).await
    }

    pub(crate) async fn commit(self) -> Result<(), BoxError> {
        self.commit_by(&"COMMIT".into()).await
    }

    /// Commits by statements of which the last one is `COMMIT`, in one round trip.
    pub(crate) async fn commit_by(mut self, sql: &Sql) -> Result<(), BoxError> {
        self.0.commit(sql).await
    }

    /// Commits what was done, or rolls back what failed.
    pub(crate) async fn finish<T>(self, done: Result<T, BoxError>) -> Result<T, BoxError> {
        let done = done?;
        self.commit().await?;
        Ok(done)
    }
}

impl Fetch for &mut Transaction {
    async fn fetch<T: Send>(self, sql: &Sql, values: &[Value<'_>], decode: Decode<T>) -> Rows<T> {
        Ok(self.run(sql, values, decode).await?.rows)
    }
}
