//! Where a revocation goes on whose request is gone or out of time: the tokio runtime, if any.

#[cfg(feature = "tokio")]
pub(crate) use with_tokio::{Background, Runtime};
#[cfg(not(feature = "tokio"))]
pub(crate) use without::{Background, Runtime};

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::runtime::Handle;
    use tokio::time::Sleep;
    use tokio_util::task::TaskTracker;

    /// What all logouts of a layer share.
    #[derive(Clone, Debug)]
    pub(crate) struct Background {
        pub(crate) deadline: Duration,
        pub(crate) tracker: TaskTracker,
    }

    /// The runtime of one logout.
    pub(crate) struct Runtime {
        /// That of the first poll that is left pending, else of the drop.
        handle: Option<Handle>,
        background: Background,
        timer: Option<Pin<Box<Sleep>>>,
        #[cfg(feature = "tracing")]
        span: tracing::Span,
    }

    impl Runtime {
        pub(crate) fn new(background: &Background) -> Self {
            Self {
                handle: None,
                background: background.clone(),
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

        pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
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
    use std::task::{Context, Poll};

    #[derive(Clone, Debug)]
    pub(crate) struct Background;

    pub(crate) struct Runtime;

    #[allow(clippy::unused_self)]
    impl Runtime {
        pub(crate) fn new(_: &Background) -> Self {
            Self
        }

        pub(crate) fn poll_deadline(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        pub(crate) fn spawn(&mut self, _: impl Future<Output = ()> + Send + 'static) {}
    }
}
