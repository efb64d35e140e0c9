//! The store of refresh tokens: what a logout asks of it, and what a login and a refresh do.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use smallvec::SmallVec;

use crate::Token;

#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

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
/// # }
///
/// struct Sessions {
///     pool: Pool,
/// }
///
/// #[async_trait]
/// impl TokenStore for Sessions {
///     async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
///         let deleted = self
///             .pool
///             .execute("delete from sessions where token = $1", token.expose())
///             .await?;
///         Ok(if deleted == 0 {
///             Revocation::NotFound
///         } else {
///             Revocation::Revoked
///         })
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

    #[cfg(any(feature = "memory", feature = "sqlite"))]
    fn generate() -> Result<Self, BoxError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self::new(hex(&random)))
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
        [id].into_iter().collect()
    }
}

impl FromIterator<SessionId> for Sessions {
    fn from_iter<I: IntoIterator<Item = SessionId>>(ids: I) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl Sessions {
    pub(crate) fn append(&mut self, other: Self) {
        // Nearly always there is one token, and its list is taken as it is.
        if self.0.is_empty() {
            *self = other;
        } else {
            self.0.extend(other.0);
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

/// What a login and a refresh handler need beside [`TokenStore`]: sessions that are opened for a
/// subject, and refresh tokens that are rotated.
///
/// # Contract
///
/// A session has one live token and a family of rotated ones, of which a store remembers the last
/// thousand at least. It lives for the store's lifetime after it was opened or last rotated. [`rotate`](Self::rotate) is atomic against
/// [`revoke`](TokenStore::revoke): after a revoke has returned, no rotation of that family
/// succeeds, and none that succeeded earlier leaves a live token.
#[async_trait]
pub trait SessionStore: TokenStore {
    /// Opens a session for a subject, with a token that is new to the store: one of
    /// [`Token::generate`], say.
    ///
    /// # Errors
    ///
    /// If the token is known already, or the store fails.
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError>;

    /// Replaces the live token of a session by `next`, and renews the session's lifetime.
    ///
    /// The presented token is dead afterwards. Presented again it ends the session, for one of the
    /// two who hold it stole it (RFC 9700 §4.14.2).
    ///
    /// # Errors
    ///
    /// If `next` is known already, or the store fails. The presented token is then as it was.
    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError>;

    /// The session whose live token this is.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError>;

    /// The live session of this id: what a handler asks that is shown an access token, since the
    /// token itself does not know that its session was ended.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError>;

    /// Drops the sessions that have expired, and says how many.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn drop_expired(&self) -> Result<u64, BoxError>;
}

/// A session that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub subject: String,
    /// When it ends unless it is rotated before.
    pub expires_at: SystemTime,
}

impl Session {
    /// A session, as a store of your own returns it.
    pub fn new(id: SessionId, subject: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            id,
            subject: subject.into(),
            expires_at,
        }
    }
}

/// What [`SessionStore::rotate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The presented token is dead, and the next one alive.
    Rotated(Session),
    /// The presented token had been rotated before: its session was ended.
    Reused(SessionId),
    /// The presented token is unknown, expired or revoked.
    NotFound,
}

/// When a session that is opened or rotated at `now` ends. A lifetime beyond a century is a century,
/// lest the sum be more than a clock can show.
#[cfg(any(feature = "memory", feature = "sqlite"))]
fn expiry(now: SystemTime, lifetime: std::time::Duration) -> SystemTime {
    const CENTURY: std::time::Duration = std::time::Duration::from_hours(100 * 365 * 24);
    now + lifetime.min(CENTURY)
}

/// How long a session lives unless the store is told otherwise: 30 days.
#[cfg(any(feature = "memory", feature = "sqlite"))]
const DEFAULT_LIFETIME: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// How many rotated tokens of a session are remembered. Without a bound, a client that refreshes in
/// a loop fills the store.
#[cfg(any(feature = "memory", feature = "sqlite"))]
const MAX_ROTATED: u16 = 1000;

#[cfg(any(feature = "memory", feature = "sqlite"))]
const TOKEN_TAKEN: &str = "the token is known already: open and rotate need one of their own, \
                           such as Token::generate gives";

/// Lower-case hexadecimal digits.
#[cfg(any(feature = "memory", feature = "sqlite"))]
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
