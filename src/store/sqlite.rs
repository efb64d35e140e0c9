//! Sessions in SQLite, through sqlx.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlSafeStr, SqliteConnection, SqlitePool};

use super::shared::{DEFAULT_LIFETIME, MAX_ROTATED, TOKEN_TAKEN, expiry};
use super::{BoxError, Revocation, Rotation, Session, SessionId, SessionStore, TokenStore};
use crate::Token;

/// A store in SQLite.
///
/// Tokens are kept as SHA-256 digests alone. The tables `tower_logout_sessions` and
/// `tower_logout_tokens` are created by the store's own migration, which keeps its version in
/// `tower_logout_migrations` and leaves the migrations of the application alone.
///
/// An acknowledged revocation is on the disk: [`connect`](Self::connect) writes ahead with
/// `synchronous=FULL`. Clones share their pool.
///
/// ```
/// use tower_logout::{SessionStore, SqliteStore, Token, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// let store = SqliteStore::connect("sqlite::memory:").await?;
/// let token = Token::generate()?;
/// store.open("alice", &token).await?;
/// assert_eq!(store.find(&token).await?.map(|session| session.subject), Some("alice".into()));
///
/// store.revoke(&token).await?;
/// assert_eq!(store.find(&token).await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    lifetime: Duration,
}

impl SqliteStore {
    /// Opens the database of a URL such as `sqlite:sessions.sqlite` or `sqlite::memory:`, creates
    /// the file where there is none, and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, or the database cannot be opened or written.
    pub async fn connect(url: &str) -> Result<Self, BoxError> {
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
        Self::new(pool.connect_with(options).await?).await
    }

    /// Uses the application's own pool, and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// If the database cannot be written, or the pool's connections have `foreign_keys` switched
    /// off (sqlx switches them on by default).
    pub async fn new(pool: SqlitePool) -> Result<Self, BoxError> {
        let enforced: bool = sqlx::query_scalar("PRAGMA foreign_keys")
            .fetch_one(&pool)
            .await?;
        if !enforced {
            return Err(
                "the pool has foreign_keys switched off, and ending a session would leave \
                        its tokens behind: build it with SqliteConnectOptions::foreign_keys(true)"
                    .into(),
            );
        }
        let mut migrator = Migrator::with_migrations(vec![Migration::new(
            1,
            "sessions and tokens".into(),
            MigrationType::Simple,
            include_str!("sqlite.sql").into_sql_str(),
            false,
        )]);
        migrator.dangerous_set_table_name("tower_logout_migrations");
        migrator.run(&pool).await?;
        Ok(Self {
            pool,
            lifetime: DEFAULT_LIFETIME,
        })
    }

    /// How long a session lives after it was opened or last rotated. 30 days by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::SqliteStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_logout::BoxError> {
    /// let store = SqliteStore::connect("sqlite::memory:")
    ///     .await?
    ///     .with_lifetime(Duration::from_secs(3600));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        // One statement: a rotation in flight either is undone by the cascade or finds no row. It is
        // read to its end, for SQLite commits when it is done, not when it returns its row.
        let ended: Vec<(String, i64)> = sqlx::query_as(
            "DELETE FROM tower_logout_sessions \
             WHERE id = (SELECT session_id FROM tower_logout_tokens WHERE digest = ?) \
             RETURNING id, expires_at",
        )
        .bind(digest(token))
        .fetch_all(&self.pool)
        .await?;
        Ok(match ended.into_iter().next() {
            Some((id, expires_at)) if expires_at > millis(SystemTime::now()) => {
                Revocation::Sessions(SessionId::new(id).into())
            }
            _ => Revocation::NotFound,
        })
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let session = Session {
            id: SessionId::generate()?,
            subject: subject.to_owned(),
            expires_at: time(millis(expiry(SystemTime::now(), self.lifetime))),
        };
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO tower_logout_sessions (id, subject, expires_at) VALUES (?, ?, ?)")
            .bind(session.id.as_str())
            .bind(subject)
            .bind(millis(session.expires_at))
            .execute(&mut *transaction)
            .await?;
        insert_token(&mut transaction, token, session.id.as_str(), 0).await?;
        transaction.commit().await?;
        Ok(session)
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let now = SystemTime::now();
        // The write lock from the start: what is read here is true until the commit.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let known: Option<(String, String, i64, bool)> = sqlx::query_as(
            "SELECT session.id, session.subject, session.generation, \
                    token.generation = session.generation \
             FROM tower_logout_tokens AS token \
             JOIN tower_logout_sessions AS session ON session.id = token.session_id \
             WHERE token.digest = ? AND session.expires_at > ?",
        )
        .bind(digest(presented))
        .bind(millis(now))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((id, subject, generation, is_live)) = known else {
            return Ok(Rotation::NotFound);
        };
        if !is_live {
            sqlx::query("DELETE FROM tower_logout_sessions WHERE id = ?")
                .bind(&id)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            return Ok(Rotation::Reused(SessionId::new(id)));
        }
        let generation = generation + 1;
        let expires_at = millis(expiry(now, self.lifetime));
        sqlx::query("UPDATE tower_logout_sessions SET generation = ?, expires_at = ? WHERE id = ?")
            .bind(generation)
            .bind(expires_at)
            .bind(&id)
            .execute(&mut *transaction)
            .await?;
        insert_token(&mut transaction, next, &id, generation).await?;
        sqlx::query("DELETE FROM tower_logout_tokens WHERE session_id = ? AND generation < ?")
            .bind(&id)
            .bind(generation - i64::from(MAX_ROTATED))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Rotation::Rotated(session(id, subject, expires_at)))
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let found: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT session.id, session.subject, session.expires_at \
             FROM tower_logout_tokens AS token \
             JOIN tower_logout_sessions AS session ON session.id = token.session_id \
             WHERE token.digest = ? AND token.generation = session.generation \
               AND session.expires_at > ?",
        )
        .bind(digest(token))
        .bind(millis(SystemTime::now()))
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(id, subject, expires_at)| session(id, subject, expires_at)))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let found: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT id, subject, expires_at FROM tower_logout_sessions \
             WHERE id = ? AND expires_at > ?",
        )
        .bind(id.as_str())
        .bind(millis(SystemTime::now()))
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(id, subject, expires_at)| session(id, subject, expires_at)))
    }

    async fn drop_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let dropped = sqlx::query(
            "DELETE FROM tower_logout_sessions WHERE id IN \
             (SELECT id FROM tower_logout_sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        )
        .bind(millis(SystemTime::now()))
        .bind(at_most)
        .execute(&self.pool)
        .await?;
        Ok(u32::try_from(dropped.rows_affected()).unwrap_or(at_most))
    }
}

async fn insert_token(
    connection: &mut SqliteConnection,
    token: &Token,
    session_id: &str,
    generation: i64,
) -> Result<(), BoxError> {
    sqlx::query(
        "INSERT INTO tower_logout_tokens (digest, session_id, generation) VALUES (?, ?, ?)",
    )
    .bind(digest(token))
    .bind(session_id)
    .bind(generation)
    .execute(connection)
    .await
    .map_err(|error| match error.as_database_error() {
        Some(database) if database.is_unique_violation() => TOKEN_TAKEN.into(),
        _ => BoxError::from(error),
    })?;
    Ok(())
}

fn session(id: String, subject: String, expires_at: i64) -> Session {
    Session {
        id: SessionId::new(id),
        subject,
        expires_at: time(expires_at),
    }
}

fn digest(token: &Token) -> Vec<u8> {
    Sha256::digest(token.expose()).to_vec()
}

/// Milliseconds since 1970, as the tables have them.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
