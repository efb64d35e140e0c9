//! Sessions in tables of their own.

mod builder;
mod revocation;
mod session;

use std::sync::Arc;

use tower_logout::BoxError;
use tower_logout::store::SessionPolicy;

pub use self::builder::SqlStoreBuilder;

use crate::digest::{Hash, ShortKey};
use crate::ended::{Bell, SqlEndedLog, retention};
use crate::pool::SqlPool;
use crate::queries::Queries;

/// Sessions in a SQL database, in tables of their own.
///
/// The store keeps the SHA-256 digests of tokens, or their [HMAC](Self::with_hmac_sha256). Its tables
/// `tower_logout_sessions` and `tower_logout_tokens` are created if they are missing, and so is
/// `tower_logout_ended`, the [log of ended sessions](Self::ended_log). The version of the tables is in
/// `tower_logout_migrations`; the migrations of your application are not touched. [`SqlStoreBuilder`] lists the
/// rights that this takes, and changes the names of the tables. Clones share their pool.
///
/// A rotated token is remembered until it expires. It takes about 180 bytes in SQLite, 260 in Postgres and 280
/// in MariaDB, with indexes: less than 3 MB for a session of 30 days that is rotated every five minutes. A
/// later rotation of the session deletes the tokens that have expired.
///
/// A revocation that is acknowledged is committed, and as durable as a commit of the database. With SQLite,
/// [`connect`](Self::connect) uses a write-ahead log and `synchronous=FULL`. Postgres with
/// `synchronous_commit` and MySQL with `innodb_flush_log_at_trx_commit=1`, their defaults, have written the
/// commit to the disk. After a failover, the commit is on the new primary if replication is synchronous.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// use tower_logout::{Token, TokenStore};
/// use tower_logout::store::SessionStore;
/// use tower_logout_sqlx::SqlStore;
///
/// let store = SqlStore::connect("sqlite::memory:").await?;
/// let token = Token::generate()?;
/// store.open("alice", &token).await?;
/// assert_eq!(store.find(&token).await?.map(|session| session.subject), Some("alice".into()));
///
/// store.revoke(&token).await?;
/// assert_eq!(store.find(&token).await?, None);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct SqlStore {
    pool: SqlPool,
    pub(crate) queries: Arc<Queries>,
    hash: Hash,
    policy: SessionPolicy,
    bell: Arc<Bell>,
}

impl SqlStore {
    /// Connects to the database of a URL, and creates the tables if they are missing.
    ///
    /// The URL is `sqlite:sessions.sqlite` (the file is created if it is missing), `sqlite::memory:`,
    /// `postgres://…`, `mysql://…` or `mariadb://…`, each with the feature of its database.
    ///
    /// # TLS
    ///
    /// With the feature `tls`, `?sslmode=verify-full` for Postgres and `?ssl-mode=VERIFY_IDENTITY` for MySQL
    /// and MariaDB prove the identity of the server. `sslrootcert` and `ssl-ca` name the file of a CA that the
    /// system does not know. The default is `prefer`, which falls back to an unencrypted connection without an
    /// error if the server, or somebody between, does not offer TLS.
    ///
    /// # Errors
    ///
    /// If the URL is malformed or the feature of its database is off, the database cannot be reached, or the
    /// tables are missing and cannot be created.
    pub async fn connect(url: &str) -> Result<Self, BoxError> {
        Self::builder().connect(url).await
    }

    /// Uses your own pool, and creates the tables if they are missing.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, the tables are missing and cannot be created, or the connections of
    /// a SQLite pool have `foreign_keys` switched off (sqlx switches them on by default).
    pub async fn new(pool: impl Into<SqlPool>) -> Result<Self, BoxError> {
        Self::builder().build(pool).await
    }

    /// Configures the names of the tables, and who creates them.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::SqlStore;
    ///
    /// let store = SqlStore::builder().table_prefix("auth_").build(pool).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> SqlStoreBuilder {
        SqlStoreBuilder::default()
    }

    fn over(pool: SqlPool, queries: Queries) -> Self {
        Self {
            bell: Arc::new(Bell::new(&queries.names)),
            queries: Arc::new(queries),
            pool,
            hash: Hash::Sha256,
            policy: SessionPolicy::new(),
        }
    }

    /// How long sessions live, and how their tokens rotate. [`SessionPolicy::default`] by default.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    /// use tower_logout_sqlx::SqlStore;
    ///
    /// let policy = SessionPolicy::new().with_lifetime(Duration::from_secs(3600));
    /// let store = SqlStore::new(pool).await?.with_policy(policy);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Opens the log of the sessions that were ended, from which each node learns that their access tokens are dead.
    ///
    /// The log is read on a connection of its own, and a second one learns of news in SQLite and Postgres. Both are
    /// opened with the options of the pool. The hooks of the pool, such as `after_connect`, do not run for them. A
    /// SQLite database in memory is read through the pool. [`SqlEndedLog`] says what is logged.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or the table cannot be read.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::ended::EndedLog;
    /// use tower_logout::{Token, TokenStore};
    /// use tower_logout::store::SessionStore;
    /// use tower_logout_sqlx::SqlStore;
    ///
    /// let store = SqlStore::connect("sqlite::memory:").await?;
    /// let token = Token::generate()?;
    /// let session = store.open("alice", &token).await?;
    /// store.revoke(&token).await?;
    ///
    /// let log = store.ended_log().await?;
    /// let page = log.read(None).await?;
    /// assert_eq!(page.ended[0].0, session.id);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    pub async fn ended_log(&self) -> Result<SqlEndedLog, BoxError> {
        let retention = retention(&self.policy)?;
        SqlEndedLog::open(&self.pool, &self.queries.names, &self.bell, retention).await
    }

    /// Keeps tokens as HMAC-SHA-256 under a key that the database does not hold (a pepper). By default tokens
    /// are kept as SHA-256. With another key, the store knows none of its earlier sessions.
    ///
    /// # Errors
    ///
    /// [`ShortKey`] for a key of fewer than 16 bytes.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::SqlStore;
    ///
    /// let key = std::env::var("TOKEN_KEY")?;
    /// let store = SqlStore::new(pool).await?.with_hmac_sha256(key)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_hmac_sha256(mut self, key: impl AsRef<[u8]>) -> Result<Self, ShortKey> {
        self.hash = Hash::hmac_sha256(key.as_ref())?;
        Ok(self)
    }
}
