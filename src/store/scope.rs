//! Logouts of more than one session.

use std::sync::Arc;

use async_trait::async_trait;

use super::{BoxError, Revocation, TokenStore};
use crate::token::Token;

/// Which sessions of a subject a logout ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The session of the presented token.
    #[default]
    This,
    /// All sessions except the session of the presented token. The cookies stay.
    ///
    /// Only a live token keeps its session. If no presented token is live, the scope becomes
    /// [`All`](Self::All).
    Others,
    /// All sessions, including the session of the presented token.
    All,
}

impl Scope {
    /// The name for logs: `"this"`, `"others"` or `"all"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::This => "this",
            Self::Others => "others",
            Self::All => "all",
        }
    }
}

/// A [`TokenStore`] that knows the subject (the user) of each session.
///
/// A store needs this trait for [`Scope::All`] and [`Scope::Others`]. The store names the subject of the
/// presented token, so no request can choose whose sessions to end. If no presented token names a subject,
/// the answer is a `401`.
///
/// # Requirements
///
/// The requirements of [`TokenStore`] apply to each session of the subject that was open when
/// [`revoke_subject`](Self::revoke_subject) was called. A session that is opened at the same time may end
/// or stay.
#[async_trait]
pub trait SubjectStore: TokenStore {
    /// Returns the subject of the session of this token, or `None` if the token is unknown or expired.
    ///
    /// A rotated token names the subject too, until its session ends.
    ///
    /// # Errors
    ///
    /// An error if the store fails.
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError>;

    /// Ends all sessions of a subject, except the sessions with a live token in `keep`.
    ///
    /// You can also call this method yourself, for example after a change of password.
    ///
    /// A rotated token in `keep` keeps nothing. To present such a token is reuse, so its session ends with
    /// the others. If your store ends the sessions one by one, end that session last, so that the token
    /// still names the subject if the client tries again.
    ///
    /// # Errors
    ///
    /// An error if the store cannot tell that all these sessions have ended. If some have ended, return an
    /// [`Incomplete`](crate::store::Incomplete).
    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError>;
}

/// Implements the trait for `Arc<T>` and `Box<T>`, including `dyn SubjectStore`.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: SubjectStore + ?Sized> SubjectStore for $pointer<T> {
            async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
                (**self).subject(token).await
            }

            async fn revoke_subject(
                &self,
                subject: &str,
                keep: &[Token],
            ) -> Result<Revocation, BoxError> {
                (**self).revoke_subject(subject, keep).await
            }
        }
    )*};
}

forward!(Arc, Box);
