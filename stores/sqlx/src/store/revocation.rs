//! How sessions end.

use async_trait::async_trait;
use tower_logout::store::{SessionId, SubjectStore};
use tower_logout::{BoxError, Revocation, Token, TokenStore};

use super::SqlStore;
use crate::millis::Millis;
use crate::pool::Transaction;
use crate::pool::failure::rows_are_kept;
use crate::queries::{BATCH, Ended};

/// How long after its expiry a session is logged, in milliseconds: as long as in the triggers of the databases.
const SLACK: i64 = 2 * 60 * 1000;

#[async_trait]
impl TokenStore for SqlStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let now = Millis::now();
        let digest = self.hash.digest(token);
        if !self.pool.dialect().returns_deleted() {
            let mut transaction = self.pool.begin().await?;
            let ended = self.end_in_two_steps(&mut transaction, &digest, now);
            let ended = ended.await?;
            return self.finish_revocation(transaction, ended, now).await;
        }
        let ended = self.queries.end_by_token(&self.pool, &digest, now).await?;
        if ended.is_empty() && self.queries.is_member(&self.pool, &digest, now).await? {
            return Err(rows_are_kept());
        }
        if !ended.is_empty() {
            self.ring();
        }
        Ok(revocation(ended, now))
    }
}

#[async_trait]
impl SubjectStore for SqlStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let digest = self.hash.digest(token);
        self.queries
            .subject(&self.pool, &digest, Millis::now())
            .await
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let keep: Vec<_> = keep.iter().map(|token| self.hash.digest(token)).collect();
        let now = Millis::now();
        let mut transaction = self.pool.begin().await?;
        let ended = self.end_subject(&mut transaction, subject, &keep, now);
        let ended = ended.await?;
        self.finish_revocation(transaction, ended, now).await
    }
}

impl SqlStore {
    /// Ends a session.
    pub(super) async fn end(
        &self,
        transaction: &mut Transaction,
        id: &str,
    ) -> Result<(), BoxError> {
        match self.queries.end(transaction, id).await? {
            0 => Err(rows_are_kept()),
            _ => Ok(()),
        }
    }

    /// Ends the session of a token, where a `DELETE` does not return the deleted rows.
    async fn end_in_two_steps(
        &self,
        transaction: &mut Transaction,
        digest: &[u8],
        now: Millis,
    ) -> Result<Vec<Ended>, BoxError> {
        let locked = self.queries.lock_by_token(transaction, digest, now).await?;
        if let Some(session) = &locked {
            self.end(transaction, &session.id).await?;
        }
        Ok(locked.into_iter().collect())
    }

    /// Commits a revocation, and names the sessions.
    async fn finish_revocation(
        &self,
        transaction: Transaction,
        ended: Vec<Ended>,
        now: Millis,
    ) -> Result<Revocation, BoxError> {
        // A session that expired a moment ago may live on by another clock.
        let since = Millis(now.0 - SLACK);
        let alive = ended.iter().filter(|session| session.expires_at > since);
        let ids: Vec<_> = alive.map(|session| &*session.id).collect();
        self.finish(transaction, &ids).await?;
        Ok(revocation(ended, now))
    }

    /// Commits the end of these sessions together with their entries in the log.
    pub(super) async fn finish(
        &self,
        mut transaction: Transaction,
        ended: &[&str],
    ) -> Result<(), BoxError> {
        let logged: &[_] = if self.policy.ended_retention().is_zero() {
            &[]
        } else {
            ended
        };
        let commit = self.queries.log_ended(&mut transaction, logged).await?;
        transaction.commit_by(&commit).await?;
        if !ended.is_empty() {
            self.ring();
        }
        Ok(())
    }

    /// Tells the readers of the log, unless nobody has a use for the log.
    fn ring(&self) {
        if !self.policy.ended_retention().is_zero() {
            self.bell.ring(&self.pool);
        }
    }

    async fn end_subject(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        keep: &[Vec<u8>],
        now: Millis,
    ) -> Result<Vec<Ended>, BoxError> {
        let mut sessions = self.queries.lock_by_subject(transaction, subject).await?;
        for digest in keep {
            if let Some(kept) = self.queries.live(transaction, digest, now).await? {
                sessions.retain(|session| session.id != kept);
            }
        }
        for batch in sessions.chunks(BATCH) {
            if self.queries.end_batch(transaction, batch).await? < batch.len() as u64 {
                return Err(rows_are_kept());
            }
        }
        Ok(sessions)
    }
}

/// Names the ended sessions that had not expired.
fn revocation(ended: impl IntoIterator<Item = Ended>, now: Millis) -> Revocation {
    let ended = ended.into_iter();
    let alive = ended.filter(|session| session.expires_at > now);
    alive.map(|session| SessionId::new(session.id)).collect()
}
