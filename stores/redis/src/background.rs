//! Work in the background, of which one run is under way at a time.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit as Permit, Semaphore};

/// Clones share the run.
#[derive(Clone, Debug)]
pub(super) struct Background {
    /// Whoever holds its only permit works.
    working: Arc<Semaphore>,
}

impl Background {
    pub(super) fn new() -> Self {
        Self {
            working: Arc::new(Semaphore::new(1)),
        }
    }

    /// Starts to work, unless the work is under way, and goes on while something is left.
    ///
    /// A caller that finds the permit taken has only left its work, so the holder looks again after the permit is
    /// released.
    pub(super) fn start(
        &self,
        work: impl Fn() -> BoxFuture<'static, ()> + Send + 'static,
        is_left: impl Fn() -> bool + Send + 'static,
    ) {
        let Some(mut permit) = self.permit() else {
            return;
        };
        let background = self.clone();
        tokio::spawn(async move {
            loop {
                work().await;
                drop(permit);
                if !is_left() {
                    return;
                }
                match background.permit() {
                    Some(next) => permit = next,
                    None => return,
                }
            }
        });
    }

    fn permit(&self) -> Option<Permit> {
        Arc::clone(&self.working).try_acquire_owned().ok()
    }
}
