//! The store of refresh tokens: what a logout asks of it, and what a login and a refresh do.

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
/// use tower_logout::{async_trait, BoxError, Revocation, Token, TokenStore};
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
    /// it; the operator finds it in [`Failure`](crate::outcome::Failure).
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
