//! The log of the sessions that a store in memory has ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::state::State;
use crate::ended::{Cursor, EndedLog, Page};
use crate::store::{BoxError, SessionId};

/// How many entries that nobody needs go with each entry that comes.
const FORGOTTEN_AT_ONCE: usize = 2;

/// How many entries a page has at most.
const PAGE: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Mutex<Entries>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    /// The position of the first entry.
    first: u64,
    ended: VecDeque<(SessionId, Instant)>,
}

impl Log {
    /// Adds a session. The caller holds the lock of the session, so that whoever finds the session ended finds
    /// the entry as well.
    pub(super) fn push(&self, session: SessionId, retention: Duration) {
        if retention.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut entries = self.lock();
        for _ in 0..FORGOTTEN_AT_ONCE {
            entries.forget_first(now, retention);
        }
        entries.ended.push_back((session, now));
        drop(entries);
        self.news.notify_waiters();
    }

    fn read(&self, since: u64, retention: Duration) -> Page {
        let now = Instant::now();
        let mut entries = self.lock();
        while entries.forget_first(now, retention) {}
        let begin = since.saturating_sub(entries.first);
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let begin = if begin > entries.ended.len() {
            0
        } else {
            begin
        };
        let end = entries.ended.len().min(begin + PAGE);
        let ended = entries.ended.range(begin..end);
        let ended = ended
            .map(|(session, at)| (session.clone(), retention.saturating_sub(now - *at)))
            .collect();
        let cursor = Cursor::new((entries.first + end as u64).to_string());
        if end < entries.ended.len() {
            Page::partial(ended, cursor)
        } else {
            Page::new(ended, cursor)
        }
    }

    fn end(&self) -> u64 {
        let entries = self.lock();
        entries.first + entries.ended.len() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Removes the first entry if its time has passed.
    fn forget_first(&mut self, now: Instant, retention: Duration) -> bool {
        let passed = |(_, at): &(SessionId, Instant)| now.duration_since(*at) > retention;
        let forget = self.ended.front().is_some_and(passed);
        if forget {
            self.ended.pop_front();
            self.first += 1;
        }
        forget
    }
}

/// Reads the log of a store.
pub(super) struct Reader {
    state: Arc<State>,
    retention: Duration,
    /// Where the last read ended, for the news.
    read: Mutex<u64>,
}

impl Reader {
    pub(super) fn new(state: Arc<State>, retention: Duration) -> Self {
        Self {
            state,
            retention,
            read: Mutex::default(),
        }
    }

    fn read_until(&self) -> MutexGuard<'_, u64> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EndedLog for Reader {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        // A cursor of another log starts again.
        let since = since.and_then(|cursor| cursor.as_str().parse().ok());
        let since = since.unwrap_or(0);
        let page = self.state.log().read(since, self.retention);
        *self.read_until() = page.cursor.as_str().parse()?;
        Ok(page)
    }

    fn retention(&self) -> Duration {
        self.retention
    }

    async fn news(&self) {
        let log = self.state.log();
        let mut notified = std::pin::pin!(log.news.notified());
        // An entry can come before anybody waits.
        notified.as_mut().enable();
        if *self.read_until() == log.end() {
            notified.await;
        }
    }
}
