//! The operation of a logout: it ends what was presented, whatever becomes of the request.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;

use crate::credential::Credentials;
use crate::observe::Observer;
use crate::outcome::Failure;
use crate::route::Action;
use crate::runtime::{Background, Runtime};
use crate::store::{Sessions, ended_before};
use crate::{Outcome, Revocation, TokenStore};

/// Ends what all presented tokens stand for. One that fails keeps none of the others from ending.
pub(crate) async fn revoke_all<T: TokenStore>(
    store: &T,
    action: Action<T>,
    presented: &Credentials,
) -> Outcome {
    let mut ended = Sessions::default();
    let mut any_ended = false;
    let mut failure = None;
    for token in &presented.tokens {
        let revoked =
            AssertUnwindSafe(async { (action.revoke)(store, token).await }).catch_unwind();
        match revoked.await {
            Ok(Ok(Revocation::NotFound)) => {}
            Ok(Ok(Revocation::Revoked)) => any_ended = true,
            Ok(Ok(Revocation::Sessions(sessions))) => {
                any_ended = true;
                ended.append(sessions);
            }
            Ok(Err(error)) => {
                // It is the store's code that says what the error is made of, and puts it into words.
                let read = AssertUnwindSafe(move || {
                    let failure = Failure::store(&*error, &presented.tokens);
                    (failure, ended_before(&*error))
                });
                let (cause, before) = catch_unwind(read)
                    .unwrap_or_else(|_panic| (Failure::panic(), Revocation::NotFound));
                failure = Some(cause);
                if let Revocation::Sessions(sessions) = before {
                    ended.append(sessions);
                }
            }
            Err(_panic) => failure = Some(Failure::panic()),
        }
    }
    match failure {
        Some(failure) => Outcome::Failed(failure.after(ended).of(presented.kinds)),
        None if any_ended => Outcome::Revoked {
            sessions: ended,
            credentials: presented.kinds,
        },
        None => Outcome::AlreadyEnded {
            credentials: presented.kinds,
        },
    }
}

/// A logout under way. Drives its operation to the outcome, and reports that once.
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
    pub(crate) fn new(
        operation: impl Future<Output = Outcome> + Send + 'static,
        observer: Observer,
        background: &Background,
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
    fn detach(mut self, report: fn(&Observer, &Outcome)) -> R {
        let (observer, operation) = (self.observer, self.operation);
        self.runtime
            .spawn(async move { report(&observer, &operation.await) });
        self.rest
    }
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
        let outcome = Outcome::Failed(Failure::deadline().of(state.observer.credentials));
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
