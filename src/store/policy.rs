//! How long sessions live, and how their tokens rotate.

use std::time::{Duration, SystemTime};

/// How long the sessions of a [`SessionStore`](super::SessionStore) live, and how their refresh tokens
/// rotate.
///
/// ```
/// use std::time::Duration;
/// use tower_logout::MemoryStore;
/// use tower_logout::store::SessionPolicy;
///
/// let policy = SessionPolicy::new().with_lifetime(Duration::from_secs(24 * 3600));
/// let store = MemoryStore::new().with_policy(policy);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    lifetime: Duration,
    reuse_leeway: Duration,
    max_rotations: u32,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl SessionPolicy {
    /// A lifetime of 30 days, a reuse leeway of 10 seconds, and 20,000 rotations.
    pub fn new() -> Self {
        Self {
            lifetime: days(30),
            reuse_leeway: Duration::from_secs(10),
            max_rotations: 20_000,
        }
    }

    /// How long a session lives after it was opened or last rotated. 30 days by default. A lifetime of
    /// more than 100 years is 100 years.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_lifetime(Duration::from_secs(3600));
    /// assert_eq!(policy.lifetime(), Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        // A sum beyond the clock's last time would panic.
        self.lifetime = lifetime.min(days(100 * 365));
        self
    }

    /// For how long after its rotation the direct predecessor of the live token may be rotated once
    /// more. Two tabs refresh at the same time, or an answer gets lost. 10 seconds by default. Zero
    /// switches the leeway off.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_reuse_leeway(Duration::ZERO);
    /// ```
    #[must_use]
    pub fn with_reuse_leeway(mut self, leeway: Duration) -> Self {
        self.reuse_leeway = leeway;
        self
    }

    /// How many rotated tokens of a session a store remembers at most. One rotation more ends the
    /// session ([`Rotation::Exhausted`](super::Rotation::Exhausted)). The limit bounds the storage that
    /// a client takes by refreshing in a loop. 20,000 by default; an access token of five minutes takes
    /// 8,640 rotations in 30 days.
    ///
    /// ```
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_max_rotations(50_000);
    /// ```
    #[must_use]
    pub fn with_max_rotations(mut self, rotations: u32) -> Self {
        self.max_rotations = rotations;
        self
    }

    /// See [`with_lifetime`](Self::with_lifetime).
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// See [`with_reuse_leeway`](Self::with_reuse_leeway).
    pub fn reuse_leeway(&self) -> Duration {
        self.reuse_leeway
    }

    /// See [`with_max_rotations`](Self::with_max_rotations).
    pub fn max_rotations(&self) -> u32 {
        self.max_rotations
    }

    /// When a session expires that is opened or rotated at this time.
    pub fn expires_at(&self, time: SystemTime) -> SystemTime {
        time + self.lifetime
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}
