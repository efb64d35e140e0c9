//! A store that tries again after a transient error.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};

use super::{
    BoxError, Incomplete, Revocation, Rotation, Session, SessionId, SessionStore, SubjectStore,
    TokenStore, Transient,
};
use crate::token::Token;

/// Calls a store again if the error is marked as [`Transient`].
///
/// The stores of this project mark their transient errors. The
/// [timeout](crate::builder::LogoutLayerBuilder::timeout) of the layer includes all attempts. When the timeout
/// passes, the attempts continue in the background.
///
/// [`open`](SessionStore::open) and [`rotate`](SessionStore::rotate) are not repeated. If the answer to a
/// rotation was lost, a second rotation would be reuse and would end the session outside the
/// [leeway](SessionStore::reuse_leeway).
///
/// If the answer to a revocation was lost, the second attempt finds no session. The outcome is then
/// [`Inactive`](crate::outcome::Outcome::Inactive), and the session is not named.
///
/// ```
/// use tower_logout::{LogoutLayer, MemoryStore};
/// use tower_logout::store::RetryStore;
///
/// let layer = LogoutLayer::new(RetryStore::new(MemoryStore::new()));
/// ```
#[derive(Clone, Debug)]
pub struct RetryStore<S> {
    store: S,
    backoff: ExponentialBuilder,
}

impl<S> RetryStore<S> {
    /// Creates a store with three retries. The first delay is 50 milliseconds plus jitter, and each further
    /// delay is twice as long.
    pub fn new(store: S) -> Self {
        Self {
            store,
            backoff: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(50))
                .with_max_times(3)
                .with_jitter(),
        }
    }

    /// Sets how many retries follow the first attempt. 3 by default.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::store::RetryStore;
    /// let store = RetryStore::new(MemoryStore::new()).with_max_retries(5);
    /// ```
    #[must_use]
    pub fn with_max_retries(mut self, retries: usize) -> Self {
        self.backoff = self.backoff.with_max_times(retries);
        self
    }

    /// Sets the delay before the first retry. 50 milliseconds by default.
    ///
    /// A random jitter of up to the same length is added.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::store::RetryStore;
    /// use std::time::Duration;
    ///
    /// let store = RetryStore::new(MemoryStore::new()).with_delay(Duration::from_millis(10));
    /// ```
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.backoff = self.backoff.with_min_delay(delay);
        self
    }

    /// Names the sessions that earlier attempts ended together with the result of the last attempt.
    async fn attempt_to_end<Fut>(&self, call: impl FnMut() -> Fut) -> Result<Revocation, BoxError>
    where
        Fut: Future<Output = Result<Revocation, BoxError>>,
    {
        let mut ended = Revocation::NotFound;
        let last = call
            .retry(self.backoff)
            .sleep(tokio::time::sleep)
            .when(is_transient)
            .notify(|error, _| {
                let before = std::mem::replace(&mut ended, Revocation::NotFound);
                ended = before.and(Incomplete::ended_by(&**error));
            })
            .await;
        Incomplete::both(Ok(ended), last)
    }

    async fn attempt<T, Fut>(&self, call: impl FnMut() -> Fut) -> Result<T, BoxError>
    where
        Fut: Future<Output = Result<T, BoxError>>,
    {
        call.retry(self.backoff)
            .sleep(tokio::time::sleep)
            .when(is_transient)
            .await
    }
}

/// Whether the error or one of its sources is marked.
fn is_transient(error: &BoxError) -> bool {
    let outermost: &(dyn Error + 'static) = &**error;
    std::iter::successors(Some(outermost), |&error| error.source())
        .any(<dyn Error + 'static>::is::<Transient>)
}

#[async_trait]
impl<S: TokenStore> TokenStore for RetryStore<S> {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.attempt_to_end(|| self.store.revoke(token)).await
    }
}

#[async_trait]
impl<S: SubjectStore> SubjectStore for RetryStore<S> {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        self.attempt(|| self.store.subject(token)).await
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        self.attempt_to_end(|| self.store.revoke_subject(subject, keep))
            .await
    }
}

#[async_trait]
impl<S: SessionStore> SessionStore for RetryStore<S> {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.store.open(subject, token).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        self.store.rotate(presented, next).await
    }

    fn reuse_leeway(&self) -> Duration {
        self.store.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        self.attempt(|| self.store.find(token)).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        self.attempt(|| self.store.find_session(id)).await
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        self.attempt(|| self.store.delete_expired(at_most)).await
    }
}
