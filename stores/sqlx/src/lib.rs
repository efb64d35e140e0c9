//! Sessions in a SQL database, through sqlx: SQLite, Postgres, MySQL and MariaDB.

mod builder;
mod columns;
mod dialect;
mod driver;
mod error;
mod failure;
mod lease;
mod migrations;
mod names;
mod schema;
mod statement;
mod statements;
mod table;
mod token_format;
mod written;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use self::driver::{Pool, Row, Transaction, Value};
use self::failure::is_taken;
use self::names::Names;
use self::statements::{BATCH, Statements};
use tower_logout::store::{
    Rotation, Session, SessionId, SessionPolicy, SessionStore, SubjectStore, TokenTaken,
};
use tower_logout::{BoxError, Revocation, Token, TokenStore};

pub use self::builder::SqlStoreBuilder;
pub use self::driver::SqlPool;
pub use self::error::TableError;
pub use self::table::{ExistingTable, Expiry, Live, Mark, SubjectTableStore, TableStore};
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
/// A rotated token is remembered until it would have expired by itself, in about 180 bytes on SQLite,
/// 260 on Postgres and 280 on MariaDB, indexes included: less than 3 MB for a session of 30 days that is
/// rotated every five minutes. A later rotation of the session drops what has expired by then.
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
    pool: Pool,
    statements: Arc<Statements>,
    hash: Hash,
    policy: SessionPolicy,
}

impl SqlStore {
    /// Connects to the database of a URL, and creates the tables where they are missing:
    /// `sqlite:sessions.sqlite` (created where there is none) or `sqlite::memory:`, `postgres://…`,
    /// `mysql://…` or `mariadb://…`, each with its feature.
    ///
    /// # TLS
    ///
    /// With the feature `tls`, `?sslmode=verify-full` for Postgres and
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

    fn over(pool: Pool, names: &Names) -> Self {
        Self {
            statements: Arc::new(Statements::new(pool.dialect(), names)),
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

    /// Keeps tokens as HMAC-SHA-256 under a key that the database does not hold (a pepper). Their
    /// SHA-256 digests by default. With another key, the sessions of before are unknown.
    ///
    /// # Errors
    ///
    /// [`TableError::ShortKey`](TableError::ShortKey) for a key of fewer than 16 bytes.
    ///
    /// ```
    /// # async fn store(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::SqlStore;
    ///
    /// let pepper = std::env::var("TOKEN_PEPPER")?;
    /// let store = SqlStore::new(pool).await?.with_pepper(pepper)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_pepper(mut self, key: impl AsRef<[u8]>) -> Result<Self, TableError> {
        self.hash = Hash::keyed(key.as_ref())?;
        Ok(self)
    }
}

/// Of what was to end, a row is there still.
const KEPT: &str = "the database keeps rows that were ended, without an error: a trigger or a policy does \
                    not let them be deleted or marked";

/// A session that was read to be ended: its id, and whether it was alive.
fn ended(row: &Row, now: i64) -> Result<(String, bool), BoxError> {
    Ok((row.text(0)?, row.int(1)? > now))
}

/// Names the sessions that were alive.
fn named(ended: Vec<(String, bool)>) -> Revocation {
    let alive = ended.into_iter().filter(|(_, alive)| *alive);
    Revocation::from_iter(alive.map(|(id, _)| SessionId::new(id)))
}

/// Commits what was done, or undoes what failed half way.
async fn finish<T>(transaction: Transaction, done: Result<T, BoxError>) -> Result<T, BoxError> {
    let done = done?;
    transaction.commit().await?;
    Ok(done)
}

#[async_trait]
impl TokenStore for SqlStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let now = millis(SystemTime::now());
        let digest = self.hash.digest(token);
        let values = [Value::Bytes(&digest), Value::Int(now)];
        if let Some(end_by_token) = &self.statements.end_by_token {
            let rows = self.pool.fetch(end_by_token, &values).await?;
            if rows.is_empty() {
                let member = &self.statements.member;
                if !self.pool.fetch(member, &values).await?.is_empty() {
                    return Err(KEPT.into());
                }
            }
            let rows = rows.iter().map(|row| ended(row, now));
            return Ok(named(rows.collect::<Result<_, _>>()?));
        }
        let mut transaction = self.pool.begin().await?;
        let ended = self.end_in_two_steps(&mut transaction, &values, now).await;
        finish(transaction, ended).await
    }
}

