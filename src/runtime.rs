//! Where a revocation goes on whose request is gone or out of time: the tokio runtime, if any.

#[cfg(feature = "tokio")]
pub(crate) use with_tokio::{Background, Permit, Runtime};
#[cfg(not(feature = "tokio"))]
pub(crate) use without::{Background, Permit, Runtime};

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::future::Future;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use futures::future::{Either, select};
    use tokio::runtime::Handle;
    use tokio::sync::{OwnedSemaphorePermit, Semaphore};
    use tokio::time::Sleep;
    use tokio_util::task::TaskTracker;

    /// Held while a revocation is under way, in a request or behind it.
    pub(crate) struct Permit(OwnedSemaphorePermit);

    impl Permit {
        pub(crate) fn release(self) {
            drop(self.0);
        }
    }

    /// What all logouts of a layer share.
    #[derive(Debug)]
    pub(crate) struct Background {
        deadline: Duration,
        detached_timeout: Duration,
        in_flight: Arc<Semaphore>,
        pub(crate) tracker: TaskTracker,
    }

    impl Background {
        pub(crate) fn new(
            deadline: Duration,
            detached_timeout: Duration,
            max_in_flight: usize,
        ) -> Self {
            let max_in_flight = max_in_flight.min(Semaphore::MAX_PERMITS);
            Self {
                deadline,
                detached_timeout,
                in_flight: Arc::new(Semaphore::new(max_in_flight)),
                tracker: TaskTracker::new(),
            }
        }

        /// `None` if as many revocations are under way as are allowed.
        pub(crate) fn try_begin(&self) -> Option<Permit> {
            let permit = Arc::clone(&self.in_flight).try_acquire_owned().ok()?;
            Some(Permit(permit))
        }
    }

    /// The runtime of one logout.
    pub(crate) struct Runtime {
        /// That of the first poll that is left pending, else of the drop.
        handle: Option<Handle>,
        background: Arc<Background>,
        timer: Option<Pin<Box<Sleep>>>,
        #[cfg(feature = "tracing")]
        span: tracing::Span,
    }

    impl Runtime {
        pub(crate) fn new(background: &Arc<Background>) -> Self {
            Self {
                handle: None,
                background: Arc::clone(background),
                timer: None,
                #[cfg(feature = "tracing")]
                span: tracing::Span::current(),
            }
        }

        fn handle(&mut self) -> Option<&Handle> {
            if self.handle.is_none() {
                self.handle = Handle::try_current().ok();
            }
            self.handle.as_ref()
        }

        pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

        /// Lets an operation end in a task of its own, or give up, and hands on what it came to.
        pub(crate) fn spawn<T: Send + 'static>(
            &mut self,
            operation: Pin<Box<dyn Future<Output = T> + Send>>,
            ended: impl FnOnce(Option<T>) + Send + 'static,
        ) {
            let timeout = self.background.detached_timeout;
            let task = async move {
                // A runtime may have no timer.
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
            let tracker = self.background.tracker.clone();
            if let Some(handle) = self.handle() {
                tracker.spawn_on(task, handle);
            }
        }
    }
}

/// Nowhere: a revocation ends with its request, and takes the time that it takes.
#[cfg(not(feature = "tokio"))]
mod without {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    pub(crate) struct Permit;

    #[allow(clippy::unused_self)]
    impl Permit {
        pub(crate) fn release(self) {}
    }

    #[derive(Debug)]
    pub(crate) struct Background;

    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    impl Background {
        pub(crate) fn try_begin(&self) -> Option<Permit> {
            Some(Permit)
        }
    }

    pub(crate) struct Runtime;

    #[allow(clippy::unused_self)]
    impl Runtime {
        pub(crate) fn new(_: &Arc<Background>) -> Self {
            Self
        }

        pub(crate) fn poll_deadline(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        pub(crate) fn spawn<T>(
            &mut self,
            _: Pin<Box<dyn Future<Output = T> + Send>>,
            _: impl FnOnce(Option<T>) + Send + 'static,
        ) {
        }
    }
}
