//! The description of an existing table.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tower_logout::BoxError;

use super::description::Description;
use super::mark::{Expiry, Live, Mark};
use super::store::TableStore;
use super::subject::WithSubjects;
use super::subject_queries::SubjectQueries;
use crate::digest::TokenDigest;
use crate::pool::url::{self, Owner};
use crate::pool::{STATEMENT_TIMEOUT, SqlPool};

/// Makes a [`TableStore`] from the names of a table and its columns.
#[derive(Clone, Debug)]
#[must_use]
pub struct TableStoreBuilder<S = ()> {
    description: Description,
    subjects: PhantomData<fn() -> S>,
}

impl TableStoreBuilder {
    pub(super) fn new(table: String, token: String, digest: TokenDigest) -> Self {
        Self {
            description: Description::new(table, token, digest),
            subjects: PhantomData,
        }
    }

    /// The column with the subject (user, account) of a session, of any type whose values equal themselves as
    /// text. None by default. With a subject column, the store is a
    /// [`SubjectStore`](tower_logout::store::SubjectStore).
    ///
    /// ```
    /// # async fn layer(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::{LogoutLayer, Scope};
    /// use tower_logout_sqlx::{TableStore, TokenDigest};
    ///
    /// let store = TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
    ///     .subject_column("user_id")
    ///     .connect(pool)
    ///     .await?;
    /// let layer = LogoutLayer::builder(store).scoped_path("/auth/logout-all", Scope::All).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subject_column(mut self, column: impl Into<String>) -> TableStoreBuilder<WithSubjects> {
        self.description.subject = Some(column.into());
        TableStoreBuilder {
            description: self.description,
            subjects: PhantomData,
        }
    }

    /// Checks the table, and makes the store.
    ///
    /// The values of each column have to equal themselves as text: a few values of the table, and a few others
    /// of its type. The digests in the table have to be written as the [`TokenDigest`] says.
    ///
    /// # Errors
    ///
    /// A [`TableError`](crate::TableError), or if the database cannot be reached.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::{TableStore, TokenDigest};
    ///
    /// let store = TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
    ///     .connect(pool)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self, pool: impl Into<SqlPool>) -> Result<TableStore, BoxError> {
        let (pool, description) = (pool.into(), self.description);
        let (shape, sample) = description.check(&pool).await?;
        let log = description.log(&pool).await?;
        let table = (&shape, sample);
        Ok(TableStore::new(pool, description.digest, table, log, ()))
    }

    /// Opens a pool of the store's own, checks the table, and makes the store: for an application whose own pool
    /// is of another driver, or of another version of sqlx.
    ///
    /// The URL begins with `sqlite:`, `postgres:` or `mysql:`. A SQLite file has to exist, and keeps its journal
    /// mode.
    ///
    /// # Errors
    ///
    /// [`TableError::UnsupportedUrl`](crate::TableError::UnsupportedUrl), a malformed URL, and the errors of
    /// [`connect`](Self::connect).
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::{TableStore, TokenDigest};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let url = format!("sqlite:{}", folder.path().join("app").display());
    /// # let pool = sqlx::SqlitePool::connect(&format!("{url}?mode=rwc")).await?;
    /// # sqlx::query("CREATE TABLE tokens (token_hash BLOB)").execute(&pool).await?;
    /// let store = TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
    ///     .connect_url(&url) // for example postgres://app@localhost/app
    ///     .await?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    pub async fn connect_url(self, url: &str) -> Result<TableStore, BoxError> {
        self.connect(application_pool(url).await?).await
    }
}

impl TableStoreBuilder<WithSubjects> {
    /// Checks the table, and makes a store that knows subjects.
    ///
    /// # Errors
    ///
    /// The errors of [`connect`](TableStoreBuilder::connect) without subjects.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::{TableStore, TokenDigest, WithSubjects};
    ///
    /// let store: TableStore<WithSubjects> =
    ///     TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
    ///         .subject_column("user_id")
    ///         .connect(pool)
    ///         .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(
        self,
        pool: impl Into<SqlPool>,
    ) -> Result<TableStore<WithSubjects>, BoxError> {
        let (pool, description) = (pool.into(), self.description);
        let (shape, sample) = description.check(&pool).await?;
        let Some(subject) = &shape.subject else {
            let subject = description.subject.as_deref().unwrap_or_default();
            return Err(description.missing(subject, &[]).into());
        };
        let log = description.log(&pool).await?;
        let queries = Arc::new(SubjectQueries::new(&shape, subject));
        let (table, subjects) = ((&shape, sample), WithSubjects { queries });
        let digest = description.digest;
        Ok(TableStore::new(pool, digest, table, log, subjects))
    }

    /// Opens a pool of the store's own, checks the table, and makes a store that knows subjects.
    ///
    /// # Errors
    ///
    /// The errors of [`connect_url`](TableStoreBuilder::connect_url) without subjects.
    ///
    /// ```
    /// # async fn store() -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::{TableStore, TokenDigest, WithSubjects};
    ///
    /// let store: TableStore<WithSubjects> =
    ///     TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
    ///         .subject_column("user_id")
    ///         .connect_url("postgres://app@localhost/app")
    ///         .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_url(self, url: &str) -> Result<TableStore<WithSubjects>, BoxError> {
        self.connect(application_pool(url).await?).await
    }
}

