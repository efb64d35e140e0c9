//! Ends sessions.

use async_trait::async_trait;
use futures::StreamExt;

use tower_logout::store::{Incomplete, SessionId, SubjectStore};
use tower_logout::{BoxError, Revocation, Token, TokenStore};

use super::{RedisStore, digest};

/// How many sessions of a subject the store ends at once.
const CONCURRENCY: usize = 64;

impl RedisStore {
    /// Ends a session. With a digest, only if the session has that token.
    pub(super) async fn end(&self, id: &str, digest: Option<&str>) -> Result<Revocation, BoxError> {
        let (commands, policy) = (&self.commands, &self.policy);
        let (ended, replicated) = match self.replicas {
            Some(replicas) => commands.revoke_on(replicas, id, digest, policy).await?,
            None => (commands.revoke(id, digest, policy).await?, Ok(())),
        };
        if ended.is_some() {
            self.ring();
        }
        let revocation = match &ended {
            Some(_) => Revocation::Sessions(SessionId::new(id).into()),
            None => Revocation::NotFound,
        };
        // If replicas are late, the keys that name the session stay: they lead the next attempt to the
        // session, and that attempt waits for the replicas again.
        if let (Some(ended), Ok(())) = (&ended, &replicated) {
            self.clean(id, ended);
        }
        Incomplete::both(Ok(revocation), replicated.map(|()| Revocation::NotFound))
    }

    /// Ends sessions. An error names those that ended although others did not.
    async fn end_each(&self, ids: Vec<String>) -> Result<Revocation, BoxError> {
        let mut results = futures::stream::iter(ids)
            .map(async |id| self.end(&id, None).await)
            .buffer_unordered(CONCURRENCY);
        let mut ended = Revocation::NotFound;
        let mut failure = None;
        while let Some(result) = results.next().await {
            ended = ended.and(result.unwrap_or_else(|error| {
                let before = Incomplete::ended_by(&*error);
                failure = Some(error);
                before
            }));
        }
        Incomplete::both(Ok(ended), failure.map_or(Ok(Revocation::NotFound), Err))
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let digest = digest(token);
        match self.commands.session_id(&digest).await? {
            Some(id) => self.end(&id, Some(&digest)).await,
            None => Ok(Revocation::NotFound),
        }
    }
}

#[async_trait]
impl SubjectStore for RedisStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let member = self.commands.member(&digest(token)).await?;
        Ok(member.map(|member| member.session.subject))
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let (mut kept, mut reused) = (Vec::new(), Vec::new());
        for token in keep {
            if let Some(member) = self.commands.member(&digest(token)).await? {
                let ids = if member.is_live {
                    &mut kept
                } else {
                    &mut reused
                };
                ids.push(member.session.id);
            }
        }
        let has = |ids: &[SessionId], id: &str| ids.iter().any(|other| other.as_str() == id);
        let mut ids = self.commands.listed(subject).await?;
        ids.retain(|id| !has(&kept, id));
        let (last, first) = ids.into_iter().partition(|id| has(&reused, id));
        // A reused token names the subject for another attempt until all other sessions have ended.
        let ended = self.end_each(first).await?;
        Incomplete::both(Ok(ended), self.end_each(last).await)
    }
}
