//! What the reader of a log tells the ended sessions of a node.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::clock;
use super::observe;
use super::sessions::EndedSessions;
use crate::store::SessionId;

/// What [`Following`](super::Following) holds of the sessions that it follows.
pub(super) struct Reader {
    sessions: EndedSessions,
    completed: watch::Sender<u64>,
    pub(super) keeps_streams: bool,
    /// In milliseconds.
    retention: u64,
    /// When the node started, by [`clock::now`].
    started: u64,
}

/// A read that has begun.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    number: u64,
    at: u64,
}

impl Reader {
    pub(super) fn new(max_staleness: Duration, retention: Duration, keeps_streams: bool) -> Self {
        let (completed, receiver) = watch::channel(0);
        Self {
            sessions: EndedSessions::new(max_staleness, retention, receiver),
            completed,
            keeps_streams,
            retention: clock::millis(retention),
            started: clock::now(),
        }
    }

    /// A read begins.
    pub(super) fn begin(&self) -> Begun {
        let inner = &*self.sessions.0;
        Begun {
            // Before the number, so that a read never counts as later than it was.
            at: clock::now(),
            number: inner.begun.fetch_add(1, Ordering::SeqCst) + 1,
        }
    }

    pub(super) fn add(&self, ended: &[(SessionId, Duration)]) {
        self.sessions.0.end(ended);
    }

    /// All that was committed when the read began is known.
    pub(super) fn complete(&self, read: Begun) {
        let inner = &*self.sessions.0;
        // Zero if there was none.
        let last = inner.read_at.load(Ordering::Relaxed).max(self.started);
        if read.at.saturating_sub(last) > self.retention {
            // The log may have forgotten the end of any session of which something is open.
            self.end_share(1.0);
        }
        inner.read_at.store(read.at, Ordering::Release);
        inner.was_stale.store(false, Ordering::Relaxed);
        self.completed.send_replace(read.number);
    }

    /// Removes sessions whose access tokens have expired.
    pub(super) fn sweep(&self) {
        let inner = &*self.sessions.0;
        inner.set.sweep(inner.now_in_ticks());
    }

    pub(super) fn sessions(&self) -> &EndedSessions {
        &self.sessions
    }

    /// How long the node stays fresh without a read, and zero if the node is stale.
    pub(super) fn fresh_for(&self) -> Duration {
        // One more, because a node is stale after `max_staleness`, and not at its end.
        let stale_after = Duration::from_millis(self.sessions.0.max_staleness.saturating_add(1));
        let age = self.sessions.age();
        age.map_or(Duration::ZERO, |age| stale_after.saturating_sub(age))
    }

    /// Ends what is open of a share of the sessions, from 0 to 1.
    pub(super) fn end_share(&self, share: f64) {
        self.sessions.0.open.end_share(share);
    }

    /// Resolves when a logout waits for a read.
    pub(super) async fn wanted(&self) {
        self.sessions.0.wanted.notified().await;
    }
}

/// Nobody reads the log any more.
impl Drop for Reader {
    fn drop(&mut self) {
        // Nothing would end a stream that opened from here on.
        let inner = &*self.sessions.0;
        inner.read_at.store(0, Ordering::Release);
        observe::stopped();
        if !self.keeps_streams {
            self.end_share(1.0);
        }
    }
}
