//! Lets a revocation outlive its request and its timeout.

#[cfg(feature = "tokio")]
mod tokio;
#[cfg(not(feature = "tokio"))]
mod without_tokio;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::observe::Observer;
use crate::outcome::{Failure, FailureKind, Outcome};

#[cfg(feature = "tokio")]
pub(crate) use self::tokio::{InFlight, Permit, Runtime};
#[cfg(not(feature = "tokio"))]
pub(crate) use self::without_tokio::{InFlight, Permit, Runtime};

/// Drives the operation of a logout and reports its outcome.
///
/// The common case needs no task and no timer. The timer starts when the store is pending. The operation
/// becomes a task on the runtime when this value is dropped or when the timeout passes.
pub(crate) struct Detachable(Option<State>);

struct State {
    observer: Observer,
    runtime: Runtime,
    operation: Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

impl Detachable {
    #[inline]
    pub(crate) fn new(
        operation: impl Future<Output = Outcome> + Send + 'static,
        observer: Observer,
        in_flight: &Arc<InFlight>,
    ) -> Self {
        Self(Some(State {
            observer,
            runtime: Runtime::new(in_flight),
            operation: Box::pin(operation),
        }))
    }

    #[inline]
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        // Taken out, so that there is nothing to detach after a panic in `poll`.
        let Some(mut state) = self.0.take() else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = state.operation.as_mut().poll(cx) {
            state.observer.report(&outcome);
            return Poll::Ready(outcome);
        }
        let state = self.0.insert(state);
        ready!(state.runtime.poll_timeout(cx));
        let outcome = failed(FailureKind::TimedOut, &state.observer);
        state.observer.report(&outcome);
        if let Some(state) = self.0.take() {
            state.detach(Observer::report_late);
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Detachable {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            state.detach(Observer::report);
        }
    }
}

impl State {
    fn detach(self, report: fn(&Observer, &Outcome)) {
        let observer = self.observer;
        self.runtime.spawn(self.operation, move |ended| {
            let outcome = ended.unwrap_or_else(|| failed(FailureKind::GivenUp, &observer));
            report(&observer, &outcome);
        });
    }
}

fn failed(kind: FailureKind, observer: &Observer) -> Outcome {
    Outcome::Failed(Failure::new(kind).in_logout(observer.token_sources, observer.scope))
}
