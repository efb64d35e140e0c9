//! A logout under way, which outlives its request and its deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::observe::Observer;
use crate::outcome::Failure;
use crate::runtime::{Background, Runtime};
use crate::{FailureKind, Outcome};

/// Drives the operation of a logout to its outcome, and reports that once.
///
/// The common case costs no task and no timer: the timer starts when the store is pending, and the
/// operation is handed to the runtime when this future is dropped or its deadline passes.
///
/// `R` is what the caller needs after the outcome. All of it is in one box, so that a future that
/// passes is no larger for it.
pub(crate) struct Revoking<R: Send + 'static>(Option<Boxed<R>>);

type Boxed<R> = Pin<Box<State<R, dyn Future<Output = Outcome> + Send>>>;

pin_project! {
    struct State<R, O: ?Sized> {
        rest: Option<R>,
        observer: Observer,
        runtime: Runtime,
        #[pin]
        operation: O,
    }
}

impl<R: Send + 'static> Revoking<R> {
    #[inline]
    pub(crate) fn new(
        operation: impl Future<Output = Outcome> + Send + 'static,
        observer: Observer,
        background: &Arc<Background>,
        rest: R,
    ) -> Self {
        Self(Some(Box::pin(State {
            rest: Some(rest),
            observer,
            runtime: Runtime::new(background),
            operation,
        })))
    }
}

/// Lets the operation go on in the background, and returns what the caller needs.
fn detach<R: Send + 'static>(mut state: Boxed<R>, report: fn(&Observer, &Outcome)) -> Option<R> {
    let this = state.as_mut().project();
    let rest = this.rest.take();
    let observer = this.observer.clone();
    let background = this.runtime.background();
    background.spawn(Detached(state), move |ended| {
        let outcome = ended.unwrap_or_else(|| failed(FailureKind::GivenUp, &observer));
        report(&observer, &outcome);
    });
    rest
}

/// The operation alone.
struct Detached<R>(Boxed<R>);

impl<R> Future for Detached<R> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.0.as_mut().project().operation.poll(cx)
    }
}

fn failed(kind: FailureKind, observer: &Observer) -> Outcome {
    Outcome::Failed(Failure::new(kind).of(observer.credentials, observer.scope))
}

impl<R: Send + 'static> Future for Revoking<R> {
    type Output = (Outcome, R);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(Outcome, R)> {
        // Taken out while it is polled: should it panic, nobody polls it again.
        let Some(mut state) = self.0.take() else {
            return Poll::Pending;
        };
        let this = state.as_mut().project();
        let (outcome, rest) = if let Poll::Ready(outcome) = this.operation.poll(cx) {
            this.observer.report(&outcome);
            (outcome, this.rest.take())
        } else {
            let state = self.0.insert(state);
            ready!(state.as_mut().project().runtime.poll_deadline(cx));
            let outcome = failed(FailureKind::Deadline, &state.observer);
            state.observer.report(&outcome);
            let state = self.0.take();
            (
                outcome,
                state.and_then(|state| detach(state, Observer::report_late)),
            )
        };
        match rest {
            Some(rest) => Poll::Ready((outcome, rest)),
            None => Poll::Pending,
        }
    }
}

impl<R: Send + 'static> Drop for Revoking<R> {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            detach(state, Observer::report);
        }
    }
}
