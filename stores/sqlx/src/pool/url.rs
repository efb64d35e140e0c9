//! The pool of a URL.

use std::time::{Duration, Instant};

use tower_logout::BoxError;

use super::SqlPool;
use super::failure::failed;
use crate::TableError;

/// Whose database a URL leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The store creates a missing SQLite file, and chooses its journal.
    Store,
    /// The database is there, and is left as it is.
    Application,
}

/// Connects to the database of a URL. The time-out of statements also limits how long connections and locks
/// are waited for.
pub(crate) async fn connect(
    url: &str,
    owner: Owner,
    timeout: Duration,
) -> Result<SqlPool, BoxError> {
    let (scheme, _) = url.split_once(':').unwrap_or_default();
    match (scheme, owner) {
        #[cfg(feature = "sqlite")]
        ("sqlite", owner) => sqlite(url, owner, timeout).await,
        #[cfg(feature = "postgres")]
        ("postgres" | "postgresql", _) => {
            let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(timeout);
            Ok(reached(pool.connect_lazy(url)?).await?.into())
        }
        #[cfg(feature = "mysql")]
        ("mysql" | "mariadb", _) => {
            use sqlx::Executor;

            use crate::sql_text::sql_text;

            // The server goes on waiting for a lock when the connection is closed, for 50 seconds by default.
            let seconds = timeout.as_secs().max(1);
            let locks: std::sync::Arc<str> =
                format!("SET innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
                    .into();
            let pool = sqlx::mysql::MySqlPoolOptions::new()
                .acquire_timeout(timeout)
                .after_connect(move |connection, _| {
                    let locks = locks.clone();
                    Box::pin(async move { connection.execute(sql_text(&locks)).await.map(drop) })
                });
            Ok(reached(pool.connect_lazy(url)?).await?.into())
        }
        _ => Err(TableError::UnsupportedUrl.into()),
    }
}

/// Waits for the first connection: the server may be starting.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn reached<DB: sqlx::Database>(pool: sqlx::Pool<DB>) -> Result<sqlx::Pool<DB>, BoxError> {
    const PATIENCE: Duration = Duration::from_secs(30);

    let started = Instant::now();
    loop {
        match pool.acquire().await {
            Ok(_) => return Ok(pool),
            Err(sqlx::Error::PoolTimedOut) if started.elapsed() < PATIENCE => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str, owner: Owner, timeout: Duration) -> Result<SqlPool, BoxError> {
    use super::failure::is_of_a_race;
    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };

    const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    let mut options = url
        .parse::<SqliteConnectOptions>()?
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    if owner == Owner::Store {
        options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
    }
    let pool = SqlitePoolOptions::new().acquire_timeout(timeout);
    // An in-memory database ends with its last connection.
    let pool = if url.contains(":memory:") || url.contains("mode=memory") {
        pool.max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
    } else {
        pool
    };
    let started = Instant::now();
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Ok(pool) => return Ok(pool.into()),
            // SQLite does not wait for others that switch a new file to a write-ahead log at the same time.
            Err(error) if is_of_a_race(&error) && started.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}
