//! The operation of a logout: it ends what was presented, whatever becomes of the request.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
#[cfg(feature = "tokio")]
use std::time::Duration;

use futures::FutureExt;

use crate::credential::Credentials;
use crate::observe::Observer;
use crate::outcome::Failure;
use crate::store::Sessions;
use crate::{Outcome, Revocation, TokenStore};

/// A revocation under way.
type Operation = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Ends the sessions of all presented tokens. One that fails keeps none of the others from ending.
pub(crate) async fn revoke_all<T: TokenStore>(store: &T, presented: &Credentials) -> Outcome {
    let mut ended = Sessions::default();
    let mut any_ended = false;
    let mut failure = None;
    for token in &presented.tokens {
        let revoked = AssertUnwindSafe(async { store.revoke(token).await }).catch_unwind();
        match revoked.await {
            Ok(Ok(Revocation::NotFound)) => {}
            Ok(Ok(Revocation::Revoked)) => any_ended = true,
            Ok(Ok(Revocation::Sessions(sessions))) => {
                any_ended = true;
                ended.append(sessions);
            }
            Ok(Err(error)) => {
                // It is the store's code that puts the error into words.
                let words = AssertUnwindSafe(move || Failure::store(&*error, &presented.tokens));
                failure = Some(catch_unwind(words).unwrap_or_else(|_panic| Failure::panic()));
            }
            Err(_panic) => failure = Some(Failure::panic()),
        }
    }
    match failure {
        Some(failure) => Outcome::Failed(failure.after(ended)),
        None if any_ended => Outcome::Revoked(ended),
        None => Outcome::AlreadyEnded,
    }
}

/// Where an operation goes on whose request is gone or out of time.
#[cfg(feature = "tokio")]
#[derive(Clone, Debug)]
pub(crate) struct Background {
    pub(crate) deadline: Duration,
    pub(crate) tracker: tokio_util::task::TaskTracker,
}

/// The tokio runtime of a logout, if there is one.
#[cfg(feature = "tokio")]
struct Runtime {
    /// That of the call, else of the first poll that has one.
    handle: Option<tokio::runtime::Handle>,
    background: Background,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(feature = "tokio")]
impl Runtime {
    fn new(background: &Background) -> Self {
        Self {
            handle: tokio::runtime::Handle::try_current().ok(),
            background: background.clone(),
            timer: None,
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
        }
    }

    fn handle(&mut self) -> Option<&tokio::runtime::Handle> {
        if self.handle.is_none() {
            self.handle = tokio::runtime::Handle::try_current().ok();
        }
        self.handle.as_ref()
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            let deadline = self.background.deadline;
            let Some(handle) = self.handle() else {
                return Poll::Pending;
            };
            let _context = handle.enter();
            self.timer = Some(Box::pin(tokio::time::sleep(deadline)));
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        #[cfg(feature = "tracing")]
        let task = tracing::Instrument::instrument(task, self.span.clone());
        let tracker = self.background.tracker.clone();
        if let Some(handle) = self.handle() {
            tracker.spawn_on(task, handle);
        }
    }
}

/// Drives an operation to its outcome, and reports it once.
///
/// The common case costs no task and no timer: the timer starts when the store is pending, and the
/// operation is handed to the runtime when this future is dropped or its deadline passes.
pub(crate) struct Revoking {
    operation: Option<Operation>,
    observer: Observer,
    #[cfg(feature = "tokio")]
    runtime: Runtime,
}

impl Revoking {
    pub(crate) fn new(
        operation: Operation,
        observer: Observer,
        #[cfg(feature = "tokio")] background: &Background,
    ) -> Self {
        Self {
            operation: Some(operation),
            observer,
            #[cfg(feature = "tokio")]
            runtime: Runtime::new(background),
        }
    }
}

impl Future for Revoking {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        // Taken out while it runs: should it panic, nobody polls it again.
        let Some(mut operation) = this.operation.take() else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = operation.as_mut().poll(cx) {
            this.observer.report(&outcome);
            return Poll::Ready(outcome);
        }
        this.operation = Some(operation);
        #[cfg(feature = "tokio")]
        if this.runtime.poll_deadline(cx).is_ready()
            && let Some(operation) = this.operation.take()
        {
            let outcome = Outcome::Failed(Failure::deadline());
            this.observer.report(&outcome);
            let observer = this.observer.clone();
            this.runtime
                .spawn(async move { observer.report_late(&operation.await) });
            return Poll::Ready(outcome);
        }
        Poll::Pending
    }
}

#[cfg(feature = "tokio")]
impl Drop for Revoking {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            let observer = self.observer.clone();
            self.runtime
                .spawn(async move { observer.report(&operation.await) });
        }
    }
}
