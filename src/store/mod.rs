//! The store of refresh tokens: what a logout asks of it, and what a login and a refresh do.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use smallvec::SmallVec;

use crate::Token;

mod incomplete;
#[cfg(feature = "memory")]
mod memory;
mod migration;
#[cfg(feature = "_random")]
mod random;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "retry")]
mod retry;
mod session;
#[cfg(feature = "_stores")]
mod shared;
#[cfg(feature = "_sql")]
mod sql;
mod subject;
mod transient;

pub use incomplete::Incomplete;
pub(crate) use incomplete::ended_before;
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
pub use migration::MigrationStore;
#[cfg(feature = "_random")]
pub(crate) use random::random_hex;
#[cfg(feature = "redis")]
pub use redis::{RedisConnection, RedisStore};
#[cfg(feature = "retry")]
pub use retry::RetryStore;
#[cfg(feature = "tokio")]
pub use session::drop_expired_every;
pub use session::{Rotation, Session, SessionStore};
#[cfg(feature = "_sql")]
pub use sql::{
    ExistingTable, Expiry, Live, Mark, SqlPool, SqlStore, SqlStoreBuilder, SubjectTableStore,
    TableStore, TokenFormat,
};
pub use subject::{Scope, SubjectStore};
pub use transient::Transient;

pub use tower::BoxError;

/// Where sessions are ended.
///
/// # Contract
///
/// [`revoke`](Self::revoke) ends the whole **session** that the token belongs to, all of its
/// rotation family, whichever member is presented. It is idempotent, and of several calls at once
/// for one session a single one reports it. When it has returned `Ok`, no token of that session
/// works, and no refresh that was in flight brings it back.
///
/// A token that is unknown, expired or malformed is [`Revocation::NotFound`], not an error
/// (RFC 7009 §2.2). An error means: assume that the token still works.
///
/// **Success is what was seen, not what was not seen.** `NotFound` says that the store has looked, and
/// saw no such token. A statement that changed no rows does not say so: row level security, a
/// trigger or a comparison of two character sets can hide a row that still works. What the store could
/// not examine, and what it could not show to be gone, is an error.
///
/// It is implemented for `Arc<T>` and `Box<T>`, of `dyn TokenStore` too, and [`store_fn`] makes one
/// from a closure.
///
/// # Example
///
/// ```
/// use tower_logout::{BoxError, Revocation, Token, TokenStore, async_trait};
/// # struct Pool;
/// # impl Pool {
/// #     async fn execute(&self, _: &str, _: &str) -> Result<u64, BoxError> { Ok(1) }
/// #     async fn exists(&self, _: &str, _: &str) -> Result<bool, BoxError> { Ok(false) }
/// # }
///
/// struct Sessions {
///     pool: Pool,
/// }
///
/// #[async_trait]
/// impl TokenStore for Sessions {
///     async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
///         let token = token.expose();
///         let delete = "delete from sessions where token = $1";
///         if self.pool.execute(delete, token).await? > 0 {
///             return Ok(Revocation::Revoked);
///         }
///         if self.pool.exists("select 1 from sessions where token = $1", token).await? {
///             return Err("the session was not deleted".into());
///         }
///         Ok(Revocation::NotFound)
///     }
/// }
/// ```
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Ends the session that the token belongs to.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from knowing that the token is dead. The client is told nothing of
    /// it; the operator finds it in [`Failure`](crate::Failure).
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError>;
}

#[async_trait]
impl<T: TokenStore + ?Sized> TokenStore for Arc<T> {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        (**self).revoke(token).await
    }
}

#[async_trait]
impl<T: TokenStore + ?Sized> TokenStore for Box<T> {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        (**self).revoke(token).await
    }
}

/// What [`TokenStore::revoke`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The token was not alive.
    NotFound,
    /// The session was ended. The store has no ids for its sessions.
    Revoked,
    /// These sessions were ended. A denylist for access tokens follows their ids.
    Sessions(Sessions),
}

