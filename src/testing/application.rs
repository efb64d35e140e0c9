//! The application around a store, which logs people in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::{BoxError, Rotation, SessionStore};
use crate::token::Token;

/// The login and the refresh of the application that uses a store.
///
/// An error of any method is a broken promise in the [`Report`](super::Report).
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// Opens a session for this subject and returns its token.
    ///
    /// # Errors
    ///
    /// An error if the login fails.
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError>;

    /// Whether a refresh would accept this token.
    ///
    /// # Errors
    ///
    /// An error if the check fails.
    async fn accepts(&self, token: &Token) -> Result<bool, BoxError>;

    /// Replaces the token, as a refresh does. Returns the next token, or `None` if the refresh is rejected.
    ///
    /// By default each refresh is rejected. Keep the default if your application does not rotate tokens.
    ///
    /// # Errors
    ///
    /// An error if the refresh fails.
    async fn refresh(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        let _ = token;
        Ok(None)
    }

    /// How long after its refresh a token may be refreshed a second time. Zero by default.
    ///
    /// See [`SessionStore::reuse_leeway`].
    fn reuse_leeway(&self) -> Duration {
        Duration::ZERO
    }
}

/// The application of a [`SessionStore`], which opens and rotates sessions itself.
pub(super) struct Sessions(pub(super) Arc<dyn SessionStore>);

#[async_trait]
impl Application for Sessions {
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
        let token = Token::generate()?;
        self.0.open(subject, &token).await?;
        Ok(token)
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        Ok(self.0.find(token).await?.is_some())
    }

    async fn refresh(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        let next = Token::generate()?;
        Ok(match self.0.rotate(token, &next).await? {
            Rotation::Rotated(_) => Some(next),
            Rotation::Reused(_) | Rotation::Exhausted(_) | Rotation::NotFound => None,
        })
    }

    fn reuse_leeway(&self) -> Duration {
        self.0.reuse_leeway()
    }
}
