//! How a store reaches and names its tables.

use std::time::Duration;

use tower_logout::BoxError;

use super::SqlStore;
use crate::migrations::{Tables, migrate};
use crate::names::Names;
use crate::pool::url::{self, Owner};
use crate::pool::{STATEMENT_TIMEOUT, SqlPool};
use crate::queries::Queries;
use crate::row_security::check_row_security;

/// Makes a [`SqlStore`] whose tables have other names, or are created by another user.
///
/// # Rights
///
/// The user who connects needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on the tables
/// `tower_logout_sessions`, `tower_logout_tokens`, `tower_logout_ended` and, in MySQL,
/// `tower_logout_ended_counter`, and `SELECT` on `tower_logout_migrations`.
/// [`migrate`](Self::migrate) creates the tables, as another user if necessary.
///
/// ```
/// # async fn deploy(owner: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
/// use tower_logout_sqlx::SqlStore;
///
/// let tables = SqlStore::builder().schema("auth").table_prefix("logout_");
/// tables.clone().migrate(owner).await?; // once, as a user who may create tables
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
    /// The beginning of the tables' names: at most 32 letters, digits and underscores. `tower_logout_` by
    /// default.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// let builder = SqlStore::builder().table_prefix("auth_");
    /// ```
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.names.prefix = prefix.into();
        self
    }

    /// The schema (in MySQL, the database) of the tables, which has to exist. By default the schema that the
    /// connection uses. SQLite has no schemas.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// let builder = SqlStore::builder().schema("auth");
    /// ```
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.names.schema = Some(schema.into());
        self
    }

    /// Accepts tables with row level security in Postgres. Its policies have to let the role see, change and
    /// delete all rows. By default such tables are refused.
    ///
    /// ```
    /// # use tower_logout_sqlx::SqlStore;
    /// let builder = SqlStore::builder().policies_allow_all();
    /// ```
    pub fn policies_allow_all(mut self) -> Self {
        self.policies_allow_all = true;
        self
    }

    /// How long the store waits for a connection, and then for the answer to each statement. 3 seconds by
    /// default. [`SqlPool::with_statement_timeout`] explains the details.
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

    /// Connects to the database of a URL as [`SqlStore::connect`] does, and checks the tables.
    ///
    /// # Errors
    ///
    /// The errors of [`build`](Self::build), or if the URL is malformed or the feature of its database is
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
        let pool = url::connect(url, Owner::Store, timeout).await?;
        self.build(pool).await
    }

    /// Checks the tables through your own pool, and creates them if they are missing and the user may create
    /// tables. Nothing is written if they are up to date.
    ///
    /// # Errors
    ///
    /// If the prefix is no name, the database cannot be reached, the tables are not up to date and cannot be
    /// changed, they have row level security ([`TableError::RowSecurity`](crate::TableError::RowSecurity)), or
    /// the connections of a SQLite pool have `foreign_keys` switched off (sqlx switches them on by default).
    pub async fn build(self, pool: impl Into<SqlPool>) -> Result<SqlStore, BoxError> {
        let mut pool = pool.into();
        if let Some(timeout) = self.statement_timeout {
            pool = pool.with_statement_timeout(timeout);
        }
        self.names.check(pool.dialect())?;
        pool.check_settings().await?;
        migrate(&pool, &self.names, Tables::All).await?;
        if !self.policies_allow_all {
            let schema = self.names.schema.as_deref().unwrap_or_default();
            for table in ["sessions", "tokens", "ended"] {
                let table = format!("{}{table}", self.names.prefix);
                check_row_security(&pool, schema, &table).await?;
            }
        }
        let queries = Queries::new(pool.dialect(), self.names);
        Ok(SqlStore::over(pool, queries))
    }

    /// Creates the tables or brings them up to date, for a deployment whose server may not create tables.
    /// Nothing is written if they are up to date.
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
        let pool = pool.into();
        self.names.check(pool.dialect())?;
        migrate(&pool, &self.names, Tables::All).await
    }
}
