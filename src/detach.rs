//! A logout under way, which outlives its request and its deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::observe::Observer;
use crate::outcome::Failure;
use crate::runtime::{Background, Runtime};
use crate::{FailureKind, Outcome};

/// Drives the operation of a logout to its outcome, and reports that once.
///
/// The common case costs no task and no timer: the timer starts when the store is pending, and the
/// operation is handed to the runtime when this future is dropped or its deadline passes.
///
/// `R` is what the caller needs after the outcome. All of it is boxed, so that a future that passes
/// is no larger for it.
pub(crate) struct Revoking<R>(Option<Box<State<R>>>);

struct State<R> {
    rest: R,
    observer: Observer,
    runtime: Runtime,
    operation: Operation,
}

type Operation = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl<R> Revoking<R> {
    #[inline]
    pub(crate) fn new(
        operation: impl Future<Output = Outcome> + Send + 'static,
        observer: Observer,
        background: &Arc<Background>,
        rest: R,
    ) -> Self {
        Self(Some(Box::new(State {
            rest,
            observer,
            runtime: Runtime::new(background),
            operation: Box::pin(operation),
        })))
    }
}

impl<R> State<R> {
    /// Lets the operation go on in the background.
    fn detach(self, report: fn(&Observer, &Outcome)) -> R {
        let observer = self.observer;
        self.runtime.spawn(self.operation, move |ended| {
            let outcome = ended.unwrap_or_else(|| failed(FailureKind::GivenUp, &observer));
            report(&observer, &outcome);
        });
        self.rest
    }
}

fn failed(kind: FailureKind, observer: &Observer) -> Outcome {
    Outcome::Failed(Failure::new(kind).of(observer.credentials, observer.scope))
}

impl<R> Future for Revoking<R> {
    type Output = (Outcome, R);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(Outcome, R)> {
        // Taken out while it is polled: should it panic, nobody polls it again.
        let Some(mut state) = self.0.take() else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = state.operation.as_mut().poll(cx) {
            state.observer.report(&outcome);
            return Poll::Ready((outcome, state.rest));
        }
        let state = self.0.insert(state);
        ready!(state.runtime.poll_deadline(cx));
        let outcome = failed(FailureKind::Deadline, &state.observer);
        state.observer.report(&outcome);
        match self.0.take() {
            Some(state) => Poll::Ready((outcome, state.detach(Observer::report_late))),
            None => Poll::Pending,
        }
    }
}

impl<R> Drop for Revoking<R> {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            state.detach(Observer::report);
        }
    }
}
