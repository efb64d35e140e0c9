//! Opens, rotates and finds sessions.

use std::time::Duration;

use async_trait::async_trait;

use tower_logout::store::{Incomplete, Rotation, Session, SessionId, SessionStore};
use tower_logout::{BoxError, Revocation, Token};

use super::{RedisStore, digest};
use crate::cleanup::Garbage;
use crate::commands::{Ended, Rotated};

impl RedisStore {
    /// Points a new token to a session, and lists the session. Both come before the session itself, so
    /// that neither can be missing from a live session.
    async fn register(&self, digest: &str, subject: &str, id: &SessionId) -> Result<(), BoxError> {
        let (id, lifetime) = (id.as_str(), self.policy.lifetime());
        self.commands.point(digest, id, lifetime).await?;
        self.commands.add_to_list(subject, id, lifetime).await
    }

    /// Waits for the replicas of a session that a rotation ended.
    async fn replicate_end(&self, id: &SessionId) -> Result<(), BoxError> {
        if self.replicas.is_some() {
            let replicated = self.end(id.as_str(), None).await;
            let ended = || Revocation::from_iter([id.clone()]);
            replicated.map_err(|error| Incomplete::new(ended(), error))?;
        }
        Ok(())
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let id = SessionId::generate()?;
        let digest = digest(token);
        self.register(&digest, subject, &id).await?;
        let lifetime = self.policy.lifetime();
        let open = self.commands.open(id.as_str(), subject, &digest, lifetime);
        let expires_at = open.await?;
        Ok(Session::new(id, subject, expires_at))
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let (presented, next) = (digest(presented), digest(next));
        let Some(member) = self.commands.member(&presented).await? else {
            return Ok(Rotation::NotFound);
        };
        let Session { id, subject, .. } = member.session;
        self.register(&next, &subject, &id).await?;
        let rotate = self
            .commands
            .rotate(id.as_str(), &presented, &next, &self.policy);
        let (mut ended, rotation) = match rotate.await? {
            Rotated::Live(expires_at) => {
                return Ok(Rotation::Rotated(Session::new(id, subject, expires_at)));
            }
            Rotated::UnknownToken => {
                let pointers = vec![self.commands.keys.pointer(&next)];
                self.cleaner.clean(Garbage {
                    pointers,
                    listed: Vec::new(),
                });
                return Ok(Rotation::NotFound);
            }
            Rotated::NoSession => {
                let digests = vec![next];
                self.clean(id.as_str(), &Ended { subject, digests });
                return Ok(Rotation::NotFound);
            }
            Rotated::Reused(ended) => (ended, Rotation::Reused(id.clone())),
            Rotated::Exhausted(ended) => (ended, Rotation::Exhausted(id.clone())),
        };
        self.ring();
        self.replicate_end(&id).await?;
        ended.digests.push(next);
        self.clean(id.as_str(), &ended);
        Ok(rotation)
    }

    fn reuse_leeway(&self) -> Duration {
        self.policy.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let member = self.commands.member(&digest(token)).await?;
        let live = member.filter(|member| member.is_live);
        Ok(live.map(|member| member.session))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        self.commands.session(id).await
    }
}