#[async_trait]
impl SubjectStore for SqlStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let now = Value::Int(millis(SystemTime::now()));
        let digest = self.hash.digest(token);
        let values = [Value::Bytes(&digest), now, now];
        let rows = self.pool.fetch(&self.statements.subject, &values).await?;
        rows.first().map(|row| row.text(0)).transpose()
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let mut transaction = self.pool.begin().await?;
        let ended = self.end_subject(&mut transaction, subject, keep).await;
        finish(transaction, ended).await
    }
}

#[async_trait]
impl SessionStore for SqlStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.pool.dialect().check_subject(subject)?;
        let mut transaction = self.pool.begin().await?;
        let opened = self.begin_session(&mut transaction, subject, token).await;
        finish(transaction, opened).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let mut transaction = self.pool.begin().await?;
        let rotated = self.replace(&mut transaction, presented, next).await;
        finish(transaction, rotated).await
    }

    fn reuse_leeway(&self) -> Duration {
        self.policy.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let now = Value::Int(millis(SystemTime::now()));
        let digest = self.hash.digest(token);
        let values = [Value::Bytes(&digest), now, now];
        self.find_one(&self.statements.find, &values).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let now = millis(SystemTime::now());
        let values = [Value::Text(id.as_str()), Value::Int(now)];
        self.find_one(&self.statements.find_session, &values).await
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let now = millis(SystemTime::now());
        let values = [Value::Int(now), Value::Int(at_most.into())];
        let dropped = self
            .pool
            .execute(&self.statements.delete_expired, &values)
            .await?;
        Ok(u32::try_from(dropped).unwrap_or(at_most))
    }
}

/// What is done within a transaction.
impl SqlStore {
    async fn end(&self, transaction: &mut Transaction, id: &str) -> Result<(), BoxError> {
        let end = &self.statements.end;
        match transaction.execute(end, &[Value::Text(id)]).await? {
            0 => Err(KEPT.into()),
            _ => Ok(()),
        }
    }

