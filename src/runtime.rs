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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use futures::future::{Either, select};
    use tokio::runtime::Handle;
    use tokio::time::Sleep;
    use tokio_util::task::TaskTracker;

    /// What all logouts of a layer share.
    #[derive(Debug)]
    pub(crate) struct Background {
        deadline: Duration,
        detached_timeout: Duration,
        max_in_flight: usize,
        in_flight: AtomicUsize,
        pub(crate) tracker: TaskTracker,
    }

    impl Background {
        pub(crate) fn new(
            deadline: Duration,
            detached_timeout: Duration,
            max_in_flight: usize,
        ) -> Self {
            Self {
                deadline,
                detached_timeout,
                max_in_flight,
                in_flight: AtomicUsize::new(0),
                tracker: TaskTracker::new(),
            }
        }

        /// `None` if as many revocations are under way as are allowed.
        pub(crate) fn try_begin(self: &Arc<Self>) -> Option<Permit> {
            let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
            let permit = Permit(Arc::clone(self));
            (before < self.max_in_flight).then_some(permit)
        }
    }

    /// Held while a revocation is under way, in a request or behind it.
    pub(crate) struct Permit(Arc<Background>);

    impl Drop for Permit {
        fn drop(&mut self) {
            self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
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

        /// Lets an operation end in a task of its own, and hands on what it came to, or that it was given
        /// up.
        pub(crate) fn spawn<F>(
            mut self,
            operation: F,
            ended: impl FnOnce(Option<F::Output>) + Send + 'static,
        ) where
            F: Future + Send + Unpin + 'static,
            F::Output: Send,
        {
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
    use std::sync::Arc;
    use std::task::{Context, Poll};

    pub(crate) struct Permit;

    #[derive(Debug)]
    pub(crate) struct Background;

    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    impl Background {
        pub(crate) fn try_begin(self: &Arc<Self>) -> Option<Permit> {
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

        pub(crate) fn spawn<F: Future>(
            self,
            _: F,
            _: impl FnOnce(Option<F::Output>) + Send + 'static,
        ) {
        }
    }
}