async fn application_pool(url: &str) -> Result<SqlPool, BoxError> {
    url::connect(url, Owner::Application, STATEMENT_TIMEOUT).await
}

impl<S> TableStoreBuilder<S> {
    /// The schema (in MySQL, the database) of the table. By default the schema that the connection uses.
    ///
    /// ```
    /// # use tower_logout_sqlx::{TableStore, TokenDigest};
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .schema("auth");
    /// ```
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.description.schema = schema.into();
        self
    }

    /// The column with the session (login, family) of a token, of any type whose values equal themselves as text.
    /// None by default: each token is a session.
    ///
    /// ```
    /// # use tower_logout_sqlx::{TableStore, TokenDigest};
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .session_column("family_id");
    /// ```
    pub fn session_column(mut self, column: impl Into<String>) -> Self {
        self.description.session = Some(column.into());
        self
    }

    /// Keeps the rows of an ended session and marks them: for an audit, or because other tables refer to the rows.
    /// By default the rows are deleted.
    ///
    /// A marked row is ended. If your application marks the row of a token that it replaces, that token still leads
    /// to its session, as long as another row of the session is not marked.
    ///
    /// ```
    /// # use tower_logout_sqlx::{Mark, TableStore, TokenDigest};
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .session_column("family_id")
    ///     .mark_ended("revoked_at", Mark::Now);
    /// ```
    pub fn mark_ended(mut self, column: impl Into<String>, mark: Mark) -> Self {
        self.description.mark = Some((column.into(), mark));
        self
    }

    /// A column that tells the live token of a session from the tokens that were replaced. With several columns, a
    /// row is live if each of them says so. None by default: each row that is not marked as ended is live.
    ///
    /// A token that is not live still leads to its session. It keeps no session in a logout of
    /// [`Scope::Others`](tower_logout::Scope::Others). A session without a live token has ended already.
    ///
    /// ```
    /// # use tower_logout_sqlx::{Live, TableStore, TokenDigest};
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .session_column("family_id")
    ///     .live_while("used_at", Live::Null);
    /// ```
    pub fn live_while(mut self, column: impl Into<String>, live: Live) -> Self {
        self.description.live.push((column.into(), live));
        self
    }

    /// The column with the time at which a row expires. None by default.
    ///
    /// An expired row is not live. A logout ends expired rows too, and does not name a session that had expired.
    ///
    /// ```
    /// # use tower_logout_sqlx::{Expiry, TableStore, TokenDigest};
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .live_until("expires_at", Expiry::Time);
    /// ```
    pub fn live_until(mut self, column: impl Into<String>, expiry: Expiry) -> Self {
        self.description.expiry = Some((column.into(), expiry));
        self
    }

    /// Writes each session that the store ends to the log `tower_logout_ended`, in the transaction that ends the
    /// session: for nodes that verify access tokens by themselves, and learn from
    /// [`TableStore::ended_log`] which sessions have ended. No log by default.
    ///
    /// An entry counts as long as an access token may live, and 2 minutes more. The table is created if it is
    /// missing. If the user who connects may not create tables,
    /// [`SqlStoreBuilder::migrate`](crate::SqlStoreBuilder::migrate) does so as another user. The user who connects
    /// needs the rights on the log that [`SqlStoreBuilder`](crate::SqlStoreBuilder) lists.
    ///
    /// The log needs a [`session_column`](Self::session_column), whose values are never used again: a login with the
    /// value of an ended one, such as the number of a device, is refused until the log forgets the end.
    ///
    /// A session that your application ends by itself, for example because a token was used twice, is not logged: run
    /// the entry that [`TableStore::statements`] shows, in the transaction that ends the session.
    ///
    /// ```
    /// # use tower_logout_sqlx::{TableStore, TokenDigest};
    /// use std::time::Duration;
    ///
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .session_column("family_id")
    ///     .ended_log(Duration::from_secs(5 * 60));
    /// ```
    pub fn ended_log(mut self, access_lifetime: Duration) -> Self {
        self.description.access_lifetime = Some(access_lifetime);
        self
    }

    /// Accepts a table with row level security in Postgres, and a view. The policies have to let the role see,
    /// change and delete all rows. By default such a table is refused, because a session whose rows are hidden looks
    /// like a session that has ended.
    ///
    /// ```
    /// # use tower_logout_sqlx::{TableStore, TokenDigest};
    /// let builder = TableStore::builder("tokens", "token", TokenDigest::sha256())
    ///     .policies_allow_all();
    /// ```
    pub fn policies_allow_all(mut self) -> Self {
        self.description.policies_allow_all = true;
        self
    }
}
