//! A connection outside the pool, for a reader that must not wait for the pool.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::pool::Pool;
use tokio::time::timeout;
use tower_logout::BoxError;

use super::connection::Connection;
use super::database::{Database, OnRow, Row, Statement, Value};
use super::failure::{did_not_answer, failed};
use super::terms::Terms;
use super::transaction::{Answer, Decode, Fetch, Rows, Sql};

/// A connection of sqlx, with the options of a pool.
pub(super) struct Own<DB: Database> {
    connection: DB::Connection,
    limit: Duration,
    prepares: bool,
}

/// A connection of its own. Drop the connection after an error, and after a statement whose answer nobody awaited.
pub(crate) struct OwnConnection {
    connection: Box<dyn Connection>,
    /// Each statement needs a transaction, because a pooler would send its parts to different servers.
    in_transactions: bool,
}

impl<DB: Database> Own<DB> {
    pub(super) async fn connect(pool: &Pool<DB>, terms: &Terms) -> Result<Self, BoxError> {
        let options = DB::for_many_rows(pool.connect_options().as_ref().clone());
        let connected = <DB::Connection as sqlx::Connection>::connect_with(&options);
        Ok(Self {
            connection: in_time(terms.limit, connected).await?,
            limit: terms.limit,
            prepares: terms.prepares,
        })
    }

    async fn execute(&mut self, sql: &Arc<str>) -> Result<(), BoxError> {
        let mut on_row = |_: &dyn Row| {};
        let limit = self.limit;
        in_time(limit, DB::execute(&mut self.connection, sql, &mut on_row)).await
    }
}

async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, BoxError> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(did_not_answer(limit)),
    }
}

impl<DB: Database> Connection for Own<DB> {
    fn begin<'c>(&'c mut self, sql: &'c Arc<str>) -> BoxFuture<'c, Result<(), BoxError>> {
        Box::pin(self.execute(sql))
    }

    fn fetch<'c>(
        &'c mut self,
        sql: &'c Arc<str>,
        values: &'c [Value<'c>],
        on_row: &'c mut OnRow<'_>,
    ) -> BoxFuture<'c, Result<u64, BoxError>> {
        Box::pin(async move {
            let statement = Statement {
                sql,
                values,
                stays_prepared: self.prepares,
            };
            let limit = self.limit;
            in_time(limit, DB::fetch(&mut self.connection, statement, on_row)).await
        })
    }

    fn commit<'c>(&'c mut self, sql: &'c Arc<str>) -> BoxFuture<'c, Result<(), BoxError>> {
        Box::pin(self.execute(sql))
    }
}

impl OwnConnection {
    pub(super) fn new(connection: Box<dyn Connection>, in_transactions: bool) -> Self {
        Self {
            connection,
            in_transactions,
        }
    }
}

impl Fetch for &mut OwnConnection {
    async fn fetch<T: Send>(self, sql: &Sql, values: &[Value<'_>], decode: Decode<T>) -> Rows<T> {
        let connection = &mut *self.connection;
        if self.in_transactions {
            connection.begin(&"BEGIN".into()).await?;
        }
        let answer = Answer::to(connection, sql, values, decode).await?;
        if self.in_transactions {
            connection.commit(&"COMMIT".into()).await?;
        }
        Ok(answer.rows)
    }
}
