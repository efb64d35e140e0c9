//! Logouts that reach further than the session of the presented token.

use std::sync::Arc;

use async_trait::async_trait;

use super::{BoxError, Revocation, TokenStore};
use crate::token::Token;

/// Which of a subject's sessions a logout ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// That of the presented token.
    #[default]
    This,
    /// All but that of the presented token, which stays as it is, and so do its cookies. Only a live
    /// token keeps its session.
    Others,
    /// All, that of the presented token included.
    All,
}

impl Scope {
    /// A name for logs: `"this"`, `"others"` or `"all"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::This => "this",
            Self::Others => "others",
            Self::All => "all",
        }
    }
}

/// A [`TokenStore`] that knows whose sessions it holds.
///
/// # Contract
///
/// What [`TokenStore`] asks of a session holds for each session of the subject that was open when
/// [`revoke_subject`](Self::revoke_subject) was called. A login at the same time may be ended, or not.
///
/// In a logout, the subject is that of the presented token, as the store knows it: no request says
/// whose sessions it ends. A logout none of whose tokens names a subject is answered with a `401`.
#[async_trait]
pub trait SubjectStore: TokenStore {
    /// Whose session this token belongs to, be it the live one or rotated away. `None` if it is
    /// unknown or expired.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError>;

    /// Ends all sessions of a subject, except for those whose live token is in `keep`. After a change
    /// of password, an application calls it as well.
    ///
    /// A token in `keep` that was rotated away keeps nothing: to present it is reuse, and its session
    /// ends with the others. A store that ends them one after the other ends that one last, so that
    /// the token names the subject for another attempt.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from knowing that the sessions are ended, as an
    /// [`Incomplete`](crate::store::Incomplete) where some were.
    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError>;
}

/// For `Arc` and `Box`, of `dyn SubjectStore` too.
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
