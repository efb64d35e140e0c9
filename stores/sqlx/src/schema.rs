//! Connections by URL, and the tables of a database.

use std::time::{Duration, Instant};

use super::dialect::Dialect;
use super::driver::{Pool, SqlPool, Value};
use super::failure::failed;
use tower_logout::BoxError;

use crate::TableError;

const DATABASES: &str = "sqlite:, postgres: or mysql:";

/// A pool whose connections, and their locks, are waited for as long as statements are.
pub(super) async fn connect(url: &str, timeout: Duration) -> Result<SqlPool, BoxError> {
    let (scheme, _) = url.split_once(':').unwrap_or_default();
    match scheme {
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite(url, timeout).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(timeout);
            Ok(reached(pool.connect_lazy(url)?).await?.into())
        }
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => {
            use sqlx::{AssertSqlSafe, Executor};

            // A server goes on waiting for a lock when the connection is closed, for 50 seconds.
            let seconds = timeout.as_secs().max(1);
            let locks =
                format!("SET innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}");
            let pool = sqlx::mysql::MySqlPoolOptions::new()
                .acquire_timeout(timeout)
                .after_connect(move |connection, _| {
                    let locks = AssertSqlSafe(locks.clone());
                    Box::pin(async move { connection.execute(locks).await.map(drop) })
                });
            Ok(reached(pool.connect_lazy(url)?).await?.into())
        }
        // The URL holds a password, perhaps where its scheme should be.
        _ => Err(format!(
            "no store for the database URL: it has to begin with {DATABASES}, and the feature of \
             that database has to be switched on"
        )
        .into()),
    }
}

/// Waits for the first connection: a server may start at the same time as we do.
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
async fn sqlite(url: &str, timeout: Duration) -> Result<SqlPool, BoxError> {
    use super::failure::is_of_a_race;
    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };

    const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    let options = url
        .parse::<SqliteConnectOptions>()?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
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
            // It does not wait for others that switch a new file to write-ahead at the same time.
            Err(error) if is_of_a_race(&error) && started.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Whether policies stand between the role and the rows of a table.
pub(super) async fn check_row_security(
    pool: &Pool,
    schema: &str,
    table: &str,
) -> Result<(), BoxError> {
    const IS_ACTIVE: &str = "SELECT CASE WHEN row_security_active(to_regclass( \
        coalesce(quote_ident(nullif(?, '')) || '.', '') || quote_ident(?))) THEN '1' ELSE '0' END";
    let dialect = pool.dialect();
    if dialect != Dialect::Postgres {
        return Ok(());
    }
    let values = [schema, table].map(Value::Text);
    let rows = pool
        .fetch(&dialect.numbered(IS_ACTIVE).into(), &values)
        .await?;
    if rows.first().map(|row| row.text(0)).transpose()?.as_deref() == Some("1") {
        let table = table.to_owned();
        return Err(TableError::RowSecurity { table }.into());
    }
    Ok(())
}

/// Whether the connections are such that the store keeps its promises.
pub(super) async fn check(pool: &Pool) -> Result<(), BoxError> {
    match pool.dialect() {
        Dialect::Postgres => return Ok(()),
        Dialect::MySql => {
            let sql = "SELECT CAST(@@log_bin AND @@binlog_format = 'STATEMENT' AS SIGNED)".into();
            // A server that has no such setting logs rows.
            let logs_statements = pool.fetch(&sql, &[]).await.unwrap_or_default();
            let logs_statements = logs_statements.first().map(|row| row.int(0)).transpose()?;
            pool.logs_statements(logs_statements == Some(1));
            return Ok(());
        }
        Dialect::Sqlite => {}
    }
    let enforced = pool.fetch(&"PRAGMA foreign_keys".into(), &[]).await?;
    if enforced.first().map(|row| row.int(0)).transpose()? == Some(1) {
        return Ok(());
    }
    Err(
        "the pool has foreign_keys switched off, and ending a session would leave its tokens \
         behind: build it with SqliteConnectOptions::foreign_keys(true)"
            .into(),
    )
}
