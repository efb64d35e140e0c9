//! An application's own table, in each of the databases.

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe};
use tower_logout::BoxError;
use tower_logout_sqlx::SqlPool;

use super::database::{Kind, shared};

/// A database with the application's own table in it.
pub struct Database {
    /// The application's side.
    pub pool: AnyPool,
    /// The store's side.
    pub sql: SqlPool,
    pub quote: char,
    pub kind: &'static str,
    /// Of Postgres.
    pub options: Option<sqlx::postgres::PgConnectOptions>,
    _keep: Option<tempfile::TempDir>,
}

impl Database {
    pub async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("app").display());
        let sql = sqlx::SqlitePool::connect(&url).await.unwrap().into();
        let pool = any_pool(&url).await;
        // Two writers at once, as an application and its store are.
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&pool)
            .await
            .unwrap();
        Some(Self {
            pool,
            sql,
            quote: '"',
            kind: "sqlite",
            options: None,
            _keep: Some(folder),
        })
    }

    pub async fn postgres() -> Option<Self> {
        let (_, url) = shared(Kind::Postgres).await?;
        Some(Self {
            pool: any_pool(&url).await,
            sql: sqlx::PgPool::connect(&url).await.unwrap().into(),
            quote: '"',
            kind: "postgres",
            options: Some(url.parse().unwrap()),
            _keep: None,
        })
    }

    pub async fn mariadb() -> Option<Self> {
        let (_, url) = shared(Kind::MariaDb).await?;
        // Each statement that is forgotten costs a delayed answer, and of many types there are many.
        let url = format!("{url}?statement-cache-capacity=5000");
        Some(Self {
            pool: any_pool(&url).await,
            sql: sqlx::MySqlPool::connect(&url).await.unwrap().into(),
            quote: '`',
            kind: "mariadb",
            options: None,
            _keep: None,
        })
    }

    /// Runs a statement that is written with double quotes around its names.
    pub async fn run(&self, sql: &str) -> u64 {
        run(&self.pool, &sql.replace('"', &self.quote.to_string()))
            .await
            .unwrap()
    }
}

pub async fn any_pool(url: &str) -> AnyPool {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new()
        .max_connections(if url.starts_with("sqlite") { 1 } else { 10 })
        .connect(url)
        .await
        .unwrap()
}

pub async fn run<'e>(
    executor: impl sqlx::Executor<'e, Database = sqlx::Any>,
    sql: &str,
) -> Result<u64, BoxError> {
    let done = sqlx::query(AssertSqlSafe(sql)).execute(executor).await?;
    Ok(done.rows_affected())
}

/// Runs a test on each database that is there.
#[macro_export]
macro_rules! on_each_database {
    ($($name:ident,)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::own_table::Database::sqlite().await.unwrap()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(database) = $crate::own_table::Database::postgres().await {
                    super::$name(database).await;
                }
            })*
        }
        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(database) = $crate::own_table::Database::mariadb().await {
                    super::$name(database).await;
                }
            })*
        }
    };
}