impl Revocation {
    /// These sessions were ended, if there are any.
    ///
    /// ```
    /// use tower_logout::Revocation;
    ///
    /// assert_eq!(Revocation::of([]), Revocation::NotFound);
    /// ```
    pub fn of(ended: impl IntoIterator<Item = SessionId>) -> Self {
        let ended: Sessions = ended.into_iter().collect();
        if ended.is_empty() {
            Self::NotFound
        } else {
            Self::Sessions(ended)
        }
    }
}

impl Revocation {
    /// What two revocations ended.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotFound, found) | (found, Self::NotFound) => found,
            (Self::Sessions(mut some), Self::Sessions(more)) => {
                some.append(more);
                Self::Sessions(some)
            }
            (Self::Sessions(named), Self::Revoked) | (Self::Revoked, Self::Sessions(named)) => {
                Self::Sessions(named)
            }
            (Self::Revoked, Self::Revoked) => Self::Revoked,
        }
    }
}

/// The opaque id of a session: the same for all tokens of its rotation family, and no secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Takes over an id.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(feature = "_stores")]
    fn generate() -> Result<Self, BoxError> {
        Ok(Self::new(random_hex::<16>()?.as_str()))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ids of sessions; derefs to a slice.
///
/// ```
/// use tower_logout::{SessionId, Sessions};
///
/// let ended: Sessions = [SessionId::new("1f0c")].into_iter().collect();
/// assert_eq!(ended[0].as_str(), "1f0c");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions(SmallVec<[SessionId; 1]>);

impl From<SessionId> for Sessions {
    fn from(id: SessionId) -> Self {
        Self(SmallVec::from_buf([id]))
    }
}

impl FromIterator<SessionId> for Sessions {
    fn from_iter<I: IntoIterator<Item = SessionId>>(ids: I) -> Self {
        let mut sessions = Self::default();
        sessions.extend(ids);
        sessions
    }
}

impl Sessions {
    pub(crate) fn append(&mut self, other: Self) {
        // Nearly always there is one token, and its list is taken as it is.
        if self.0.is_empty() {
            *self = other;
        } else {
            self.extend(other.0);
        }
    }

    /// Adds those that are not there yet: each session is named once.
    fn extend(&mut self, ids: impl IntoIterator<Item = SessionId>) {
        /// Beyond this a search costs more than a set does.
        const FEW: usize = 16;
        let mut known = HashSet::new();
        for id in ids {
            if self.0.len() < FEW {
                if !self.0.contains(&id) {
                    self.0.push(id);
                }
                continue;
            }
            if known.is_empty() {
                known.extend(self.0.iter().cloned());
            }
            if known.insert(id.clone()) {
                self.0.push(id);
            }
        }
    }
}

impl<'s> IntoIterator for &'s Sessions {
    type Item = &'s SessionId;
    type IntoIter = std::slice::Iter<'s, SessionId>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl std::ops::Deref for Sessions {
    type Target = [SessionId];

    fn deref(&self) -> &[SessionId] {
        &self.0
    }
}

/// Makes a [`TokenStore`] from a closure.
///
/// ```
/// use tower_logout::{LogoutLayer, Revocation, store_fn};
///
/// let layer = LogoutLayer::new(store_fn(|token| async move {
///     let known = token.expose() == "s3cret";
///     Ok(if known { Revocation::Revoked } else { Revocation::NotFound })
/// }));
/// ```
pub fn store_fn<F, Fut>(revoke: F) -> StoreFn<F>
where
    F: Fn(Token) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Revocation, BoxError>> + Send,
{
    StoreFn { revoke }
}

/// A [`TokenStore`] made from a closure by [`store_fn`].
#[derive(Clone, Copy)]
pub struct StoreFn<F> {
    revoke: F,
}

impl<F> fmt::Debug for StoreFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFn").finish_non_exhaustive()
    }
}

#[async_trait]
impl<F, Fut> TokenStore for StoreFn<F>
where
    F: Fn(Token) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Revocation, BoxError>> + Send,
{
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        (self.revoke)(token.clone()).await
    }
}
