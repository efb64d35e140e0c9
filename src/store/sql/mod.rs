//! Sessions in a SQL database, through sqlx: SQLite, Postgres, MySQL and MariaDB.

mod builder;
mod dialect;
mod driver;
mod failure;
mod lease;
mod migrations;
mod names;
mod schema;
mod statements;
mod table;
mod token_format;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use self::driver::{Pool, Row, Transaction, Value};
use self::failure::is_taken;
use self::names::Names;
use self::statements::{BATCH, Statements};
use super::shared::{DEFAULT_LIFETIME, MAX_ROTATED, TOKEN_TAKEN, expiry, millis, time};
use super::{
    BoxError, Revocation, Rotation, Session, SessionId, SessionStore, SubjectStore, TokenStore,
};
use crate::Token;

pub use self::builder::SqlStoreBuilder;
pub use self::driver::SqlPool;
pub use self::table::{ExistingTable, SubjectTableStore, TableStore};
use self::token_format::Hash;
pub use self::token_format::TokenFormat;

/// A store in a SQL database, with tables of its own.
///
/// Tokens are kept as SHA-256 digests alone. The tables `tower_logout_sessions` and
/// `tower_logout_tokens` are looked at first, and created where they are missing by the store's own
/// migration, which keeps its version in `tower_logout_migrations` and leaves the migrations of the
/// application alone. [`SqlStoreBuilder`] lists the rights that this takes, and has other names for the
/// tables. Clones share their pool.
///
/// An acknowledged revocation is committed, and as durable as the database makes a commit. For
/// SQLite, [`connect`](Self::connect) writes ahead with `synchronous=FULL`; Postgres with
/// `synchronous_commit` and MySQL with `innodb_flush_log_at_trx_commit=1`, their defaults, have it
/// on the disk. After a failover it is on the new primary if replication is synchronous.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// use tower_logout::{SessionStore, SqlStore, Token, TokenStore};
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
    pool: Pool,
    statements: Arc<Statements>,
    hash: Hash,
    lifetime: Duration,
}

impl SqlStore {
    /// Connects to the database of a URL, and creates the tables where they are missing:
    /// `sqlite:sessions.sqlite` (created where there is none) or `sqlite::memory:`, `postgres://…`,
    /// `mysql://…` or `mariadb://…`, each with its feature.
    ///
    /// # TLS
    ///
    /// With the feature `sqlx-tls`, `?sslmode=verify-full` for Postgres and
    /// `?ssl-mode=VERIFY_IDENTITY` for MySQL and MariaDB are what proves that the server is the one
    /// that is meant; `sslrootcert` and `ssl-ca` name the file of a CA that the system does not know.
    /// Without them the default is `prefer`, which goes in clear where the server, or whoever sits
    /// between, does not offer TLS, and says nothing.
    ///
    /// # Errors
    ///
    /// If the URL is malformed or of a database whose feature is off, or the database cannot be
    /// reached, or the tables are missing and cannot be created.
    pub async fn connect(url: &str) -> Result<Self, BoxError> {
        Self::builder().connect(url).await
    }

    /// Uses the application's own pool, and creates the tables where they are missing.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, the tables are missing and cannot be created, or the
    /// connections of a SQLite pool have `foreign_keys` switched off (sqlx switches them on by default).
    pub async fn new(pool: impl Into<SqlPool>) -> Result<Self, BoxError> {
        Self::builder().build(pool).await
    }

    /// A store whose tables have names of the application's choice, or are made by another user.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::SqlStore;
    ///
    /// let store = SqlStore::builder().table_prefix("auth_").build(pool).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> SqlStoreBuilder {
        SqlStoreBuilder::default()
    }

    fn over(pool: Pool, names: &Names) -> Self {
        Self {
            statements: Arc::new(Statements::new(pool.dialect(), names)),
            pool,
            hash: Hash::Sha256,
            lifetime: DEFAULT_LIFETIME,
        }
    }

    /// How long a session lives after it was opened or last rotated. 30 days by default.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use std::time::Duration;
    /// use tower_logout::SqlStore;
    ///
    /// let store = SqlStore::new(pool).await?.with_lifetime(Duration::from_secs(3600));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Keeps tokens as HMAC-SHA-256 under a key that the database does not hold (a pepper). Their
    /// SHA-256 digests by default. With another key, the sessions of before are unknown.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ShortKey`](crate::ConfigError::ShortKey) for a key of fewer than 16 bytes.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::SqlStore;
    ///
    /// let pepper = std::env::var("TOKEN_PEPPER")?;
    /// let store = SqlStore::new(pool).await?.with_pepper(pepper)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_pepper(mut self, key: impl AsRef<[u8]>) -> Result<Self, crate::ConfigError> {
        self.hash = Hash::keyed(key.as_ref())?;
        Ok(self)
    }
}

/// A session that was read to be ended: its id, and whether it was alive.
fn ended(row: &Row, now: SystemTime) -> Result<(String, bool), BoxError> {
    Ok((row.text(0)?, row.int(1)? > millis(now)))
}

/// Names the sessions that were alive.
fn named(ended: Vec<(String, bool)>) -> Revocation {
    let alive = ended.into_iter().filter(|(_, alive)| *alive);
    Revocation::of(alive.map(|(id, _)| SessionId::new(id)))
}

