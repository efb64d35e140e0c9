//! The statements that end sessions.

use tower_logout::BoxError;

use super::{BATCH, Ended, Queries, first};
use crate::millis::Millis;
use crate::pool::{Fetch, SqlPool, Transaction, Value};

impl Queries {
    /// Ends the session of a token, where a `DELETE` returns the deleted rows. A rotation in flight is undone
    /// by the cascade, or finds no session.
    pub(crate) async fn end_by_token(
        &self,
        pool: &SqlPool,
        token: &[u8],
        now: Millis,
    ) -> Result<Vec<Ended>, BoxError> {
        let sql = self.sql(
            "DELETE FROM tower_logout_sessions WHERE id = \
             (SELECT session_id FROM tower_logout_tokens WHERE digest = ? AND expires_at > ?) \
             RETURNING id, expires_at",
        );
        let values = [Value::Bytes(token), Value::Int(now.0)];
        pool.write(&sql, &values, Ended::read).await
    }

    /// Locks the session of a token.
    pub(crate) async fn lock_by_token(
        &self,
        transaction: &mut Transaction,
        token: &[u8],
        now: Millis,
    ) -> Result<Option<Ended>, BoxError> {
        let sql = self.sql(
            "SELECT id, expires_at FROM tower_logout_sessions WHERE id = \
             (SELECT session_id FROM tower_logout_tokens WHERE digest = ? AND expires_at > ?) FOR UPDATE",
        );
        let values = [Value::Bytes(token), Value::Int(now.0)];
        Ok(first(transaction.fetch(&sql, &values, Ended::read).await?))
    }

    /// Locks the sessions of a subject, in one order so that two logouts do not wait for each other.
    pub(crate) async fn lock_by_subject(
        &self,
        transaction: &mut Transaction,
        subject: &str,
    ) -> Result<Vec<Ended>, BoxError> {
        let sql = self.sql(
            "SELECT id, expires_at FROM tower_logout_sessions WHERE subject = ? \
             ORDER BY id FOR UPDATE",
        );
        let values = [Value::Text(subject)];
        transaction.fetch(&sql, &values, Ended::read).await
    }

    /// Ends a session, and returns how many rows went.
    pub(crate) async fn end(
        &self,
        transaction: &mut Transaction,
        id: &str,
    ) -> Result<u64, BoxError> {
        let sql = self.sql("DELETE FROM tower_logout_sessions WHERE id = ?");
        transaction.execute(&sql, &[Value::Text(id)]).await
    }

    /// Ends up to [`BATCH`] sessions, and returns how many rows went.
    pub(crate) async fn end_batch(
        &self,
        transaction: &mut Transaction,
        sessions: &[Ended],
    ) -> Result<u64, BoxError> {
        let sql = self.sql("DELETE FROM tower_logout_sessions WHERE id IN (?…)");
        let mut ids: Vec<_> = sessions
            .iter()
            .map(|ended| Value::Text(&ended.id))
            .collect();
        // One statement for any number: what is missing is the first id once more.
        ids.resize(BATCH, ids.first().copied().unwrap_or(Value::Text("")));
        transaction.execute(&sql, &ids).await
    }

    /// The id of the session of a live token.
    pub(crate) async fn live(
        &self,
        transaction: &mut Transaction,
        token: &[u8],
        now: Millis,
    ) -> Result<Option<String>, BoxError> {
        let sql = self.sql(
            "SELECT s.id FROM tower_logout_tokens AS t \
             JOIN tower_logout_sessions AS s ON s.id = t.session_id \
             WHERE t.digest = ? AND t.generation = s.generation AND t.expires_at > ?",
        );
        let values = [Value::Bytes(token), Value::Int(now.0)];
        let ids = transaction.fetch(&sql, &values, |row| row.text(0));
        Ok(first(ids.await?))
    }

    /// The subject of a token, rotated or not. A token that leads to no session has none.
    pub(crate) async fn subject(
        &self,
        pool: &SqlPool,
        token: &[u8],
        now: Millis,
    ) -> Result<Option<String>, BoxError> {
        let sql = self.sql(
            "SELECT s.subject FROM tower_logout_tokens AS t \
             JOIN tower_logout_sessions AS s ON s.id = t.session_id \
             WHERE t.digest = ? AND t.expires_at > ? AND s.expires_at > ?",
        );
        let now = Value::Int(now.0);
        let values = [Value::Bytes(token), now, now];
        Ok(first(pool.fetch(&sql, &values, |row| row.text(0)).await?))
    }

    /// Whether a token, rotated or not, leads to a session.
    pub(crate) async fn is_member(
        &self,
        pool: &SqlPool,
        token: &[u8],
        now: Millis,
    ) -> Result<bool, BoxError> {
        let sql = self.sql(
            "SELECT s.id FROM tower_logout_tokens AS t \
             JOIN tower_logout_sessions AS s ON s.id = t.session_id \
             WHERE t.digest = ? AND t.expires_at > ?",
        );
        let values = [Value::Bytes(token), Value::Int(now.0)];
        Ok(!pool
            .fetch(&sql, &values, |row| row.text(0))
            .await?
            .is_empty())
    }
}
