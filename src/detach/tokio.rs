//! With tokio: the timeout, the tasks of detached revocations, and their limit.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::future::{Either, select};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::builder::Limits;

/// The limits and the counters that all logouts of a layer share.
#[derive(Debug)]
pub(crate) struct InFlight {
    limits: Limits,
    count: AtomicUsize,
    detached: AtomicUsize,
    all_ended: Notify,
}

impl InFlight {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            count: AtomicUsize::new(0),
            detached: AtomicUsize::new(0),
            all_ended: Notify::new(),
        }
    }

    /// Returns `None` if the maximum number of revocations is running.
    pub(crate) fn try_begin(self: &Arc<Self>) -> Option<Permit> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(self));
        (before < self.limits.max_in_flight).then_some(permit)
    }

    /// Waits until no detached revocation is running.
    pub(crate) async fn drained(&self) {
        loop {
            let mut all_ended = pin!(self.all_ended.notified());
            // Enabled before the check, so that an end right after the check is not missed.
            all_ended.as_mut().enable();
            if self.detached.load(Ordering::Acquire) == 0 {
                return;
            }
            all_ended.await;
        }
    }
}

/// Held while a revocation is running, in its request or in the background.
pub(crate) struct Permit(Arc<InFlight>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Held while a revocation is running in the background.
struct Detached(Arc<InFlight>);

impl Detached {
    fn new(in_flight: Arc<InFlight>) -> Self {
        in_flight.detached.fetch_add(1, Ordering::Relaxed);
        Self(in_flight)
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if self.0.detached.fetch_sub(1, Ordering::Release) == 1 {
            self.0.all_ended.notify_waiters();
        }
    }
}

/// The runtime of one logout.
pub(crate) struct Runtime {
    /// The runtime of the first pending poll, or of the drop.
    handle: Option<Handle>,
    in_flight: Arc<InFlight>,
    timer: Option<Pin<Box<Sleep>>>,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Runtime {
    pub(crate) fn new(in_flight: &Arc<InFlight>) -> Self {
        Self {
            handle: None,
            in_flight: Arc::clone(in_flight),
            timer: None,
            #[cfg(feature = "tracing")]
            span: if crate::observe::is_traced() {
                tracing::Span::current()
            } else {
                tracing::Span::none()
            },
        }
    }

    fn handle(&mut self) -> Option<&Handle> {
        if self.handle.is_none() {
            self.handle = Handle::try_current().ok();
        }
        self.handle.as_ref()
    }

    pub(crate) fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            let timeout = self.in_flight.limits.timeout;
            let Some(handle) = self.handle() else {
                return Poll::Pending;
            };
            let _context = handle.enter();
            self.timer = Some(Box::pin(tokio::time::sleep(timeout)));
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Finishes an operation in a separate task. `ended` gets the output, or `None` if the operation was
    /// given up.
    pub(crate) fn spawn<F>(
        mut self,
        operation: F,
        ended: impl FnOnce(Option<F::Output>) + Send + 'static,
    ) where
        F: Future + Send + Unpin + 'static,
        F::Output: Send,
    {
        let timeout = self.in_flight.limits.detached_timeout;
        let detached = Detached::new(Arc::clone(&self.in_flight));
        let task = async move {
            let _detached = detached;
            // Panics if the runtime has no timer.
            let sleep = AssertUnwindSafe(|| tokio::time::sleep(timeout));
            match catch_unwind(sleep) {
                Ok(sleep) => match select(operation, Box::pin(sleep)).await {
                    Either::Left((outcome, _)) => ended(Some(outcome)),
                    Either::Right(((), operation)) => {
                        drop(operation);
                        ended(None);
                    }
                },
                Err(_panic) => ended(Some(operation.await)),
            }
        };
        #[cfg(feature = "tracing")]
        let task = tracing::Instrument::instrument(task, self.span.clone());
        if let Some(handle) = self.handle() {
            handle.spawn(task);
        }
    }
}
