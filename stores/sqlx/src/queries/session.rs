//! The statements that open, rotate and find sessions.

use tower_logout::BoxError;
use tower_logout::store::{Session, SessionId};

use super::{Queries, first};
use crate::dialect::Dialect;
use crate::millis::Millis;
use crate::pool::{Fetch, Row, SqlPool, Transaction, Value};

/// A session whose token is about to be rotated.
pub(crate) struct Rotating {
    pub(crate) id: String,
    pub(crate) subject: String,
    /// The generation of the live tokens.
    pub(crate) generation: i64,
    /// The generation of the presented token.
    pub(crate) presented: i64,
    /// When the presented token was rotated, if the presented token may be rotated once more.
    pub(crate) rotated_at: Millis,
    /// How many tokens are remembered.
    pub(crate) tokens: i64,
    /// When the first of these tokens expires.
    pub(crate) first_expires_at: Millis,
}

/// A token that is added to a session.
pub(crate) struct NewToken<'t> {
    pub(crate) digest: &'t [u8],
    pub(crate) session: &'t str,
    pub(crate) generation: i64,
    pub(crate) expires_at: Millis,
}

/// The session that a primary has found.
fn session(row: &dyn Row) -> Result<Option<Session>, BoxError> {
    let Some(id) = row.text_or_null(1)? else {
        return Ok(None);
    };
    let (subject, expires_at) = (row.text(2)?, Millis(row.int(3)?));
    let session = Session::new(SessionId::new(id), subject, expires_at.into());
    Ok(Some(session))
}

impl Queries {
    /// Refuses a subject that the column would cut off: the rest may be the subject of somebody else.
    pub(crate) fn check_subject(&self, subject: &str) -> Result<(), BoxError> {
        const MYSQL_SUBJECT_LEN: usize = 512;
        if self.dialect == Dialect::MySql && subject.len() > MYSQL_SUBJECT_LEN {
            return Err(format!(
                "a subject in MySQL has at most {MYSQL_SUBJECT_LEN} bytes, and this subject has {}",
                subject.len()
            )
            .into());
        }
        Ok(())
    }

    /// Inserts a session.
    pub(crate) async fn open(
        &self,
        transaction: &mut Transaction,
        (id, subject): (&str, &str),
        expires_at: Millis,
    ) -> Result<(), BoxError> {
        let sql = self.sql(
            "INSERT INTO tower_logout_sessions \
             (id, subject, generation, rotated_at, tokens, expires_at) VALUES (?, ?, 0, 0, 1, ?)",
        );
        let values = [
            Value::Text(id),
            Value::Text(subject),
            Value::Int(expires_at.0),
        ];
        transaction.execute(&sql, &values).await?;
        Ok(())
    }

    /// Inserts a token of a session.
    pub(crate) async fn add_token(
        &self,
        transaction: &mut Transaction,
        token: NewToken<'_>,
    ) -> Result<(), BoxError> {
        let sql = self.sql(
            "INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at) \
             VALUES (?, ?, ?, ?)",
        );
        let values = [
            Value::Bytes(token.digest),
            Value::Text(token.session),
            Value::Int(token.generation),
            Value::Int(token.expires_at.0),
        ];
        transaction.execute(&sql, &values).await?;
        Ok(())
    }

    /// Locks the session of a token that is about to be rotated. The row of a token never changes, so that
    /// it can be read beside the lock.
    pub(crate) async fn lock_for_rotation(
        &self,
        transaction: &mut Transaction,
        token: &[u8],
        now: Millis,
    ) -> Result<Option<Rotating>, BoxError> {
        let sql = self.sql(
            "SELECT id, subject, generation, \
             (SELECT generation FROM tower_logout_tokens WHERE digest = ?), \
             CASE WHEN predecessor = ? THEN rotated_at ELSE 0 END, tokens, \
             (SELECT MIN(t.expires_at) FROM tower_logout_tokens AS t \
              WHERE t.session_id = tower_logout_sessions.id) \
             FROM tower_logout_sessions WHERE id = \
             (SELECT session_id FROM tower_logout_tokens WHERE digest = ? AND expires_at > ?) \
             AND expires_at > ? FOR UPDATE",
        );
        let (token, now) = (Value::Bytes(token), Value::Int(now.0));
        let read = |row: &dyn Row| {
            Ok(Rotating {
                id: row.text(0)?,
                subject: row.text(1)?,
                generation: row.int(2)?,
                presented: row.int(3)?,
                rotated_at: Millis(row.int(4)?),
                tokens: row.int(5)?,
                first_expires_at: Millis(row.int(6)?),
            })
        };
        let values = [token, token, token, now, now];
        Ok(first(transaction.fetch(&sql, &values, read).await?))
    }

