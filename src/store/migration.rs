//! Two stores during a migration.

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

/// Combines an old and a new store during a migration.
///
/// New sessions are opened in the new store. Sessions in the old store live there until they end.
///
/// A logout calls both stores at the same time. If one of them returns an error, the logout fails. When the
/// last session in the old store has expired, you can use the new store alone. Nodes that follow the log of ended
/// sessions follow both logs, by a [`MigrationLog`](crate::ended::MigrationLog).
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
    /// Creates a store for the migration from `old` to `new`.
    pub fn new(old: Old, new: New) -> Self {
        Self { old, new }
    }
}

/// Turns a panic of one store into an error, so that the other store still ends its sessions and names
/// them.
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

    /// The leeway of the new store, where sessions are opened.
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
        let deleted = self.old.delete_expired(at_most).await?;
        // A store may delete more than `at_most`.
        let rest = at_most.saturating_sub(deleted);
        Ok(deleted.saturating_add(self.new.delete_expired(rest).await?))
    }
}
