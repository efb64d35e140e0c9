//! Sessions: login, refresh and expiry.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::{BoxError, SessionId, TokenStore};
use crate::token::Token;

/// A [`TokenStore`] that can open sessions and rotate refresh tokens.
///
/// Your login handler calls [`open`](Self::open), and your refresh handler calls [`rotate`](Self::rotate).
/// The layer calls only the methods of [`TokenStore`] and [`SubjectStore`](super::SubjectStore).
///
/// # Requirements
///
/// - A session has a live token and a family of rotated tokens. The session expires a fixed lifetime
///   after it was opened or last rotated.
/// - `rotate` is atomic with regard to [`revoke`](TokenStore::revoke). After `revoke` has returned, no
///   rotation of the family succeeds, and no earlier rotation leaves a live token.
/// - A store remembers a rotated token until the token's own expiry, however many tokens followed.
///   Otherwise a thief could rotate until the store forgets the token of the victim, and the logout of the
///   victim would end nothing.
/// - The number of rotations of a session is limited, because a client can refresh in a loop. One more
///   rotation ends the session ([`Rotation::Exhausted`]).
/// - Within the [`reuse_leeway`](Self::reuse_leeway), the direct predecessor of the live token can be
///   rotated a second time. Both successors are live until one of them is rotated. A logout with any of the
///   three tokens ends the session.
#[async_trait]
pub trait SessionStore: TokenStore {
    /// Opens a session for a subject, with a new token.
    ///
    /// Use [`Token::generate`] for the token.
    ///
    /// # Errors
    ///
    /// [`TokenTaken`] if the store already knows the token, and other errors if the store fails.
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError>;

    /// Replaces the live token of a session with `next`, and renews the lifetime of the session.
    ///
    /// The presented token is dead afterwards. If a client presents the token again after the
    /// [`reuse_leeway`](Self::reuse_leeway), the session ends, because one of two clients has stolen the
    /// token (RFC 9700 §4.14.2).
    ///
    /// # Errors
    ///
    /// [`TokenTaken`] if the store already knows `next`, and other errors if the store fails. After an
    /// error the presented token is unchanged, unless the rotation succeeded and only the answer was lost.
    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError>;

    /// How long after its rotation the direct predecessor of the live token may be rotated a second time.
    /// Zero by default.
    ///
    /// With zero, each further use of a rotated token is reuse. Stores with a
    /// [`SessionPolicy`](super::SessionPolicy) return its leeway, which is 10 seconds by default.
    fn reuse_leeway(&self) -> Duration {
        Duration::ZERO
    }

    /// Finds the session of this live token. A rotated token finds no session.
    ///
    /// # Errors
    ///
    /// An error if the store fails.
    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError>;

    /// Finds the live session with this id.
    ///
    /// A stateless access token, such as a JWT, stays valid until it expires. A handler can look up the
    /// session of the token here to see a logout at once.
    ///
    /// # Errors
    ///
    /// An error if the store fails.
    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError>;

    /// Deletes up to `at_most` expired sessions, the oldest first, and returns how many were deleted.
    ///
    /// If fewer than `at_most` were deleted, none is left. An expired session is dead without this call,
    /// which only frees space. Batches of about 1,000 sessions do not delay revocations.
    /// `delete_expired_every` (feature `tokio`) deletes on a schedule.
    ///
    /// The default deletes nothing and returns `Ok(0)`, for a store whose server deletes expired sessions.
    ///
    /// # Errors
    ///
    /// An error if the store fails.
    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let _ = at_most;
        Ok(0)
    }
}

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The id of the session.
    pub id: SessionId,
    /// The subject (the user) of the session.
    pub subject: String,
    /// When the session expires, unless its token is rotated before.
    pub expires_at: SystemTime,
}

impl Session {
    /// Creates a session, to return from your own store.
    pub fn new(id: SessionId, subject: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            id,
            subject: subject.into(),
            expires_at,
        }
    }
}

/// The result of [`SessionStore::rotate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The presented token is dead, and the next token is live.
    Rotated(Session),
    /// The presented token had been rotated before, so its session was ended.
    Reused(SessionId),
    /// The session reached the maximum number of rotations, so it was ended.
    Exhausted(SessionId),
    /// The presented token is unknown, expired or revoked.
    NotFound,
}

/// The error of [`open`](SessionStore::open) and [`rotate`](SessionStore::rotate) if the store already
/// knows the new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTaken;

impl fmt::Display for TokenTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the store already knows this token: pass a new token to open and rotate, for example from \
             Token::generate",
        )
    }
}

impl Error for TokenTaken {}

/// Deletes expired sessions in batches, at once and then once per `period`. The future never ends.
///
/// If the store returns an error, `failed` gets the error, and the next period tries again.
///
/// ```
/// # async fn start(store: impl tower_logout::store::SessionStore) {
/// use std::time::Duration;
/// use tower_logout::store::delete_expired_every;
///
/// let housekeeping = delete_expired_every(Duration::from_secs(3600), store, |error| {
///     eprintln!("cannot delete expired sessions: {error}");
/// });
/// tokio::spawn(housekeeping);
/// # }
/// ```
///
/// # Panics
///
/// Panics if `period` is zero, or if the future is polled outside a tokio runtime with a timer.
#[cfg(feature = "tokio")]
pub async fn delete_expired_every(
    period: Duration,
    store: impl SessionStore,
    failed: impl Fn(BoxError) + Send,
) {
    const BATCH: u32 = 1000;
    const PAUSE: Duration = Duration::from_millis(1);
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        loop {
            match store.delete_expired(BATCH).await {
                // A store in memory never waits, and would keep this thread to itself.
                Ok(BATCH..) => tokio::time::sleep(PAUSE).await,
                Ok(_) => break,
                Err(error) => {
                    failed(error);
                    break;
                }
            }
        }
    }
}

/// Implements the trait for `Arc<T>` and `Box<T>`, including `dyn SessionStore`.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: SessionStore + ?Sized> SessionStore for $pointer<T> {
            async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
                (**self).open(subject, token).await
            }

            async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
                (**self).rotate(presented, next).await
            }

            fn reuse_leeway(&self) -> Duration {
                (**self).reuse_leeway()
            }

            async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
                (**self).find(token).await
            }

            async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
                (**self).find_session(id).await
            }

            async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
                (**self).delete_expired(at_most).await
            }
        }
    )*};
}

forward!(Arc, Box);
