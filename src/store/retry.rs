//! Another attempt for errors that may not come again.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};

use super::{
    BoxError, Incomplete, Revocation, Rotation, Session, SessionId, SessionStore, SubjectStore,
    TokenStore, Transient,
};
use crate::token::Token;

/// Tries a store again when its error is marked as [`Transient`], as those of our own stores are.
///
/// The attempts are within the layer's [timeout](crate::LogoutLayerBuilder::timeout), and go on in
/// the background when it has passed. [`open`](SessionStore::open) and
/// [`rotate`](SessionStore::rotate) are not tried again: after a rotation whose answer was lost, a second
/// one is reuse, which ends the session unless it is within the
/// [leeway](SessionStore::reuse_leeway).
///
/// Of a revocation whose answer was lost, the second attempt finds nothing: that logout is
/// [`Inactive`](crate::outcome::Outcome::Inactive), and its session is named to nobody.
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
    /// Three more attempts, after 50 milliseconds or so and then twice as long each time.
    pub fn new(store: S) -> Self {
        Self {
            store,
            backoff: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(50))
                .with_max_times(3)
                .with_jitter(),
        }
    }

    /// How many more attempts there are. 3 by default.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::store::RetryStore;
    /// let store = RetryStore::new(MemoryStore::new()).with_max_retries(5);
    /// ```
    #[must_use]
    pub fn with_max_retries(mut self, attempts: usize) -> Self {
        self.backoff = self.backoff.with_max_times(attempts);
        self
    }

    /// How long to wait before the first of them, of which up to as much again is chosen at random.
    /// 50 milliseconds by default.
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

    /// What an earlier attempt has ended is named with what the last one came to.
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

/// Whether an error is marked, or one that it was made of.
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