    /// Where a `DELETE` does not say what it deleted.
    async fn end_in_two_steps(
        &self,
        transaction: &mut Transaction,
        token_and_time: &[Value<'_>],
        now: i64,
    ) -> Result<Revocation, BoxError> {
        let lock = &self.statements.lock_by_token;
        let rows = transaction.fetch(lock, token_and_time).await?;
        let Some(row) = rows.first() else {
            return Ok(Revocation::NotFound);
        };
        let (id, alive) = ended(row, now)?;
        self.end(transaction, &id).await?;
        Ok(named(vec![(id, alive)]))
    }

    async fn end_subject(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        keep: &[Token],
    ) -> Result<Revocation, BoxError> {
        let now = millis(SystemTime::now());
        let lock = &self.statements.lock_by_subject;
        let rows = transaction.fetch(lock, &[Value::Text(subject)]).await?;
        let mut sessions = rows
            .iter()
            .map(|row| ended(row, now))
            .collect::<Result<Vec<_>, _>>()?;
        for token in keep {
            let digest = self.hash.digest(token);
            let values = [Value::Bytes(&digest), Value::Int(now)];
            let rows = transaction.fetch(&self.statements.live, &values).await?;
            if let Some(row) = rows.first() {
                let kept = row.text(0)?;
                sessions.retain(|(id, _)| *id != kept);
            }
        }
        for batch in sessions.chunks(BATCH) {
            let mut ids: Vec<_> = batch.iter().map(|(id, _)| Value::Text(id)).collect();
            ids.resize(BATCH, ids[0]);
            let end = &self.statements.end_batch;
            if transaction.execute(end, &ids).await? < batch.len() as u64 {
                return Err(KEPT.into());
            }
        }
        Ok(named(sessions))
    }

    async fn begin_session(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        token: &Token,
    ) -> Result<Session, BoxError> {
        let id = SessionId::generate()?;
        let expires_at = millis(self.policy.expires_at(SystemTime::now()));
        let values = [
            Value::Text(id.as_str()),
            Value::Text(subject),
            Value::Int(expires_at),
        ];
        transaction.execute(&self.statements.open, &values).await?;
        let member = (id.as_str(), 0, expires_at);
        self.add_token(transaction, token, member).await?;
        Ok(Session::new(id, subject, time(expires_at)))
    }

    async fn replace(
        &self,
        transaction: &mut Transaction,
        presented: &Token,
        next: &Token,
    ) -> Result<Rotation, BoxError> {
        let now = SystemTime::now();
        let digest = self.hash.digest(presented);
        let [token, at] = [Value::Bytes(&digest), Value::Int(millis(now))];
        let lock = &self.statements.lock_for_rotation;
        let rows = transaction
            .fetch(lock, &[token, token, token, at, at])
            .await?;
        let Some(row) = rows.first() else {
            return Ok(Rotation::NotFound);
        };
        let (id, subject, generation) = (row.text(0)?, row.text(1)?, row.int(2)?);
        let (of_presented, rotated_at) = (row.int(3)?, row.int(4)?);
        let (mut tokens, first_expires_at) = (row.int(5)?, row.int(6)?);
        let is_live = of_presented == generation;
        if !is_live && !self.is_within_leeway(rotated_at, millis(now)) {
            self.end(transaction, &id).await?;
            return Ok(Rotation::Reused(SessionId::new(id)));
        }
        if first_expires_at <= millis(now) {
            let forget = &self.statements.forget;
            let forgotten = transaction.execute(forget, &[Value::Text(&id), at]).await?;
            tokens -= i64::try_from(forgotten).unwrap_or(tokens);
        }
        if is_live && tokens > i64::from(self.policy.max_rotations()) {
            self.end(transaction, &id).await?;
            return Ok(Rotation::Exhausted(SessionId::new(id)));
        }
        let (generation, rotated_at) = if is_live {
            (generation + 1, millis(now))
        } else {
            (generation, 0)
        };
        let expires_at = millis(self.policy.expires_at(now));
        let values = [
            Value::Int(generation),
            token,
            Value::Int(rotated_at),
            Value::Int(tokens + 1),
            Value::Int(expires_at),
            Value::Text(&id),
        ];
        transaction.execute(&self.statements.renew, &values).await?;
        let member = (&*id, generation, expires_at);
        self.add_token(transaction, next, member).await?;
        let session = Session::new(SessionId::new(id), subject, time(expires_at));
        Ok(Rotation::Rotated(session))
    }

    /// Whether a predecessor may be rotated once more. One that may not has 0 for its time.
    fn is_within_leeway(&self, rotated_at: i64, now: i64) -> bool {
        let leeway = i64::try_from(self.policy.reuse_leeway().as_millis()).unwrap_or(i64::MAX);
        // Also by a clock that is behind, none is none.
        rotated_at > 0 && leeway > 0 && now < rotated_at.saturating_add(leeway)
    }

    /// Adds a token to a session: its id, the token's generation and expiry.
    async fn add_token(
        &self,
        transaction: &mut Transaction,
        token: &Token,
        (session_id, generation, expires_at): (&str, i64, i64),
    ) -> Result<(), BoxError> {
        let digest = self.hash.digest(token);
        let values = [
            Value::Bytes(&digest),
            Value::Text(session_id),
            Value::Int(generation),
            Value::Int(expires_at),
        ];
        match transaction
            .execute(&self.statements.add_token, &values)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_taken(&error) => Err(TokenTaken.into()),
            Err(error) => Err(error),
        }
    }
}

impl SqlStore {
    async fn find_one(
        &self,
        statement: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<Option<Session>, BoxError> {
        let rows = self.pool.fetch(statement, values).await?;
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

/// Milliseconds since 1970, as the tables have them.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of such a number.
fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
