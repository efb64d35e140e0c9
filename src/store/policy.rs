//! The lifetime of sessions and the rotation of their tokens.

use std::time::{Duration, SystemTime};

/// The lifetime of the sessions of a [`SessionStore`](super::SessionStore), and the rotation of their
/// tokens.
///
/// Each store of this project takes a policy by `with_policy`.
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
    access_lifetime: Duration,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl SessionPolicy {
    /// Creates a policy with a lifetime of 30 days, a reuse leeway of 10 seconds, 20,000 rotations, and access
    /// tokens of up to a day.
    pub fn new() -> Self {
        Self {
            lifetime: days(30),
            reuse_leeway: Duration::from_secs(10),
            max_rotations: 20_000,
            access_lifetime: days(1),
        }
    }

    /// Sets how long a session lives after it was opened or last rotated. 30 days by default.
    ///
    /// A lifetime of more than 100 years becomes 100 years.
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
        // Without a limit, the addition to a `SystemTime` could panic.
        self.lifetime = lifetime.min(days(100 * 365));
        self
    }

    /// Sets how long after its rotation a token may be rotated a second time. 10 seconds by default.
    ///
    /// Clients need the leeway if two tabs refresh at the same time or an answer is lost. Only the direct
    /// predecessor of the live token has a leeway. Zero turns the leeway off.
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

    /// Sets how many rotated tokens of a session a store remembers. 20,000 by default.
    ///
    /// One more rotation ends the session ([`Rotation::Exhausted`](super::Rotation::Exhausted)). The limit
    /// caps what a client can store by refreshing in a loop. An access token that lives five minutes needs
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

    /// Sets how long an access token lives that does not ask the store, such as a JWT. 1 day by default.
    ///
    /// A store remembers an ended session for this time and 2 minutes, so that every node can refuse the access
    /// tokens of the session ([`ended`](crate::ended)). If several issuers use the store, the longest lifetime
    /// counts. An access token must not outlive its session: sign it with
    /// `exp = min(now + access_lifetime, session.expires_at)`.
    ///
    /// A lifetime that is too short lets an access token come back to life. With zero, no ended session is
    /// remembered.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_access_lifetime(Duration::from_secs(5 * 60));
    /// assert_eq!(policy.ended_retention(), Duration::from_secs(7 * 60));
    /// ```
    #[must_use]
    pub fn with_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_lifetime = lifetime.min(days(100 * 365));
        self
    }

    /// The lifetime of a session. See [`with_lifetime`](Self::with_lifetime).
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The reuse leeway. See [`with_reuse_leeway`](Self::with_reuse_leeway).
    pub fn reuse_leeway(&self) -> Duration {
        self.reuse_leeway
    }

    /// The maximum number of rotations. See [`with_max_rotations`](Self::with_max_rotations).
    pub fn max_rotations(&self) -> u32 {
        self.max_rotations
    }

    /// The lifetime of an access token. See [`with_access_lifetime`](Self::with_access_lifetime).
    pub fn access_lifetime(&self) -> Duration {
        self.access_lifetime
    }

    /// How long a store remembers an ended session: the lifetime of an access token, and 2 minutes for the leeway
    /// of a verifier, for clocks that differ, and for an access token that is signed while its session ends. Zero
    /// if the lifetime is zero.
    pub fn ended_retention(&self) -> Duration {
        if self.access_lifetime.is_zero() {
            return Duration::ZERO;
        }
        self.access_lifetime + ENDED_SLACK
    }

    /// Returns the expiry of a session that is opened or rotated at this time.
    pub fn expires_at(&self, time: SystemTime) -> SystemTime {
        time + self.lifetime
    }
}

/// How much longer than an access token an ended session is remembered.
const ENDED_SLACK: Duration = Duration::from_secs(2 * 60);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}
