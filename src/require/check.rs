//! The check of a request: which session it has, and what the store says.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use http::{Extensions, Response};

use super::lookup::SessionLookup;
use super::reply::Refusal;
use super::stream::Watching;
use super::{Head, Settings};
#[cfg(feature = "ended")]
use crate::ended;
use crate::in_time::in_time;
use crate::outcome::{Failure, FailureKind};
use crate::reply::ReplyBody;
use crate::store::{BoxError, SessionId};

/// Names the session of a request.
pub(super) type FindSession = Arc<dyn for<'r> Fn(&Head<'r>) -> Option<Cow<'r, str>> + Send + Sync>;

/// The settings of a layer, shared by its services.
pub(super) struct Check<T> {
    store: Option<Arc<T>>,
    find: FindSession,
    settings: Settings,
}

/// The answer to a request that is refused. Boxed, because an answer is large.
pub(super) type Refused = Box<Response<ReplyBody>>;

/// What to do with a request before the store is asked.
pub(super) enum First<T> {
    Pass(Watching),
    Refuse(Refusal),
    Ask(Arc<T>, SessionId, Watching),
}

impl<T> Check<T> {
    pub(super) fn new(store: Option<Arc<T>>, find: FindSession, settings: Settings) -> Self {
        Self {
            store,
            find,
            settings,
        }
    }

    #[inline]
    pub(super) fn first(&self, head: &Head<'_>) -> First<T> {
        let Some(id) = (self.find)(head) else {
            count("no_session");
            return if self.settings.optional {
                First::Pass(Watching::default())
            } else {
                First::Refuse(Refusal::NoSession)
            };
        };
        #[cfg_attr(not(feature = "ended"), allow(unused_mut))]
        let mut watching = Watching::default();
        #[cfg(feature = "ended")]
        if let Some(ended) = &self.settings.ended {
            let checked = ended.sessions.check(&id);
            if checked == Err(ended::Refused::Ended) {
                count("ended");
                return First::Refuse(Refusal::Ended);
            }
            if checked.is_err() && self.store.is_none() {
                count("stale");
                return First::Refuse(Refusal::Unavailable);
            }
            if ended.ends_streams {
                watching = Watching(Some(ended.sessions.watch(&id)));
            }
            if checked.is_ok() {
                count("live");
                return First::Pass(watching);
            }
        }
        match &self.store {
            Some(store) => First::Ask(Arc::clone(store), SessionId::new(id), watching),
            // A layer without a store knows by itself.
            None => First::Refuse(Refusal::Unavailable),
        }
    }

    pub(super) fn refuse(&self, refusal: Refusal, is_grpc: bool) -> Refused {
        Box::new(refusal.reply(is_grpc, &self.settings.removals))
    }
}

impl<T: SessionLookup> Check<T> {
    /// Asks the store, and adds a live session to the extensions of the request. Only a live session passes.
    pub(super) async fn ask(
        self: Arc<Self>,
        store: Arc<T>,
        id: SessionId,
        mut extensions: Extensions,
        is_grpc: bool,
    ) -> Result<Extensions, Refused> {
        match self.look_up(&store, &id).await {
            Ok(session) => {
                extensions.insert(session);
                Ok(extensions)
            }
            Err(refusal) => Err(self.refuse(refusal, is_grpc)),
        }
    }

    async fn look_up(&self, store: &T, id: &SessionId) -> Result<T::Session, Refusal> {
        let asking = async { store.look_up(id).await };
        // A panic of the store is a failure of the store.
        let caught = AssertUnwindSafe(asking).catch_unwind();
        let failure = match in_time(self.settings.timeout, caught).await {
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
