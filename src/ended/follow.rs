//! Follows a log.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::time::error::Elapsed;

use super::observe;
use super::reader::{Begun, Reader};
use super::{Cursor, EndedLog};
use crate::store::BoxError;

pub(super) type OnError = Arc<dyn Fn(&BoxError) + Send + Sync>;

/// Follows a log for as long as the future is polled. Created by
/// [`EndedSessionsBuilder::follow`](crate::ended::EndedSessionsBuilder::follow).
///
/// The future never ends. Errors and panics of the log do not end it.
///
/// # Panics
///
/// Panics if the future is polled outside a tokio runtime with a timer.
#[must_use = "nothing follows the log until the future is spawned"]
pub struct Following(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Following {
    pub(super) fn new(follower: Follower<impl EndedLog>) -> Self {
        Self(Box::pin(async move {
            let streams = follower.end_stale_streams();
            futures_util::future::join(follower.run(), streams).await;
        }))
    }
}

impl Future for Following {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}

pub(super) struct Follower<L> {
    pub(super) log: L,
    pub(super) reader: Reader,
    pub(super) max_staleness: Duration,
    pub(super) poll: Duration,
    pub(super) on_error: Option<OnError>,
}

/// Where a reader is in a log.
#[derive(Default)]
struct Place {
    cursor: Option<Cursor>,
    /// A read of which some pages are missing. The next attempt goes on after the pages that came, and says nothing
    /// of what was committed after the first one.
    unfinished: Option<Begun>,
}

impl<L: EndedLog> Follower<L> {
    async fn run(&self) {
        let mut place = Place::default();
        let mut delays = delays();
        loop {
            let read = AssertUnwindSafe(self.read(&mut place)).catch_unwind();
            let error = match read.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(_panic) => Some("the log of ended sessions panicked".into()),
            };
            self.reader.sweep();
            observe::read(self.reader.sessions());
            match error {
                None => {
                    delays = self::delays();
                    // A read of many pages may have taken too long.
                    if self.reader.sessions().is_fresh() {
                        self.wait().await;
                    }
                }
                Some(error) => {
                    self.report(&error);
                    // The backoff has no end.
                    tokio::time::sleep(delays.next().unwrap_or(MAX_DELAY)).await;
                }
            }
        }
    }

    /// Ends the streams of a stale node, one after the other. Runs beside the reads, because a read can hang.
    async fn end_stale_streams(&self) {
        if self.reader.keeps_streams {
            return;
        }
        let over = self.max_staleness / 10;
        let mut stale_since = None;
        loop {
            let fresh_for = self.reader.fresh_for();
            if !fresh_for.is_zero() {
                stale_since = None;
                tokio::time::sleep(fresh_for).await;
                continue;
            }
            let since = *stale_since.get_or_insert_with(Instant::now);
            self.reader
                .end_share(since.elapsed().as_secs_f64() / over.as_secs_f64());
            tokio::time::sleep((over / 50).max(Duration::from_millis(1))).await;
        }
    }

    /// Waits for a page, and reports meanwhile how the age grows.
    async fn in_time<T>(&self, page: impl Future<Output = T>) -> Result<T, Elapsed> {
        let report = async {
            loop {
                tokio::time::sleep(REPORT).await;
                observe::read(self.reader.sessions());
            }
        };
        // Half of the time, so that a read that hangs leaves time for another one.
        let page = tokio::time::timeout(self.max_staleness / 2, page);
        let (page, report) = (std::pin::pin!(page), std::pin::pin!(report));
        match futures_util::future::select(page, report).await {
            Either::Left((page, _)) => page,
            Either::Right((never, _)) => never,
        }
    }

    /// Reads all that was committed before the read began.
    async fn read(&self, place: &mut Place) -> Result<(), BoxError> {
        if self.log.retention().is_zero() {
            return Err(
                "the log of ended sessions remembers nothing: set an access lifetime".into(),
            );
        }
        let begun = place.unfinished.unwrap_or_else(|| self.reader.begin());
        loop {
            let page = self.in_time(self.log.read(place.cursor.as_ref())).await;
            let page =
                page.map_err(|_elapsed| "the log of ended sessions did not answer in time")??;
            self.reader.add(&page.ended);
            place.cursor = Some(page.cursor);
            if page.is_complete {
                place.unfinished = None;
                self.reader.complete(begun);
                return Ok(());
            }
            place.unfinished = Some(begun);
        }
    }

    /// Waits until there may be something to read.
    async fn wait(&self) {
        let news = AssertUnwindSafe(async { self.log.news().await }).catch_unwind();
        let news = async {
            if news.await.is_err() {
                // A log whose news panic is polled.
                std::future::pending::<()>().await;
            }
        };
        let (news, wanted) = (std::pin::pin!(news), std::pin::pin!(self.reader.wanted()));
        let either = futures_util::future::select(news, wanted);
        // Without an answer in time, the next read is due.
        let _ = tokio::time::timeout(self.poll, either).await;
    }

    fn report(&self, error: &BoxError) {
        observe::failed(error);
        if let Some(on_error) = &self.on_error {
            // A panic of the function must not end the following.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| on_error(error)));
        }
    }
}

/// How often a read that takes long is reported.
const REPORT: Duration = Duration::from_secs(1);

const MAX_DELAY: Duration = Duration::from_secs(2);

/// The delays between the attempts to read from a log that fails.
fn delays() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(MAX_DELAY)
        .without_max_times()
        .with_jitter()
        .build()
}
