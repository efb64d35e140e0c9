//! Connections by URL, and the tables of a database: made by our migration, or looked at.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::dialect::Dialect;
use super::driver::{Connections, Pool, SqlPool, Value};
use super::failure::failed;
use crate::BoxError;

const DATABASES: &str = "sqlite:, postgres: or mysql:";

pub(super) async fn connect(url: &str) -> Result<SqlPool, BoxError> {
    let (scheme, _) = url.split_once(':').unwrap_or_default();
    match scheme {
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite(url).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let pool = sqlx::PgPool::connect(url).await.map_err(failed)?;
            Ok(pool.into())
        }
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => {
            let pool = sqlx::MySqlPool::connect(url).await.map_err(failed)?;
            Ok(pool.into())
        }
        // The URL holds a password, perhaps where its scheme should be.
        _ => Err(format!(
            "no store for the database URL: it has to begin with {DATABASES}, and the feature of \
             that database has to be switched on"
        )
        .into()),
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<SqlPool, BoxError> {
    use std::time::Duration;

    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };

    let options = url
        .parse::<SqliteConnectOptions>()?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5));
    // An in-memory database ends with its last connection.
    let pool = if url.contains(":memory:") || url.contains("mode=memory") {
        SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
    } else {
        SqlitePoolOptions::new()
    };
    Ok(pool.connect_with(options).await.map_err(failed)?.into())
}

pub(super) async fn migrate(pool: &Pool) -> Result<(), BoxError> {
    match &pool.connections {
        #[cfg(feature = "sqlite")]
        Connections::Sqlite(pool) => {
            let enforced: bool = sqlx::query_scalar("PRAGMA foreign_keys")
                .fetch_one(pool)
                .await
                .map_err(failed)?;
            if !enforced {
                return Err(
                    "the pool has foreign_keys switched off, and ending a session would leave \
                     its tokens behind: build it with SqliteConnectOptions::foreign_keys(true)"
                        .into(),
                );
            }
            migrations(include_str!("sqlite.sql")).run(pool).await?;
        }
        #[cfg(feature = "postgres")]
        Connections::Postgres(pool) => migrations(include_str!("postgres.sql")).run(pool).await?,
        #[cfg(feature = "mysql")]
        Connections::MySql(pool) => migrations(include_str!("mysql.sql")).run(pool).await?,
    }
    Ok(())
}

fn migrations(sessions_and_tokens: &'static str) -> Migrator {
    let mut migrator = Migrator::with_migrations(vec![Migration::new(
        1,
        "sessions and tokens".into(),
        MigrationType::Simple,
        sessions_and_tokens.into_sql_str(),
        false,
    )]);
    migrator.dangerous_set_table_name("tower_logout_migrations");
    migrator
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: String,
}

/// A table's columns. None where there is no such table.
pub(super) async fn columns(
    pool: &Pool,
    schema: &str,
    table: &str,
) -> Result<Vec<Column>, BoxError> {
    let dialect = pool.dialect();
    let sql = dialect.numbered(dialect.columns_of_table()).into();
    let values = [table, schema, schema].map(Value::Text);
    let rows = pool.fetch(&sql, &values).await?;
    rows.iter()
        .map(|row| {
            Ok(Column {
                name: row.text(0)?,
                data_type: row.text(1)?,
            })
        })
        .collect()
}

/// The column of this name, as the database compares names.
pub(super) fn column<'c>(
    dialect: Dialect,
    columns: &'c [Column],
    name: &str,
) -> Option<&'c Column> {
    columns
        .iter()
        .find(|column| dialect.same_name(&column.name, name))
}

fn data_type<'c>(dialect: Dialect, columns: &'c [Column], name: &str) -> &'c str {
    column(dialect, columns, name).map_or("TEXT", |column| &column.data_type)
}

/// A column as text.
pub(super) fn as_text(dialect: Dialect, columns: &[Column], name: &str) -> String {
    dialect.as_text(&dialect.quote(name), data_type(dialect, columns, name))
}

/// A parameter that is text, to be compared with this column.
pub(super) fn text_as(dialect: Dialect, columns: &[Column], name: &str) -> String {
    dialect.text_as(data_type(dialect, columns, name))
}
