//! How sessions are opened, rotated and found.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tower_logout::store::{Rotation, Session, SessionId, SessionStore, TokenTaken};
use tower_logout::{BoxError, Token};

use super::SqlStore;
use crate::millis::Millis;
use crate::pool::Transaction;
use crate::pool::failure::is_taken;
use crate::queries::NewToken;

#[async_trait]
impl SessionStore for SqlStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.queries.check_subject(subject)?;
        let mut transaction = self.pool.begin().await?;
        let opened = self.insert(&mut transaction, subject, token).await;
        transaction.finish(opened).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let mut transaction = self.pool.begin().await?;
        let rotated = self.replace(&mut transaction, presented, next).await?;
        match &rotated {
            Rotation::Reused(id) | Rotation::Exhausted(id) => {
                self.finish(transaction, &[id.as_str()]).await?;
            }
            _ => transaction.commit().await?,
        }
        Ok(rotated)
    }

    fn reuse_leeway(&self) -> Duration {
        self.policy.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let digest = self.hash.digest(token);
        self.queries.find(&self.pool, &digest, Millis::now()).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let now = Millis::now();
        self.queries
            .find_session(&self.pool, id.as_str(), now)
            .await
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let (now, queries) = (Millis::now(), &self.queries);
        queries.mark_expired(&self.pool, now, at_most).await?;
        let deleted = queries.delete_expired(&self.pool, now, at_most).await?;
        let retention = self.policy.ended_retention();
        let forgotten = queries.shorten_log(&self.pool, retention, at_most).await?;
        if forgotten >= at_most.into() {
            // There may be more in the log.
            return Ok(at_most);
        }
        Ok(u32::try_from(deleted).unwrap_or(at_most))
    }
}

impl SqlStore {
    async fn insert(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        token: &Token,
    ) -> Result<Session, BoxError> {
        let id = SessionId::generate()?;
        let expires_at = self.policy.expires_at(SystemTime::now()).into();
        let session = (id.as_str(), subject);
        self.queries.open(transaction, session, expires_at).await?;
        let token = NewToken {
            digest: &self.hash.digest(token),
            session: id.as_str(),
            generation: 0,
            expires_at,
        };
        self.add(transaction, token).await?;
        Ok(Session::new(id, subject, expires_at.into()))
    }

    async fn replace(
        &self,
        transaction: &mut Transaction,
        presented: &Token,
        next: &Token,
    ) -> Result<Rotation, BoxError> {
        let time = SystemTime::now();
        let now = Millis::from(time);
        let presented = self.hash.digest(presented);
        let queries = &self.queries;
        let found = queries.lock_for_rotation(transaction, &presented, now);
        let Some(mut session) = found.await? else {
            return Ok(Rotation::NotFound);
        };
        let is_live = session.presented == session.generation;
        if !is_live && !self.is_within_leeway(session.rotated_at, now) {
            self.end(transaction, &session.id).await?;
            return Ok(Rotation::Reused(SessionId::new(session.id)));
        }
        if session.first_expires_at <= now {
            let forgotten = queries.forget(transaction, &session.id, now).await?;
            session.tokens -= i64::try_from(forgotten).unwrap_or(session.tokens);
        }
        if is_live && session.tokens > i64::from(self.policy.max_rotations()) {
            self.end(transaction, &session.id).await?;
            return Ok(Rotation::Exhausted(SessionId::new(session.id)));
        }
        session.tokens += 1;
        session.rotated_at = if is_live { now } else { Millis::NEVER };
        session.generation += i64::from(is_live);
        let expires_at = self.policy.expires_at(time).into();
        queries
            .renew(transaction, &session, &presented, expires_at)
            .await?;
        let next = NewToken {
            digest: &self.hash.digest(next),
            session: &session.id,
            generation: session.generation,
            expires_at,
        };
        self.add(transaction, next).await?;
        let id = SessionId::new(session.id);
        let session = Session::new(id, session.subject, expires_at.into());
        Ok(Rotation::Rotated(session))
    }

    /// Whether a predecessor may be rotated once more.
    fn is_within_leeway(&self, rotated_at: Millis, now: Millis) -> bool {
        let leeway = i64::try_from(self.policy.reuse_leeway().as_millis()).unwrap_or(i64::MAX);
        // A leeway of zero is none, also by a clock that is behind.
        rotated_at > Millis::NEVER && leeway > 0 && now.0 < rotated_at.0.saturating_add(leeway)
    }

    async fn add(
        &self,
        transaction: &mut Transaction,
        token: NewToken<'_>,
    ) -> Result<(), BoxError> {
        match self.queries.add_token(transaction, token).await {
            Err(error) if is_taken(&error) => Err(TokenTaken.into()),
            added => added,
        }
    }
}
