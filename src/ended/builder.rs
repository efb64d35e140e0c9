//! The builder of the ended sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::EndedLog;
use super::follow::{Follower, Following, OnError};
use super::reader::Reader;
use super::sessions::EndedSessions;
use crate::store::BoxError;

/// Builder of [`EndedSessions`]. Created by [`EndedSessions::builder`].
#[must_use]
#[derive(Clone)]
pub struct EndedSessionsBuilder {
    max_staleness: Duration,
    poll: Option<Duration>,
    keeps_streams: bool,
    on_error: Option<OnError>,
}

impl Default for EndedSessionsBuilder {
    fn default() -> Self {
        Self {
            max_staleness: Duration::from_secs(30),
            poll: None,
            keeps_streams: false,
            on_error: None,
        }
    }
}

impl fmt::Debug for EndedSessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedSessionsBuilder")
            .field("max_staleness", &self.max_staleness)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

impl EndedSessionsBuilder {
    /// Sets how long after its last read of the log a node still answers. 30 seconds by default.
    ///
    /// An ended session is refused on every node after this time at the latest. A longer time lets a node work
    /// through a longer outage of the store. Choose a time above a failover of the store.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let builder = EndedSessions::builder().max_staleness(Duration::from_secs(60));
    /// ```
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = max_staleness;
        self
    }

    /// Sets how long after a read the next one follows, if the log has no news before. The
    /// [`poll`](EndedLog::poll) of the log by default. A quarter of [`max_staleness`](Self::max_staleness) at most.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let builder = EndedSessions::builder().poll(Duration::from_millis(100));
    /// ```
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = Some(poll);
        self
    }

    /// Keeps streams open while the node is stale. By default a stale node ends the streams of all sessions, because
    /// the node does not learn whether a session has ended.
    ///
    /// The streams end one by one, over a tenth of [`max_staleness`](Self::max_staleness), so that their clients do
    /// not all connect again at once.
    ///
    /// A node that could not read for longer than the [`retention`](EndedLog::retention) of the log ends all streams in
    /// any case: the log may have forgotten the end of their sessions.
    ///
    /// ```
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let builder = EndedSessions::builder().keep_streams_when_stale();
    /// ```
    pub fn keep_streams_when_stale(mut self) -> Self {
        self.keeps_streams = true;
        self
    }

    /// Calls this function for each error of the log. None by default.
    ///
    /// With the feature `tracing`, each error is an event as well.
    ///
    /// ```
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let builder = EndedSessions::builder().on_error(|error| eprintln!("{error}"));
    /// ```
    pub fn on_error(mut self, on_error: impl Fn(&BoxError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(on_error));
        self
    }

    /// Creates the sessions, and the future that follows the log. Spawn the future. While nobody polls the
    /// future, the sessions become stale. When the future is dropped, the sessions are stale at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use tower_logout::MemoryStore;
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// tokio::spawn(following);
    /// ended.ready().await;
    /// # }
    /// ```
    pub fn follow(self, log: impl EndedLog) -> (EndedSessions, Following) {
        let reader = Reader::new(self.max_staleness, log.retention(), self.keeps_streams);
        let sessions = reader.sessions().clone();
        let follower = Follower {
            max_staleness: self.max_staleness,
            poll: self
                .poll
                .unwrap_or_else(|| log.poll())
                .min(self.max_staleness / 4),
            on_error: self.on_error,
            log,
            reader,
        };
        (sessions, Following::new(follower))
    }
}
