//! A connection that a pool has lent, and what becomes of it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};
use sqlx::Database;
use sqlx::pool::{Pool, PoolConnection};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::failure::{Fate, failed, fate};
use tower_logout::BoxError;
use tower_logout::store::Transient;

/// How long a connection is waited for before the idle ones have to show that they answer, and how
/// long they have for that.
const PATIENCE: Duration = Duration::from_millis(400);

/// A database whose connections are lent.
pub(super) trait Lends: Database {
    /// Whether a network lies between, which may lose an answer. SQLite's answer always comes, and an
    /// in-memory database ends with its connection.
    const IS_SERVER: bool;

    fn rollback(connection: &mut Self::Connection) -> BoxFuture<'_, Result<(), sqlx::Error>>;
}

/// What holds for all connections of a pool.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// How long a connection, and then an answer, is waited for.
    pub(super) limit: Duration,
    /// Whether a statement stays prepared.
    pub(super) prepares: bool,
    pub(super) lessons: Arc<Lessons>,
}

/// What errors have taught about the server.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    /// A statement of its own is not isolated as the store needs it: Postgres with another default.
    pub(super) isolate: AtomicBool,
    /// An answer did not come. Until one comes, the server has to give up waiting for a lock as we do.
    pub(super) wary: AtomicBool,
    /// MySQL's log is one of statements, which READ COMMITTED cannot be written to.
    pub(super) logs_statements: AtomicBool,
}

/// A lent connection. It is given back when it is of use to others, and closed otherwise: an answer
/// that did not come in time, or that nobody waited for, would be taken for that of the next statement,
/// or be waited for by the pool for ever.
pub(super) struct Lease<DB: Lends> {
    pool: Pool<DB>,
    connection: Option<PoolConnection<DB>>,
    terms: Terms,
    /// A statement has been sent, and its answer has not come.
    asked: bool,
    /// A transaction may be open.
    open: bool,
}

/// Waits for the answer to a statement on a lent connection.
pub(super) struct Watch<'l, DB: Lends> {
    pool: &'l Pool<DB>,
    terms: &'l Terms,
    asked: &'l mut bool,
}

impl<DB: Lends> Lease<DB> {
    pub(super) async fn of(pool: &Pool<DB>, terms: &Terms) -> Result<Self, BoxError> {
        let Ok(connection) = timeout(terms.limit, acquire(pool)).await else {
            return Err(Transient::new(format!(
                "no connection to the database was to be had within {:?}",
                terms.limit
            ))
            .into());
        };
        Ok(Self {
            connection: Some(connection.map_err(failed)?),
            pool: pool.clone(),
            terms: terms.clone(),
            asked: false,
            open: false,
        })
    }

    /// From here on, dropping the connection rolls back.
    pub(super) fn opens(&mut self) {
        self.open = true;
    }

    /// The transaction has ended.
    pub(super) fn closes(&mut self) {
        self.open = false;
    }

    /// The server is of no use: nothing of the pool leads to it any more.
    pub(super) fn abandon(&mut self) {
        self.asked = true;
        close_idle(&self.pool);
    }

    /// The connection, and who waits for its answer.
    pub(super) fn parts(&mut self) -> Result<(&mut DB::Connection, Watch<'_, DB>), BoxError> {
        let connection = self.connection.as_deref_mut();
        let watch = Watch {
            pool: &self.pool,
            terms: &self.terms,
            asked: &mut self.asked,
        };
        Ok((connection.ok_or(sqlx::Error::PoolClosed)?, watch))
    }
}

impl<DB: Lends> Watch<'_, DB> {
    /// Whether a statement stays prepared.
    pub(super) fn prepares(&self) -> bool {
        self.terms.prepares
    }

    pub(super) async fn answer<T>(
        self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, BoxError> {
        let lessons = &self.terms.lessons;
        *self.asked = true;
        let answer = if DB::IS_SERVER {
            let Ok(answer) = timeout(self.terms.limit, answer).await else {
                lessons.wary.store(true, Ordering::Relaxed);
                test_idle(self.pool);
                return Err(Transient::new(format!(
                    "the database did not answer within {:?}",
                    self.terms.limit
                ))
                .into());
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

impl<DB: Lends> Drop for Lease<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if DB::IS_SERVER && self.asked {
            close(connection);
        } else if self.open || self.asked {
            let limit = self.terms.limit;
            in_background(async move {
                let rolled_back = if DB::IS_SERVER {
                    timeout(limit, DB::rollback(&mut connection))
                        .await
                        .is_ok_and(|answer| answer.is_ok())
                } else {
                    // Where nothing was open, there is nothing to roll back.
                    let _ = DB::rollback(&mut connection).await;
                    true
                };
                if rolled_back {
                    give_back(connection, limit).await;
                } else {
                    close(connection);
                }
            });
        } else {
            in_background(give_back(connection, self.terms.limit));
        }
    }
}

/// While the first attempt waits, for an idle connection of a machine that is gone perhaps, a second
/// one may have more luck.
async fn acquire<DB: Lends>(pool: &Pool<DB>) -> Result<PoolConnection<DB>, sqlx::Error> {
    let mut first = pin!(pool.acquire());
    if !DB::IS_SERVER {
        return first.await;
    }
    if let Ok(connection) = timeout(PATIENCE, &mut first).await {
        return connection;
    }
    test_idle(pool);
    match select(first, pin!(pool.acquire())).await {
        Either::Left((connection, _)) | Either::Right((connection, _)) => connection,
    }
}

/// Asks all idle connections at once whether they answer, and closes those that do not.
fn test_idle<DB: Lends>(pool: &Pool<DB>) {
    for _ in 0..pool.num_idle() {
        if let Some(connection) = pool.try_acquire() {
            in_background(give_back(connection, PATIENCE));
        }
    }
}

fn close_idle<DB: Lends>(pool: &Pool<DB>) {
    for _ in 0..pool.num_idle() {
        if DB::IS_SERVER
            && let Some(connection) = pool.try_acquire()
        {
            close(connection);
        }
    }
}

/// Gives a connection back. The pool tries it before, and would wait for its answer without end.
fn give_back<DB: Lends>(
    mut connection: PoolConnection<DB>,
    limit: Duration,
) -> impl Future<Output = ()> + Send + 'static {
    let back = connection.return_to_pool();
    async move {
        if DB::IS_SERVER {
            // Given up, it is closed.
            let _ = timeout(limit, back).await;
        } else {
            back.await;
        }
        drop(connection);
    }
}

/// Closes a connection without a word, for which there may be nobody to listen.
fn close<DB: Lends>(connection: PoolConnection<DB>) {
    drop(connection.detach());
}

fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}
