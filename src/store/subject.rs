//! Logouts that reach further than the session of the presented token.

use std::sync::Arc;

use async_trait::async_trait;

use super::{BoxError, Revocation, TokenStore};
use crate::Token;

/// Which of a subject's sessions a logout ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// That of the presented token.
    #[default]
    This,
    /// All but that of the presented token, which stays as it is, and so do its cookies.
    Others,
    /// All, that of the presented token included.
    All,
}

/// A [`TokenStore`] that knows whose sessions it holds.
///
/// # Contract
///
/// The subject is that of the presented token, as the store knows it: no request says whose sessions
/// it ends. What [`TokenStore`] asks of a session holds for each of those that are in scope and were
/// open when the call began. A login at the same time may be ended, or not.
///
/// A token that is unknown or expired ends nothing: [`Revocation::NotFound`].
#[async_trait]
pub trait SubjectStore: TokenStore {
    /// Ends the subject's sessions that are in scope.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from knowing that the sessions are ended.
    async fn revoke_scope(&self, token: &Token, scope: Scope) -> Result<Revocation, BoxError>;
}

#[async_trait]
impl<T: SubjectStore + ?Sized> SubjectStore for Arc<T> {
    async fn revoke_scope(&self, token: &Token, scope: Scope) -> Result<Revocation, BoxError> {
        (**self).revoke_scope(token, scope).await
    }
}

#[async_trait]
impl<T: SubjectStore + ?Sized> SubjectStore for Box<T> {
    async fn revoke_scope(&self, token: &Token, scope: Scope) -> Result<Revocation, BoxError> {
        (**self).revoke_scope(token, scope).await
    }
}
