//! How a connection is taken from a pool, and given back.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use sqlx::pool::{Pool, PoolConnection};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::database::Database;

/// How long a connection is waited for before the idle connections have to show that they answer, and
/// how long they have for that.
const PATIENCE: Duration = Duration::from_millis(400);

/// Takes a connection. The first attempt may wait for an idle connection to a machine that is gone, so
/// that after a while a second attempt is made beside it.
pub(super) async fn acquire<DB: Database>(
    pool: &Pool<DB>,
) -> Result<PoolConnection<DB>, sqlx::Error> {
    let mut first = pin!(pool.acquire());
    if !DB::DIALECT.is_server() {
        return first.await;
    }
    if let Ok(connection) = timeout(PATIENCE, &mut first).await {
        return connection;
    }
    test_idle(pool);
    match select(first, Box::pin(pool.acquire())).await {
        Either::Left((connection, _)) | Either::Right((connection, _)) => connection,
    }
}

/// Asks all idle connections at once whether they answer, and closes those that do not.
pub(super) fn test_idle<DB: Database>(pool: &Pool<DB>) {
    for _ in 0..pool.num_idle() {
        if let Some(connection) = pool.try_acquire() {
            in_background(give_back(connection, PATIENCE));
        }
    }
}

pub(super) fn close_idle<DB: Database>(pool: &Pool<DB>) {
    if !DB::DIALECT.is_server() {
        return;
    }
    for _ in 0..pool.num_idle() {
        if let Some(connection) = pool.try_acquire() {
            close(connection);
        }
    }
}

/// Gives a connection back. The pool tests the connection first, and would wait for its answer without
/// end.
pub(super) fn give_back<DB: Database>(
    mut connection: PoolConnection<DB>,
    limit: Duration,
) -> impl Future<Output = ()> + Send + 'static {
    let back = connection.return_to_pool();
    async move {
        if DB::DIALECT.is_server() {
            // A connection that does not answer in time is closed.
            let _ = timeout(limit, back).await;
        } else {
            back.await;
        }
        drop(connection);
    }
}

/// Closes a connection without a word, because nobody may be there to listen.
pub(super) fn close<DB: Database>(connection: PoolConnection<DB>) {
    drop(connection.detach());
}

pub(crate) fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}
