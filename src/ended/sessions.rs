//! The sessions that have ended, as one node knows them.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use tokio::sync::{Notify, watch};

use super::builder::EndedSessionsBuilder;
use super::clock::{self, millis};
use super::open::{Open, SessionEnded};
use super::refused::Refused;
use super::set::{MAX_STAY, Set};
use crate::store::SessionId;

/// How many ticks a session stays at most that has just ended. The rest of [`MAX_STAY`] is for rounding up.
const TICKS_IN_RETENTION: u64 = MAX_STAY as u64 - 24;

/// The sessions that have ended, for as long as an access token of theirs may live. Clones share their sessions.
///
/// A node follows the [`EndedLog`](super::EndedLog) of its store, and looks each session up in its own memory. A
/// look-up waits for nobody, and allocates nothing.
///
/// # What a check says
///
/// A check answers only if the node has read the whole log within
/// [`max_staleness`](EndedSessionsBuilder::max_staleness), counted from the begin of the read by the monotonic
/// clock of the node. Otherwise the check is [`Refused::Stale`]: also before the first read, after the store has
/// been away for longer, and after the node was stopped and continued. On Linux, the clock moves in steps of at most
/// 10 ms, and stands still while a virtual machine is suspended. Such a machine is stale one `max_staleness` after it
/// continues.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::routing::get;
/// use axum::Router;
/// use tower_logout::ended::EndedSessions;
/// use tower_logout::require::RequireSessionLayer;
/// use tower_logout::{LogoutLayer, MemoryStore};
///
/// /// The claims of your access token, which your middleware adds to the extensions of the request.
/// #[derive(Clone)]
/// struct Claims {
///     sid: String,
/// }
///
/// let store = MemoryStore::new();
/// let (ended, following) = EndedSessions::builder().follow(store.ended_log());
/// tokio::spawn(following);
/// ended.ready().await;
///
/// let app: Router = Router::new()
///     .route("/me", get(|| async { "me" }))
///     .layer(RequireSessionLayer::new(&ended, |claims: &Claims| &claims.sid))
///     // .layer(your middleware that verifies the token)
///     .layer(LogoutLayer::builder(store).ended(&ended).build()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EndedSessions(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) set: Set,
    /// A hash that many ids share would refuse live sessions, and never let an ended one pass. Clients do not
    /// choose the ids.
    pub(super) hasher: RandomState,
    /// In milliseconds.
    pub(super) tick: u64,
    /// In milliseconds.
    pub(super) max_staleness: u64,
    /// When the last complete read began, by [`clock::now`]. Zero if there was none.
    pub(super) read_at: AtomicU64,
    /// How many reads have begun.
    pub(super) begun: AtomicU64,
    /// The number of the last complete read.
    pub(super) completed: watch::Receiver<u64>,
    pub(super) wanted: Notify,
    pub(super) open: Arc<Open>,
    pub(super) was_stale: AtomicBool,
}

impl EndedSessions {
    /// Creates a builder.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// ```
    pub fn builder() -> EndedSessionsBuilder {
        EndedSessionsBuilder::default()
    }

    pub(super) fn new(
        max_staleness: Duration,
        retention: Duration,
        completed: watch::Receiver<u64>,
    ) -> Self {
        Self(Arc::new(Inner {
            set: Set::new(),
            hasher: RandomState::default(),
            tick: millis(retention).div_ceil(TICKS_IN_RETENTION).max(1),
            max_staleness: millis(max_staleness),
            read_at: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            completed,
            wanted: Notify::new(),
            open: Arc::default(),
            was_stale: AtomicBool::new(false),
        }))
    }

    /// Checks that the session with this id has not ended. Needs no layer, for example in an extractor.
    ///
    /// Check only an id from a verified token.
    ///
    /// # Errors
    ///
    /// [`Refused::Ended`], or [`Refused::Stale`] if this node cannot tell.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// use tower_logout::ended::{EndedSessions, Refused};
    ///
    /// let (ended, _following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// // The log has not been read.
    /// assert_eq!(ended.check("1f0c"), Err(Refused::Stale));
    /// ```
    #[inline]
    pub fn check(&self, session_id: &str) -> Result<(), Refused> {
        let inner = &*self.0;
        // First, so that the set has what the read found that made the node fresh.
        let is_fresh = self.is_fresh();
        if inner.set.contains(inner.hasher.hash_one(session_id)) {
            return Err(Refused::Ended);
        }
        if !is_fresh {
            return Err(self.stale());
        }
        Ok(())
    }

