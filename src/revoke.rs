//! The operation of a logout: it ends what was presented, whatever becomes of the request.

use std::future::Future;
use std::panic::AssertUnwindSafe;
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
                // Nearly always there is one token, and its list is taken as it is.
                if ended.is_empty() {
                    ended = sessions;
                } else {
                    ended.extend(sessions);
                }
            }
            Ok(Err(error)) => failure = Some(Failure::store(&error, &presented.tokens)),
            Err(_panic) => failure = Some(Failure::panic()),
        }
    }
    match failure {
        Some(failure) => Outcome::Failed(failure),
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

#[cfg(feature = "tokio")]
struct Runtime {
    handle: tokio::runtime::Handle,
    background: Background,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// Drives an operation to its outcome, and reports it once.
///
/// The common case costs no task and no timer: the timer starts when the store is pending, and the
/// operation is handed to the runtime when this future is dropped or its deadline passes.
pub(crate) struct Revoking {
    operation: Option<Operation>,
    observer: Observer,
    #[cfg(feature = "tokio")]
    runtime: Option<Runtime>,
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
            runtime: tokio::runtime::Handle::try_current()
                .ok()
                .map(|handle| Runtime {
                    handle,
                    background: background.clone(),
                    timer: None,
                }),
        }
    }
}

#[cfg(feature = "tokio")]
impl Runtime {
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            let _context = self.handle.enter();
            Box::pin(tokio::time::sleep(self.background.deadline))
        });
        timer.as_mut().poll(cx)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.background.tracker.spawn_on(task, &self.handle);
    }
}

impl Future for Revoking {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let Some(operation) = &mut this.operation else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = operation.as_mut().poll(cx) {
            this.operation = None;
            this.observer.report(&outcome);
            return Poll::Ready(outcome);
        }
        #[cfg(feature = "tokio")]
        if let Some(runtime) = &mut this.runtime
            && runtime.poll_deadline(cx).is_ready()
            && let Some(operation) = this.operation.take()
        {
            let outcome = Outcome::Failed(Failure::deadline());
            this.observer.report(&outcome);
            let observer = this.observer.clone();
            runtime.spawn(async move { observer.report_late(&operation.await) });
            return Poll::Ready(outcome);
        }
        Poll::Pending
    }
}

#[cfg(feature = "tokio")]
impl Drop for Revoking {
    fn drop(&mut self) {
        if let (Some(operation), Some(runtime)) = (self.operation.take(), &self.runtime) {
            let observer = self.observer.clone();
            runtime.spawn(async move { observer.report(&operation.await) });
        }
    }
}
