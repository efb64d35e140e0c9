//! Our own tables: looked at first, and made where they are missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::dialect::Dialect;
use super::driver::{Connections, Pool};
use super::failure::{is_missing_table, is_of_a_race};
use super::names::Names;
use tower_logout::BoxError;

/// How long others that start at the same time may take.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// What they are made by, in order: a version, what it brings, and its statements.
fn migrations(dialect: Dialect) -> [(i64, &'static str, &'static str); 1] {
    let sessions_and_tokens = match dialect {
        Dialect::Sqlite => include_str!("sqlite.sql"),
        Dialect::Postgres => include_str!("postgres.sql"),
        Dialect::MySql => include_str!("mysql.sql"),
    };
    [(1, "sessions and tokens", sessions_and_tokens)]
}

/// Whoever comes second finds the tables of the first: half made, or just made.
pub(super) async fn migrate(pool: &Pool, names: &Names) -> Result<(), BoxError> {
    let started = Instant::now();
    let migrator = migrator(pool.dialect(), names);
    loop {
        if is_current(pool, names).await? {
            return Ok(());
        }
        let migrated = match &pool.connections {
            #[cfg(feature = "sqlite")]
            Connections::Sqlite(pool) => migrator.run(pool).await,
            #[cfg(feature = "postgres")]
            Connections::Postgres(pool) => migrator.run(pool).await,
            #[cfg(feature = "mysql")]
            Connections::MySql(pool) => migrator.run(pool).await,
        };
        match migrated {
            Ok(()) => return Ok(()),
            Err(error) if may_be_of_a_race(&error) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(format!(
                    "the tables {}… are missing, out of date or not to be read, and cannot be made \
                     ({error}): run SqlStoreBuilder::migrate as a user who may create tables, and \
                     grant this one SELECT, INSERT, UPDATE and DELETE on them",
                    names.prefix
                )
                .into());
            }
        }
    }
}

/// Whether there is nothing to be made. A table that must not be read is missing as well.
async fn is_current(pool: &Pool, names: &Names) -> Result<bool, BoxError> {
    let dialect = pool.dialect();
    let sql = "SELECT version FROM tower_logout_migrations WHERE success";
    let sql: Arc<str> = names.apply(dialect, sql).into();
    let applied = match pool.fetch(&sql, &[]).await {
        Ok(rows) => rows
            .iter()
            .map(|row| row.int(0))
            .collect::<Result<Vec<_>, _>>()?,
        Err(error) if is_missing_table(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut wanted = migrations(dialect).into_iter();
    Ok(wanted.all(|(version, _, _)| applied.contains(&version)))
}

fn migrator(dialect: Dialect, names: &Names) -> Migrator {
    let migrations = migrations(dialect).map(|(version, brings, sql)| {
        let sql = AssertSqlSafe(names.apply(dialect, sql)).into_sql_str();
        Migration::new(version, brings.into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(names.apply(dialect, "tower_logout_migrations"));
    // Its lock belongs to a session, which PgBouncer would leave it to, and MariaDB takes its time-out
    // for none. Whoever loses a race looks again.
    migrator.set_locking(false);
    migrator
}

fn may_be_of_a_race(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            is_of_a_race(error)
        }
        // MySQL says so while another one is at it.
        MigrateError::Dirty(_) => true,
        _ => false,
    }
}
