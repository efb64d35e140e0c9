//! What a login and a refresh do.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::{BoxError, SessionId, TokenStore};
use crate::Token;

/// What a login and a refresh handler need beside [`TokenStore`]: sessions that are opened for a
/// subject, and refresh tokens that are rotated.
///
/// # Contract
///
/// A session has a live token and a family of rotated ones. It lives for the store's lifetime after it
/// was opened or last rotated. [`rotate`](Self::rotate) is atomic against
/// [`revoke`](TokenStore::revoke): after a revoke has returned, no rotation of that family succeeds,
/// and none that succeeded earlier leaves a live token.
///
/// A rotated token is remembered until it would have expired by itself, by its age and never by the
/// number of tokens that followed. Otherwise a thief rotates until the token of the victim is unknown,
/// and the victim's logout ends nothing. A client that refreshes in a loop is bounded by the number of
/// rotations after which its session ends ([`Rotation::Exhausted`]).
///
/// Within the [`reuse_leeway`](Self::reuse_leeway) the direct predecessor of the live token may be
/// rotated once more: two tabs refresh at the same time, or an answer is lost. Both next tokens are
/// live until one of them is rotated, and a logout by any of the three ends the session.
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
    /// The presented token is dead afterwards. Presented again after the
    /// [`reuse_leeway`](Self::reuse_leeway) it ends the session, for one of the two who hold it stole it
    /// (RFC 9700 §4.14.2).
    ///
    /// # Errors
    ///
    /// If `next` is known already, or the store fails. The presented token is then as it was, unless it
    /// was only the store's answer that got lost.
    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError>;

    /// For how long after its rotation the direct predecessor of the live token may be rotated once
    /// more. Zero by default: to present it is reuse at once.
    fn reuse_leeway(&self) -> Duration {
        Duration::ZERO
    }

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

    /// Drops sessions that have expired, as many as this and the oldest first, and says how many.
    /// Fewer than asked for means that none is left.
    ///
    /// They are dead without it; it makes room. A batch of a thousand or so keeps no revocation
    /// waiting. [`drop_expired_every`] does it on a schedule.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn drop_expired(&self, at_most: u32) -> Result<u32, BoxError>;
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
#[non_exhaustive]
pub enum Rotation {
    /// The presented token is dead, and the next one alive.
    Rotated(Session),
    /// The presented token had been rotated before: its session was ended.
    Reused(SessionId),
    /// The session has been rotated as often as the store allows, and was ended.
    Exhausted(SessionId),
    /// The presented token is unknown, expired or revoked.
    NotFound,
}

/// Drops what has expired, in batches, at once and then every so often, for as long as it is polled.
///
/// A store that fails is tried again the next time, and told to `failed`.
///
/// ```
/// # async fn start(store: impl tower_logout::SessionStore) {
/// use std::time::Duration;
/// use tower_logout::drop_expired_every;
///
/// let housekeeping = drop_expired_every(Duration::from_secs(3600), store, |error| {
///     eprintln!("cannot drop expired sessions: {error}");
/// });
/// tokio::spawn(housekeeping);
/// # }
/// ```
///
/// # Panics
///
/// If the period is zero, or polled outside of a tokio runtime with a timer.
#[cfg(feature = "tokio")]
pub async fn drop_expired_every(
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
            match store.drop_expired(BATCH).await {
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

/// For `Arc` and `Box`, of `dyn SessionStore` too.
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

            async fn drop_expired(&self, at_most: u32) -> Result<u32, BoxError> {
                (**self).drop_expired(at_most).await
            }
        }
    )*};
}

forward!(Arc, Box);
