//! The stores of sessions and refresh tokens.
//!
//! | trait | what you can do |
//! |---|---|
//! | [`TokenStore`] | log out one session |
//! | [`SubjectStore`] | log out all sessions of a subject, or all others |
//! | [`SessionStore`] | log in and refresh |
//!
//! [`MemoryStore`] implements all three traits. So do the stores of the crates `tower-logout-sqlx` and
//! `tower-logout-redis`. For a table of your own, implement [`TokenStore`]. `testing::Conformance` (feature
//! `testing`) tests a store.
//!
//! [`MigrationStore`] and `RetryStore` (feature `retry`) wrap other stores. [`Transient`] and
//! [`Incomplete`] are errors with which a store tells the layer more about a failure.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::token::Token;

mod incomplete;
mod memory;
mod migration;
mod policy;
mod random;
#[cfg(feature = "retry")]
mod retry;
mod revocation;
mod scope;
mod session;
mod transient;

pub use incomplete::Incomplete;
pub use memory::MemoryStore;
pub use migration::MigrationStore;
pub use policy::SessionPolicy;
pub(crate) use random::random_hex;
#[cfg(feature = "retry")]
pub use retry::RetryStore;
pub use revocation::{Revocation, SessionId, SessionIds};
pub use scope::{Scope, SubjectStore};
#[cfg(feature = "tokio")]
pub use session::delete_expired_every;
pub use session::{Rotation, Session, SessionStore, TokenTaken};
pub use transient::Transient;

pub use tower::BoxError;

/// A store that can end the session of a token.
///
/// # Requirements
///
/// - [`revoke`](Self::revoke) ends the whole **session** of the token. A session has a family of tokens:
///   the live token and the tokens that were rotated before. Any of them ends the session.
/// - After `revoke` has returned `Ok`, no token of the session works, and no refresh in flight brings the
///   session back.
/// - `revoke` is idempotent. If several calls end the same session at once, exactly one of them reports the
///   session.
/// - An unknown, expired or malformed token is [`Revocation::NotFound`], not an error (RFC 7009 §2.2).
/// - An error means that the token may still work.
///
/// **Return `NotFound` only if the store has looked and the token is not there.** A `DELETE` that changed
/// no rows is not enough: row level security, a trigger or a comparison of two character sets can hide a
/// row that still works. If the store cannot tell whether the token is gone, return an error.
///
/// The trait is also implemented for `Arc<T>` and `Box<T>`, including `Arc<dyn TokenStore>`. [`store_fn`]
/// creates a store from a closure.
///
/// # Example
///
/// ```
/// use sha2::{Digest, Sha256};
/// use sqlx::SqlitePool;
/// use tower_logout::{async_trait, BoxError, Revocation, Token, TokenStore};
///
/// struct Sessions(SqlitePool);
///
/// #[async_trait]
/// impl TokenStore for Sessions {
///     async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
///         let digest = Sha256::digest(token.expose()).to_vec();
///         let delete = sqlx::query("DELETE FROM sessions WHERE token_digest = ?").bind(&digest);
///         if delete.execute(&self.0).await?.rows_affected() > 0 {
///             return Ok(Revocation::Revoked);
///         }
///         // Look before you say that there is none: a trigger can keep a row without an error.
///         let select = sqlx::query("SELECT 1 FROM sessions WHERE token_digest = ?").bind(&digest);
///         match select.fetch_optional(&self.0).await? {
///             Some(_) => Err("the session was not deleted".into()),
///             None => Ok(Revocation::NotFound),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Ends the session of the token.
    ///
    /// # Errors
    ///
    /// An error if the store cannot tell that the token is dead. If some sessions have ended already,
    /// return an [`Incomplete`]. The client does not see the error. The operator finds the text in
    /// [`Failure`](crate::outcome::Failure).
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

/// Creates a [`TokenStore`] from a closure.
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

/// Creates a [`TokenStore`] from a closure that gets a clone of a state, for example of a connection pool.
///
/// The example is complete for a table with one row for each session, which no trigger and no policy keeps:
/// see [`Revocation::from_rows`].
///
/// ```
/// use sha2::{Digest, Sha256};
/// use sqlx::SqlitePool;
/// use tower_logout::{LogoutEndpoint, LogoutLayer, Revocation, TokenStore, store_fn_with};
///
/// fn logout(pool: SqlitePool) -> LogoutEndpoint<impl TokenStore> {
///     LogoutLayer::new(store_fn_with(pool, |pool, token| async move {
///         let delete = sqlx::query("DELETE FROM sessions WHERE token_digest = ?");
///         let digest = Sha256::digest(token.expose()).to_vec();
///         let deleted = delete.bind(digest).execute(&pool).await?;
///         Ok(Revocation::from_rows(deleted.rows_affected()))
///     }))
///     .endpoint()
/// }
/// ```
pub fn store_fn_with<S, F, Fut>(
    state: S,
    revoke: F,
) -> StoreFn<impl Fn(Token) -> Fut + Send + Sync + 'static>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, Token) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Revocation, BoxError>> + Send + 'static,
{
    StoreFn {
        revoke: move |token| revoke(state.clone(), token),
    }
}

/// A [`TokenStore`] from a closure. Created by [`store_fn`] and [`store_fn_with`].
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