    /// Forgets the expired tokens of a session, and returns how many there were.
    pub(crate) async fn forget(
        &self,
        transaction: &mut Transaction,
        id: &str,
        now: Millis,
    ) -> Result<u64, BoxError> {
        let sql =
            self.sql("DELETE FROM tower_logout_tokens WHERE session_id = ? AND expires_at <= ?");
        let values = [Value::Text(id), Value::Int(now.0)];
        transaction.execute(&sql, &values).await
    }

    /// Writes a session after its rotation from `predecessor` to the generation.
    pub(crate) async fn renew(
        &self,
        transaction: &mut Transaction,
        session: &Rotating,
        predecessor: &[u8],
        expires_at: Millis,
    ) -> Result<(), BoxError> {
        let sql = self.sql(
            "UPDATE tower_logout_sessions SET generation = ?, predecessor = ?, rotated_at = ?, \
             tokens = ?, expires_at = ? WHERE id = ?",
        );
        let values = [
            Value::Int(session.generation),
            Value::Bytes(predecessor),
            Value::Int(session.rotated_at.0),
            Value::Int(session.tokens),
            Value::Int(expires_at.0),
            Value::Text(&session.id),
        ];
        transaction.execute(&sql, &values).await?;
        Ok(())
    }

    /// The session of a live token.
    pub(crate) async fn find(
        &self,
        pool: &SqlPool,
        token: &[u8],
        now: Millis,
    ) -> Result<Option<Session>, BoxError> {
        let sql = self.sql(
            "ON PRIMARY SELECT s.id, s.subject, s.expires_at FROM tower_logout_tokens AS t \
             JOIN tower_logout_sessions AS s ON s.id = t.session_id \
             WHERE t.digest = ? AND t.generation = s.generation \
             AND t.expires_at > ? AND s.expires_at > ?",
        );
        let now = Value::Int(now.0);
        let values = [Value::Bytes(token), now, now];
        let found = pool.primary().fetch(&sql, &values, session).await?;
        Ok(first(found).flatten())
    }

    pub(crate) async fn find_session(
        &self,
        pool: &SqlPool,
        id: &str,
        now: Millis,
    ) -> Result<Option<Session>, BoxError> {
        let sql = self.sql(
            "ON PRIMARY SELECT id, subject, expires_at FROM tower_logout_sessions \
             WHERE id = ? AND expires_at > ?",
        );
        let values = [Value::Text(id), Value::Int(now.0)];
        let found = pool.primary().fetch(&sql, &values, session).await?;
        Ok(first(found).flatten())
    }

    /// Deletes some expired sessions, and returns how many. In Postgres, sessions that somebody has locked
    /// stay.
    pub(crate) async fn delete_expired(
        &self,
        pool: &SqlPool,
        now: Millis,
        at_most: u32,
    ) -> Result<u64, BoxError> {
        let sql = self.sql(if self.dialect == Dialect::MySql {
            "DELETE FROM tower_logout_sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        } else {
            "DELETE FROM tower_logout_sessions WHERE id IN \
             (SELECT id FROM tower_logout_sessions WHERE expires_at <= ? \
              ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED)"
        });
        let values = [Value::Int(now.0), Value::Int(at_most.into())];
        pool.execute(&sql, &values).await
    }
}
