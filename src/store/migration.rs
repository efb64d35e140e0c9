//! Two stores, while sessions move from one to the other.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join;

use super::{
    BoxError, Incomplete, Revocation, Rotation, Session, SessionId, SessionStore, SubjectStore,
    TokenStore,
};
use crate::token::Token;

/// Two stores during a migration: sessions are opened in the new one, and live on in the old one until
/// they end.
///
/// A logout ends a session in both, at the same time, and an error of either is an error. When the
/// last session of the old store has expired, the new one can stand alone.
///
/// ```
/// use tower_logout::{LogoutLayer, MemoryStore};
/// use tower_logout::store::MigrationStore;
///
/// let (old, new) = (MemoryStore::new(), MemoryStore::new());
/// let layer = LogoutLayer::new(MigrationStore::new(old, new));
/// ```
#[derive(Clone, Debug)]
pub struct MigrationStore<Old, New> {
    old: Old,
    new: New,
}

impl<Old, New> MigrationStore<Old, New> {
    /// A migration from one store to another.
    pub fn new(old: Old, new: New) -> Self {
        Self { old, new }
    }
}

/// A panic of one store does not keep the other from ending, and from saying what it has ended.
async fn unless_panicked(
    call: impl Future<Output = Result<Revocation, BoxError>>,
) -> Result<Revocation, BoxError> {
    let caught = AssertUnwindSafe(call).catch_unwind().await;
    caught.unwrap_or_else(|_panic| Err("one of the two stores panicked".into()))
}

#[async_trait]
impl<Old: TokenStore, New: TokenStore> TokenStore for MigrationStore<Old, New> {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let old = unless_panicked(async { self.old.revoke(token).await });
        let new = unless_panicked(async { self.new.revoke(token).await });
        let (old, new) = join(old, new).await;
        Incomplete::both(old, new)
    }
}

#[async_trait]
impl<Old: SubjectStore, New: SubjectStore> SubjectStore for MigrationStore<Old, New> {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        match self.new.subject(token).await? {
            None => self.old.subject(token).await,
            found => Ok(found),
        }
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let old = unless_panicked(async { self.old.revoke_subject(subject, keep).await });
        let new = unless_panicked(async { self.new.revoke_subject(subject, keep).await });
        let (old, new) = join(old, new).await;
        Incomplete::both(old, new)
    }
}

#[async_trait]
impl<Old: SessionStore, New: SessionStore> SessionStore for MigrationStore<Old, New> {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.new.open(subject, token).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        match self.new.rotate(presented, next).await? {
            Rotation::NotFound => self.old.rotate(presented, next).await,
            found => Ok(found),
        }
    }

    /// That of the new store, in which sessions are opened.
    fn reuse_leeway(&self) -> Duration {
        self.new.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        match self.new.find(token).await? {
            None => self.old.find(token).await,
            found => Ok(found),
        }
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        match self.new.find_session(id).await? {
            None => self.old.find_session(id).await,
            found => Ok(found),
        }
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let dropped = self.old.delete_expired(at_most).await?;
        // A store may drop more than it was asked for.
        let rest = at_most.saturating_sub(dropped);
        Ok(dropped.saturating_add(self.new.delete_expired(rest).await?))
    }
}
