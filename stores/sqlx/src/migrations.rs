//! The store's own tables: checked first, and created if they are missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use tower_logout::BoxError;

use crate::dialect::Dialect;
use crate::names::Names;
use crate::pool::failure::{is_missing_table, is_of_a_race};
use crate::pool::{Fetch, SqlPool};

/// How long another process that starts at the same time may take.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// The migrations in order: version, description, statements. A released migration never changes.
fn migrations(dialect: Dialect) -> [(i64, &'static str, &'static str); 1] {
    let sessions_and_tokens = match dialect {
        Dialect::Sqlite => include_str!("../migrations/sqlite/1_sessions_and_tokens.sql"),
        Dialect::Postgres => include_str!("../migrations/postgres/1_sessions_and_tokens.sql"),
        Dialect::MySql => include_str!("../migrations/mysql/1_sessions_and_tokens.sql"),
    };
    [(1, "sessions and tokens", sessions_and_tokens)]
}

/// Creates the tables. A process that comes second may find them half made.
pub(crate) async fn migrate(pool: &SqlPool, names: &Names) -> Result<(), BoxError> {
    let started = Instant::now();
    let migrator = migrator(pool.dialect(), names);
    loop {
        if is_current(pool, names).await? {
            return Ok(());
        }
        match pool.migrate(&migrator).await {
            Ok(()) => return Ok(()),
            Err(error) if may_be_of_a_race(&error) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(format!(
                    "the tables {}… are missing, out of date or unreadable, and cannot be created \
                     ({error}): run SqlStoreBuilder::migrate as a user who may create tables, and grant \
                     SELECT, INSERT, UPDATE and DELETE on the tables to the user who connects",
                    names.prefix
                )
                .into());
            }
        }
    }
}

/// Whether all migrations were applied. A table that this user may not read counts as missing.
async fn is_current(pool: &SqlPool, names: &Names) -> Result<bool, BoxError> {
    let dialect = pool.dialect();
    let sql = "SELECT version FROM tower_logout_migrations WHERE success";
    let sql: Arc<str> = names.apply(dialect, sql).into();
    let applied = match pool.fetch(&sql, &[], |row| row.int(0)).await {
        Ok(applied) => applied,
        Err(error) if is_missing_table(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut wanted = migrations(dialect).into_iter();
    Ok(wanted.all(|(version, _, _)| applied.contains(&version)))
}

fn migrator(dialect: Dialect, names: &Names) -> Migrator {
    let migrations = migrations(dialect).map(|(version, description, sql)| {
        let sql = AssertSqlSafe(names.apply(dialect, sql)).into_sql_str();
        let description = description.into();
        Migration::new(version, description, MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(names.apply(dialect, "tower_logout_migrations"));
    // sqlx locks by the connection, which PgBouncer gives to others, and with a time-out that MariaDB takes
    // for none. A process that loses the race looks again.
    migrator.set_locking(false);
    migrator
}

fn may_be_of_a_race(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            is_of_a_race(error)
        }
        // In MySQL, while another process creates the tables.
        MigrateError::Dirty(_) => true,
        _ => false,
    }
}
