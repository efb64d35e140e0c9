//! A connection that a pool has lent.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use sqlx::pool::{Pool, PoolConnection};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tower_logout::BoxError;
use tower_logout::store::Transient;

use super::connection::Connection;
use super::database::{Database, OnRow, Row, Statement, Value};
use super::failure::{Fate, did_not_answer, failed, fate, takes_no_writes};
use super::idle::{acquire, close, close_idle, give_back, in_background, test_idle};
use super::terms::Terms;

/// What a connection is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// To read rows whose first column says whether the server takes no writes.
    ReadOnPrimary,
    Write,
}

/// A connection that a pool has lent. A connection that is of use to others is given back. Any other one
/// is closed: if an answer did not come in time, or nobody waited for an answer, then the next statement
/// would take that answer for its own, or the pool would wait for it without end.
pub(super) struct Lease<DB: Database> {
    pool: Pool<DB>,
    connection: Option<PoolConnection<DB>>,
    permit: Option<OwnedSemaphorePermit>,
    terms: Terms,
    access: Access,
    /// A statement was sent, and its answer has not come.
    asked: bool,
    /// A transaction may be open.
    open: bool,
}

/// Waits for the answer to a statement on a lent connection.
struct Watch<'l, DB: Database> {
    pool: &'l Pool<DB>,
    terms: &'l Terms,
    asked: &'l mut bool,
}

impl<DB: Database> Lease<DB> {
    pub(super) async fn take(
        pool: &Pool<DB>,
        terms: &Terms,
        access: Access,
    ) -> Result<Self, BoxError> {
        let taken = async {
            // Before the connection, so that who waits for the permit leaves the connections to others.
            let permit = if access == Access::Write && !DB::DIALECT.is_server() {
                let permit = Arc::clone(&terms.writer).acquire_owned().await;
                Some(permit.map_err(|_| sqlx::Error::PoolClosed)?)
            } else {
                None
            };
            Ok((permit, acquire(pool).await?))
        };
        let Ok(taken) = timeout(terms.limit, taken).await else {
            return Err(Transient::new(format!(
                "no connection to the database was free within {:?}",
                terms.limit
            ))
            .into());
        };
        let (permit, connection) = taken.map_err(failed)?;
        Ok(Self {
            connection: Some(connection),
            permit,
            pool: pool.clone(),
            terms: terms.clone(),
            access,
            asked: false,
            open: false,
        })
    }

    /// The connection, and who waits for its answer.
    fn parts(&mut self) -> Result<(&mut DB::Connection, Watch<'_, DB>), BoxError> {
        let connection = self.connection.as_deref_mut();
        let watch = Watch {
            pool: &self.pool,
            terms: &self.terms,
            asked: &mut self.asked,
        };
        Ok((connection.ok_or(sqlx::Error::PoolClosed)?, watch))
    }

    /// Closes what leads to a server that takes no writes, so that the next attempt connects again.
    fn leave_server(&mut self) -> BoxError {
        self.asked = true;
        close_idle(&self.pool);
        takes_no_writes()
    }
}

impl<DB: Database> Connection for Lease<DB> {
    fn begin<'c>(&'c mut self, sql: &'c Arc<str>) -> BoxFuture<'c, Result<(), BoxError>> {
        Box::pin(async move {
            // From here on, dropping the connection rolls back.
            self.open = true;
            let mut read_only = None;
            let mut on_row = |row: &dyn Row| read_only = row.text_or_null(0).ok().flatten();
            let (connection, watch) = self.parts()?;
            let begun = DB::execute(connection, sql, &mut on_row);
            watch.answer(begun).await?;
            if read_only.as_deref() == Some("on") {
                return Err(self.leave_server());
            }
            Ok(())
        })
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
                stays_prepared: self.terms.prepares,
            };
            let on_primary = self.access == Access::ReadOnPrimary;
            let mut is_read_only = false;
            let mut on_row = |row: &dyn Row| {
                is_read_only |= on_primary && !matches!(row.text(0).as_deref(), Ok("0"));
                on_row(row);
            };
            let (connection, watch) = self.parts()?;
            let answer = DB::fetch(connection, statement, &mut on_row);
            let answer = watch.answer(answer).await?;
            if is_read_only {
                return Err(self.leave_server());
            }
            Ok(answer)
        })
    }

    fn commit<'c>(&'c mut self, sql: &'c Arc<str>) -> BoxFuture<'c, Result<(), BoxError>> {
        Box::pin(async move {
            let mut on_row = |_: &dyn Row| {};
            let (connection, watch) = self.parts()?;
            let committed = DB::execute(connection, sql, &mut on_row);
            watch.answer(committed).await?;
            self.open = false;
            Ok(())
        })
    }
}

impl<DB: Database> Watch<'_, DB> {
    async fn answer<T>(
        self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, BoxError> {
        let lessons = &self.terms.lessons;
        *self.asked = true;
        let answer = if DB::DIALECT.is_server() {
            let Ok(answer) = timeout(self.terms.limit, answer).await else {
                lessons.wary.store(true, Ordering::Relaxed);
                test_idle(self.pool);
                return Err(did_not_answer(self.terms.limit));
            };
            answer
        } else {
            answer.await
        };
        match answer.as_ref().err().map_or(Fate::Kept, fate) {
            Fate::Kept => *self.asked = false,
            Fate::NotIsolated => {
                *self.asked = false;
                lessons.isolate.store(true, Ordering::Relaxed);
            }
            Fate::LogsStatements => {
                *self.asked = false;
                lessons.logs_statements.store(true, Ordering::Relaxed);
            }
            Fate::Lost => {}
            Fate::ReadOnly => close_idle(self.pool),
        }
        answer.map_err(failed)
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let limit = self.terms.limit;
        if DB::DIALECT.is_server() && self.asked {
            close(connection);
        } else if self.open || self.asked {
            let permit = self.permit.take();
            in_background(async move {
                roll_back(connection, limit).await;
                // SQLite's lock was held until here.
                drop(permit);
            });
        } else {
            in_background(give_back(connection, limit));
        }
    }
}

async fn roll_back<DB: Database>(mut connection: PoolConnection<DB>, limit: std::time::Duration) {
    let mut on_row = |_: &dyn Row| {};
    let sql = "ROLLBACK".into();
    let rolled_back = DB::execute(&mut connection, &sql, &mut on_row);
    let is_of_use = if DB::DIALECT.is_server() {
        let answer = timeout(limit, rolled_back).await;
        answer.is_ok_and(|answer| answer.is_ok())
    } else {
        // SQLite answers with an error if no transaction is open.
        let _ = rolled_back.await;
        true
    };
    if is_of_use {
        give_back(connection, limit).await;
    } else {
        close(connection);
    }
}
