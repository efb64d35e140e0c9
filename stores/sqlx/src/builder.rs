//! How a store's tables are named, made and reached.

use std::time::Duration;

use super::driver::STATEMENT_TIMEOUT;
use super::names::Names;
use super::{SqlPool, SqlStore, migrations, schema};
use tower_logout::BoxError;

/// Makes a [`SqlStore`], where [`SqlStore::connect`] and [`SqlStore::new`] do not suit.
///
/// # Rights
///
/// Whoever serves logouts needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on the tables
/// `tower_logout_sessions` and `tower_logout_tokens`, and `SELECT` on `tower_logout_migrations`.
/// [`migrate`](Self::migrate) creates the tables, as another user if need be.
///
/// ```
/// # async fn deploy(owner: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
/// use tower_logout_sqlx::SqlStore;
///
/// let tables = SqlStore::builder().schema("auth").table_prefix("logout_");
/// tables.clone().migrate(owner).await?; // once, as who may create tables
/// let store = tables.connect("postgres://app@localhost/app").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SqlStoreBuilder {
    names: Names,
    policies_allow_all: bool,
    statement_timeout: Option<Duration>,
}

impl SqlStoreBuilder {
    /// What the names of the tables begin with: at most 32 letters, digits and underscores.
    /// `tower_logout_` by default.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// let builder = SqlStore::builder().table_prefix("auth_");
    /// ```
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.names.prefix = prefix.into();
        self
    }

    /// The schema (in MySQL, the database) that the tables are in, which exists already. Whatever the
    /// connection finds by default. SQLite has none.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// let builder = SqlStore::builder().schema("auth");
    /// ```
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.names.schema = Some(schema.into());
        self
    }

    /// Says that the policies of row level security in Postgres let the role see, change and delete all
    /// rows of the tables. Not said by default: tables under policies are refused.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// let builder = SqlStore::builder().policies_allow_all();
    /// ```
    pub fn policies_allow_all(mut self) -> Self {
        self.policies_allow_all = true;
        self
    }

    /// How long a connection, and then the answer to each statement, is waited for: 3 seconds by
    /// default, as [`SqlPool::with_statement_timeout`] says.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// use std::time::Duration;
    ///
    /// let builder = SqlStore::builder().statement_timeout(Duration::from_secs(1));
    /// ```
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = Some(timeout);
        self
    }

    /// Connects to the database of a URL as [`SqlStore::connect`] does, and looks at the tables.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build), or if the URL is malformed or of a database whose feature is
    /// off.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout_sqlx::SqlStore;
    /// let store = SqlStore::builder().table_prefix("auth_").connect("sqlite::memory:").await?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    pub async fn connect(self, url: &str) -> Result<SqlStore, BoxError> {
        let timeout = self.statement_timeout.unwrap_or(STATEMENT_TIMEOUT);
        let pool = schema::connect(url, timeout).await?;
        self.build(pool).await
    }

    /// Looks at the tables through the application's own pool, and creates them where they are
    /// missing and the user may do so. Nothing is written where they are up to date.
    ///
    /// # Errors
    ///
    /// If the prefix is no name, the database cannot be reached, the tables are not up to date and
    /// cannot be made so, they are under row level security
    /// ([`TableError::RowSecurity`](crate::TableError::RowSecurity)), or the connections of a SQLite pool have `foreign_keys` switched off (sqlx
    /// switches them on by default).
    pub async fn build(self, pool: impl Into<SqlPool>) -> Result<SqlStore, BoxError> {
        let mut pool = pool.into();
        if let Some(timeout) = self.statement_timeout {
            pool = pool.with_statement_timeout(timeout);
        }
        let SqlPool(pool) = pool;
        self.names.check(pool.dialect())?;
        schema::check(&pool).await?;
        migrations::migrate(&pool, &self.names).await?;
        if !self.policies_allow_all {
            let schema = self.names.schema.as_deref().unwrap_or_default();
            for table in ["sessions", "tokens"] {
                let table = format!("{}{table}", self.names.prefix);
                schema::check_row_security(&pool, schema, &table).await?;
            }
        }
        Ok(SqlStore::over(pool, &self.names))
    }

    /// Creates the tables, or brings them up to date, and no more: for a deployment whose server may
    /// not. Nothing is written where they are up to date.
    ///
    /// # Errors
    ///
    /// If the prefix is no name, or the database cannot be reached or written.
    ///
    /// ```
    /// # async fn migrate(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout_sqlx::SqlStore;
    /// SqlStore::builder().migrate(pool).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate(self, pool: impl Into<SqlPool>) -> Result<(), BoxError> {
        let SqlPool(pool) = pool.into();
        self.names.check(pool.dialect())?;
        migrations::migrate(&pool, &self.names).await
    }
}