    /// Whether the node has read the whole log within
    /// [`max_staleness`](EndedSessionsBuilder::max_staleness). Suits a readiness probe.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        let read_at = self.0.read_at.load(Ordering::Acquire);
        read_at != 0 && clock::now().saturating_sub(read_at) <= self.0.max_staleness
    }

    /// How long ago the last complete read of the log began. `None` before the first one.
    pub fn age(&self) -> Option<Duration> {
        let read_at = self.0.read_at.load(Ordering::Acquire);
        (read_at != 0).then(|| Duration::from_millis(clock::now().saturating_sub(read_at)))
    }

    /// How many ended sessions this node knows, those included whose access tokens have just expired.
    pub fn len(&self) -> usize {
        self.0.set.len()
    }

    /// Whether this node knows no ended session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the log was read for the first time.
    pub async fn ready(&self) {
        let mut completed = self.0.completed.clone();
        if completed.wait_for(|read| *read > 0).await.is_err() {
            // Nobody reads the log any more, so that the node is never ready.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a read of the whole log that begins after this call. All calls that wait share one read.
    ///
    /// A logout that finds its session ended already waits here: another node may have ended the session, and
    /// this node refuses its access tokens before the answer.
    ///
    /// # Errors
    ///
    /// [`Refused::Stale`] if nobody reads the log any more.
    pub async fn catch_up(&self) -> Result<(), Refused> {
        let begun = self.0.begun.load(Ordering::SeqCst);
        let mut completed = self.0.completed.clone();
        self.0.wanted.notify_one();
        match completed.wait_for(|read| *read > begun).await {
            Ok(_) => Ok(()),
            Err(_closed) => Err(self.stale()),
        }
    }

    /// Ends a session on this node.
    ///
    /// [`LogoutLayerBuilder::ended`](crate::builder::LogoutLayerBuilder::ended) does so for each logout. Call the
    /// method where your own code ends a session, such as after
    /// [`Rotation::Reused`](crate::store::Rotation::Reused), or where a message bus of your own tells of an end.
    /// The log alone decides whether the node is fresh.
    pub fn end(&self, session: &SessionId) {
        let matters = Duration::from_millis(self.0.tick.saturating_mul(TICKS_IN_RETENTION));
        self.0.end(&[(session.clone(), matters)]);
    }

    /// The signal of the end of a session. A signal that nobody holds any more leaves nothing behind.
    ///
    /// [`RequireSessionLayer::end_streams`](crate::require::RequireSessionLayer::end_streams) adds the signal to the
    /// extensions of each request.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    /// use tower_logout::ended::EndedSessions;
    /// use tower_logout::store::SessionId;
    ///
    /// let (ended, _following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// let signal = ended.watch("1f0c");
    /// ended.end(&SessionId::new("1f0c"));
    /// assert!(signal.is_ended());
    /// ```
    pub fn watch(&self, session_id: &str) -> SessionEnded {
        let hash = self.0.hasher.hash_one(session_id);
        let signal = self.0.open.add(hash);
        // The session may have ended between its check and here.
        if self.0.set.contains(hash) {
            signal.end();
        }
        signal
    }

    /// Counts as an error once, until the node is fresh again.
    #[cold]
    fn stale(&self) -> Refused {
        let was_stale = self.0.was_stale.swap(true, Ordering::Relaxed);
        if !was_stale {
            super::observe::stale(self.age());
        }
        Refused::Stale
    }
}

impl Inner {
    pub(super) fn now_in_ticks(&self) -> u64 {
        clock::now() / self.tick
    }

    pub(super) fn end(&self, ended: &[(SessionId, Duration)]) {
        let entries = ended.iter().map(|(session, matters)| {
            let stay = millis(*matters) / self.tick + 1;
            let hash = self.hasher.hash_one(session.as_str());
            (hash, u16::try_from(stay).unwrap_or(MAX_STAY))
        });
        let mut entries: Vec<_> = entries.collect();
        self.set.insert(&mut entries, self.now_in_ticks());
        for (hash, _) in entries {
            self.open.end(hash);
        }
    }
}

impl fmt::Debug for EndedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedSessions")
            .field("len", &self.len())
            .field("age", &self.age())
            .finish_non_exhaustive()
    }
}