#[async_trait]
impl TokenStore for SqlStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let digest = self.hash.digest(token);
        if let Some(end_by_token) = &self.statements.end_by_token {
            let rows = self
                .pool
                .fetch(end_by_token, &[Value::Bytes(&digest)])
                .await?;
            let rows = rows.iter().map(|row| ended(row, now));
            return Ok(named(rows.collect::<Result<_, _>>()?));
        }
        let mut transaction = self.pool.begin().await?;
        let lock = &self.statements.lock_by_token;
        let rows = transaction.fetch(lock, &[Value::Bytes(&digest)]).await?;
        let Some(row) = rows.first() else {
            return Ok(Revocation::NotFound);
        };
        let (id, alive) = ended(row, now)?;
        transaction
            .execute(&self.statements.end, &[Value::Text(&id)])
            .await?;
        transaction.commit().await?;
        Ok(named(vec![(id, alive)]))
    }
}

#[async_trait]
impl SubjectStore for SqlStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let now = millis(SystemTime::now());
        let digest = self.hash.digest(token);
        let values = [Value::Bytes(&digest), Value::Int(now)];
        let rows = self.pool.fetch(&self.statements.subject, &values).await?;
        rows.first().map(|row| row.text(0)).transpose()
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let mut transaction = self.pool.begin().await?;
        let lock = &self.statements.lock_by_subject;
        let rows = transaction.fetch(lock, &[Value::Text(subject)]).await?;
        let mut sessions = rows
            .iter()
            .map(|row| ended(row, now))
            .collect::<Result<Vec<_>, _>>()?;
        for keep in keep {
            let digest = self.hash.digest(keep);
            let session = &self.statements.session;
            if let Some(row) = transaction
                .fetch(session, &[Value::Bytes(&digest)])
                .await?
                .first()
            {
                let kept = row.text(0)?;
                sessions.retain(|(id, _)| *id != kept);
            }
        }
        for batch in sessions.chunks(BATCH) {
            let mut ids: Vec<_> = batch.iter().map(|(id, _)| Value::Text(id)).collect();
            ids.resize(BATCH, ids[0]);
            transaction
                .execute(&self.statements.end_batch, &ids)
                .await?;
        }
        transaction.commit().await?;
        Ok(named(sessions))
    }
}

#[async_trait]
impl SessionStore for SqlStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.pool.dialect().check_subject(subject)?;
        let id = SessionId::generate()?;
        let expires_at = millis(expiry(SystemTime::now(), self.lifetime));
        let mut transaction = self.pool.begin().await?;
        let values = [
            Value::Text(id.as_str()),
            Value::Text(subject),
            Value::Int(expires_at),
        ];
        transaction.execute(&self.statements.open, &values).await?;
        self.add_token(&mut transaction, token, id.as_str(), 0)
            .await?;
        transaction.commit().await?;
        Ok(Session::new(id, subject, time(expires_at)))
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let now = SystemTime::now();
        let digest = self.hash.digest(presented);
        let mut transaction = self.pool.begin().await?;
        let values = [
            Value::Bytes(&digest),
            Value::Bytes(&digest),
            Value::Int(millis(now)),
        ];
        let rows = transaction
            .fetch(&self.statements.lock_for_rotation, &values)
            .await?;
        let Some(row) = rows.first() else {
            return Ok(Rotation::NotFound);
        };
        let (id, subject, generation) = (row.text(0)?, row.text(1)?, row.int(2)?);
        if row.int(3)? != generation {
            transaction
                .execute(&self.statements.end, &[Value::Text(&id)])
                .await?;
            transaction.commit().await?;
            return Ok(Rotation::Reused(SessionId::new(id)));
        }
        let generation = generation + 1;
        let expires_at = millis(expiry(now, self.lifetime));
        let values = [
            Value::Int(generation),
            Value::Int(expires_at),
            Value::Text(&id),
        ];
        transaction.execute(&self.statements.renew, &values).await?;
        self.add_token(&mut transaction, next, &id, generation)
            .await?;
        let oldest = generation - i64::from(MAX_ROTATED);
        transaction
            .execute(
                &self.statements.forget,
                &[Value::Text(&id), Value::Int(oldest)],
            )
            .await?;
        transaction.commit().await?;
        let session = Session::new(SessionId::new(id), subject, time(expires_at));
        Ok(Rotation::Rotated(session))
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let digest = self.hash.digest(token);
        self.find_one(&self.statements.find, Value::Bytes(&digest))
            .await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        self.find_one(&self.statements.find_session, Value::Text(id.as_str()))
            .await
    }

    async fn drop_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let now = millis(SystemTime::now());
        let values = [Value::Int(now), Value::Int(at_most.into())];
        let dropped = self
            .pool
            .execute(&self.statements.drop_expired, &values)
            .await?;
        Ok(u32::try_from(dropped).unwrap_or(at_most))
    }
}

impl SqlStore {
    async fn add_token(
        &self,
        transaction: &mut Transaction,
        token: &Token,
        session_id: &str,
        generation: i64,
    ) -> Result<(), BoxError> {
        let digest = self.hash.digest(token);
        let values = [
            Value::Bytes(&digest),
            Value::Text(session_id),
            Value::Int(generation),
        ];
        match transaction
            .execute(&self.statements.add_token, &values)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_taken(&error) => Err(TOKEN_TAKEN.into()),
            Err(error) => Err(error),
        }
    }

    async fn find_one(
        &self,
        statement: &Arc<str>,
        by: Value<'_>,
    ) -> Result<Option<Session>, BoxError> {
        let now = millis(SystemTime::now());
        let rows = self.pool.fetch(statement, &[by, Value::Int(now)]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let (id, subject, expires_at) = (row.text(0)?, row.text(1)?, row.int(2)?);
        Ok(Some(Session::new(
            SessionId::new(id),
            subject,
            time(expires_at),
        )))
    }
}
