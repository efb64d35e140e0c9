//! Yields to other tasks, on any executor.

use std::future::poll_fn;
use std::task::Poll;

pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
