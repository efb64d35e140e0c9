//! The check of a request: which session it has, and what the store says.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;

use super::reply::Refusal;
use super::{Head, Settings};
use crate::outcome::{Failure, FailureKind};
use crate::store::{BoxError, Session, SessionId, SessionStore};

/// Names the session of a request.
pub(super) type FindSession = Arc<dyn Fn(&Head<'_>) -> Option<SessionId> + Send + Sync>;

/// The settings of a layer, shared by its services.
pub(super) struct Check<T> {
    store: Arc<T>,
    find: FindSession,
    pub(super) settings: Settings,
}

/// What to do with a request before the store is asked.
pub(super) enum First {
    Pass,
    Refuse(Refusal),
    Ask(SessionId),
}

impl<T> Check<T> {
    pub(super) fn new(store: Arc<T>, find: FindSession, settings: Settings) -> Self {
        Self {
            store,
            find,
            settings,
        }
    }

    pub(super) fn first(&self, head: &Head<'_>) -> First {
        if let Some(id) = (self.find)(head) {
            return First::Ask(id);
        }
        count("no_session");
        if self.settings.optional {
            First::Pass
        } else {
            First::Refuse(Refusal::NoSession)
        }
    }
}

impl<T: SessionStore> Check<T> {
    /// Asks the store. Only a live session passes.
    pub(super) async fn ask(self: Arc<Self>, id: SessionId) -> Result<Session, Refusal> {
        let asking = async { self.store.find_session(&id).await };
        // A panic of the store is a failure of the store.
        let caught = AssertUnwindSafe(asking).catch_unwind();
        let failure = match self.in_time(caught).await {
            Some(Ok(Ok(Some(session)))) => {
                count("live");
                return Ok(session);
            }
            Some(Ok(Ok(None))) => {
                count("ended");
                return Err(Refusal::Ended);
            }
            Some(Ok(Err(error))) => failure_of(error),
            Some(Err(_panic)) => Failure::new(FailureKind::Panic),
            None => Failure::new(FailureKind::TimedOut),
        };
        count("unavailable");
        report(&failure);
        Err(Refusal::Unavailable)
    }

    #[cfg(feature = "tokio")]
    async fn in_time<R>(&self, asking: impl Future<Output = R>) -> Option<R> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Some(asking.await);
        }
        let in_time = tokio::time::timeout(self.settings.timeout, asking).await;
        in_time.ok()
    }

    #[cfg(not(feature = "tokio"))]
    async fn in_time<R>(&self, asking: impl Future<Output = R>) -> Option<R> {
        Some(asking.await)
    }
}

#[cfg(feature = "metrics")]
use crate::metrics::count_check as count;

#[cfg(not(feature = "metrics"))]
fn count(_: &'static str) {}

/// Reads the error. Its `Display` is code of the store, and can panic too.
fn failure_of(error: BoxError) -> Failure {
    let read = AssertUnwindSafe(move || Failure::store(&*error, &[]));
    catch_unwind(read).unwrap_or_else(|_panic| Failure::new(FailureKind::Panic))
}

#[cfg(feature = "tracing")]
fn report(failure: &Failure) {
    tracing::error!(error = %failure, "session check");
}

#[cfg(not(feature = "tracing"))]
fn report(_: &Failure) {}
