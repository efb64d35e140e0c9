//! The store's own tables: checked first, and created if they are missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tower_logout::BoxError;

use crate::dialect::Dialect;
use crate::names::Names;
use crate::pool::failure::{is_missing_table, is_of_a_race};
use crate::pool::{Fetch, SqlPool};

/// How long another process that starts at the same time may take.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// The applied migrations. MySQL commits after each statement that changes a schema, so a migration that was
/// interrupted is without success there. The next start repeats the migration.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS tower_logout_migrations (
    version      BIGINT    NOT NULL PRIMARY KEY,
    description  TEXT      NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success      BOOLEAN   NOT NULL
)";

/// A change of the tables.
struct Migration {
    version: i64,
    description: &'static str,
    sql: &'static str,
}

/// Which tables are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Those of sessions, and the log of ended ones.
    All,
    /// The log of ended sessions alone.
    Log,
}

/// The migration that creates the log of ended sessions.
const LOG: i64 = 2;

/// The migrations in order. A released migration never changes. In MySQL, each statement of a migration has to be
/// repeatable.
fn migrations(dialect: Dialect) -> Vec<Migration> {
    let (sessions, log, triggers) = match dialect {
        Dialect::Sqlite => (
            include_str!("../migrations/sqlite/1_sessions_and_tokens.sql"),
            include_str!("../migrations/sqlite/2_ended_sessions.sql"),
            Some(include_str!(
                "../migrations/sqlite/3_sessions_are_logged.sql"
            )),
        ),
        Dialect::Postgres => (
            include_str!("../migrations/postgres/1_sessions_and_tokens.sql"),
            include_str!("../migrations/postgres/2_ended_sessions.sql"),
            Some(include_str!(
                "../migrations/postgres/3_sessions_are_logged.sql"
            )),
        ),
        Dialect::MySql => (
            include_str!("../migrations/mysql/1_sessions_and_tokens.sql"),
            include_str!("../migrations/mysql/2_ended_sessions.sql"),
            None,
        ),
    };
    let migration = |version, description, sql| Migration {
        version,
        description,
        sql,
    };
    let tables = [
        migration(1, "sessions and tokens", sessions),
        migration(LOG, "ended sessions", log),
    ];
    let triggers = triggers.map(|sql| migration(3, "sessions are logged", sql));
    tables.into_iter().chain(triggers).collect()
}

impl Migration {
    /// The statements of the migration, and its row. Of two processes, the row lets only one migrate, except in
    /// MySQL, where both do so.
    fn script(&self, dialect: Dialect, names: &Names) -> Arc<str> {
        let Self {
            version,
            description,
            sql,
        } = self;
        let again = match dialect {
            Dialect::MySql => " ON DUPLICATE KEY UPDATE version = version",
            Dialect::Sqlite | Dialect::Postgres => "",
        };
        let script = format!(
            "{TABLE}; INSERT INTO tower_logout_migrations (version, description, success) \
             VALUES ({version}, '{description}', FALSE){again}; {sql} \
             UPDATE tower_logout_migrations SET success = TRUE WHERE version = {version}"
        );
        names.apply(dialect, &script).into()
    }
}

/// Creates the tables. A process that comes second may find them half made.
pub(crate) async fn migrate(pool: &SqlPool, names: &Names, tables: Tables) -> Result<(), BoxError> {
    let started = Instant::now();
    loop {
        let Some(script) = missing(pool, names, tables).await? else {
            return Ok(());
        };
        match pool.migrate(&script).await {
            Ok(()) => {}
            Err(error) if is_of_a_race(&error) && started.elapsed() < PATIENCE => {
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

/// The script of the first migration that was not applied. A table that this user may not read counts as
/// missing.
async fn missing(
    pool: &SqlPool,
    names: &Names,
    tables: Tables,
) -> Result<Option<Arc<str>>, BoxError> {
    let dialect = pool.dialect();
    let sql = "SELECT version FROM tower_logout_migrations WHERE success";
    let sql: Arc<str> = names.apply(dialect, sql).into();
    let applied = match pool.fetch(&sql, &[], |row| row.int(0)).await {
        Ok(applied) => applied,
        Err(error) if is_missing_table(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut missing = migrations(dialect).into_iter();
    let missing = missing.find(|migration| {
        let is_wanted = tables == Tables::All || migration.version == LOG;
        is_wanted && !applied.contains(&migration.version)
    });
    Ok(missing.map(|migration| migration.script(dialect, names)))
}
