//! A test suite for stores.
//!
//! [`Conformance`] checks the requirements of [`TokenStore`], [`SubjectStore`] and [`SessionStore`] on a
//! real store, and returns a [`Report`] of each promise.
//!
//! ```
//! use std::time::Duration;
//! use tower_logout::MemoryStore;
//! use tower_logout::store::SessionPolicy;
//! use tower_logout::testing::Conformance;
//!
//! # #[tokio::main]
//! # async fn main() {
//! // A short leeway keeps the suite short, because the suite waits until the leeway has passed.
//! let policy = SessionPolicy::new().with_reuse_leeway(Duration::from_millis(500));
//! let store = MemoryStore::new().with_policy(policy);
//! let report = Conformance::new(store.clone())
//!     .with_subjects()
//!     .with_expiring(store.clone().with_policy(policy.with_lifetime(Duration::ZERO)))
//!     .with_short_lived(store.with_policy(policy.with_lifetime(Duration::from_secs(2))))
//!     .run()
//!     .await
//!     .unwrap();
//! println!("{report}");
//! # }
//! ```
//!
//! For a store that is only a [`TokenStore`], describe your login and your refresh with an [`Application`]:
//!
//! ```
//! use tower_logout::testing::{Application, Conformance};
//! use tower_logout::{async_trait, BoxError, Token};
//! # use tower_logout::MemoryStore;
//! # use tower_logout::store::SessionStore;
//! # #[derive(Clone)]
//! # struct App(MemoryStore);
//!
//! #[async_trait]
//! impl Application for App {
//!     async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
//!         // The code of your login handler.
//! #       let token = Token::generate()?;
//! #       self.0.open(subject, &token).await?;
//! #       Ok(token)
//!     }
//!
//!     async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
//!         // The check at the start of your refresh handler.
//! #       Ok(self.0.find(token).await?.is_some())
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() {
//! # let (store, app) = (MemoryStore::new(), MemoryStore::new());
//! # let app = App(store.clone());
//! Conformance::for_application(store, app).run().await.unwrap();
//! # }
//! ```
//!
//! For a log of your own, pass the log to [`with_ended_log`](Conformance::with_ended_log).
//!
//! Run the suite on a multi-threaded runtime, so that the races use several cores. Give the store a generous timeout:
//! up to 200 calls wait for its connections at once.

mod application;
mod promises;
mod report;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use self::application::Sessions;
use crate::ended::EndedLog;
use crate::store::{BoxError, SessionStore, SubjectStore, TokenStore};

pub use self::application::Application;
pub use self::report::{Report, Verdict};

type Probe =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Vec<u8>, BoxError>> + Send>> + Send>;

/// The suite for one store. Created by [`Conformance::new`] or [`Conformance::for_application`].
#[must_use]
pub struct Conformance<S> {
    store: Arc<S>,
    application: Arc<dyn Application>,
    sessions: Option<Arc<dyn SessionStore>>,
    subjects: Option<Arc<dyn SubjectStore>>,
    expiring: Option<Arc<dyn SessionStore>>,
    short_lived: Option<Arc<dyn SessionStore>>,
    at_rest: Option<Probe>,
    ended_log: Option<Arc<dyn EndedLog>>,
    rounds: usize,
    rotations: usize,
}

impl<S> std::fmt::Debug for Conformance<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conformance").finish_non_exhaustive()
    }
}

impl<S: SessionStore> Conformance<S> {
    /// Creates the suite for a [`SessionStore`].
    pub fn new(store: S) -> Self {
        let store = Arc::new(store);
        let sessions: Arc<dyn SessionStore> = Arc::clone(&store) as _;
        let application = Arc::new(Sessions(Arc::clone(&sessions)));
        Self {
            sessions: Some(sessions),
            ..Self::bare(store, application)
        }
    }

    /// Checks expired sessions on this store, whose sessions expire at once. Not checked by default.
    ///
    /// Pass a store of the same type with a lifetime of zero.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_lifetime(Duration::ZERO);
    /// let suite = Conformance::new(MemoryStore::new())
    ///     .with_expiring(MemoryStore::new().with_policy(policy));
    /// ```
    pub fn with_expiring(mut self, store: S) -> Self {
        self.expiring = Some(Arc::new(store));
        self
    }

    /// Checks on this store how long rotated tokens are known. Not checked by default.
    ///
    /// Pass a store of the same type with a lifetime of about 2 seconds. The suite waits until its sessions
    /// expire.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_lifetime(Duration::from_secs(2));
    /// let suite = Conformance::new(MemoryStore::new())
    ///     .with_short_lived(MemoryStore::new().with_policy(policy));
    /// ```
    pub fn with_short_lived(mut self, store: S) -> Self {
        self.short_lived = Some(Arc::new(store));
        self
    }
}

impl<S: TokenStore> Conformance<S> {
    /// Creates the suite for a [`TokenStore`] and the application that uses the store.
    pub fn for_application(store: S, application: impl Application) -> Self {
        Self::bare(Arc::new(store), Arc::new(application))
    }

    fn bare(store: Arc<S>, application: Arc<dyn Application>) -> Self {
        Self {
            store,
            application,
            sessions: None,
            subjects: None,
            expiring: None,
            short_lived: None,
            at_rest: None,
            ended_log: None,
            rounds: 20,
            rotations: 1100,
        }
    }

    /// Checks the requirements of [`SubjectStore`] as well. Not checked by default.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// let suite = Conformance::new(MemoryStore::new()).with_subjects();
    /// ```
    pub fn with_subjects(mut self) -> Self
    where
        S: SubjectStore,
    {
        self.subjects = Some(Arc::clone(&self.store) as _);
        self
    }

    /// Checks that this dump contains no token in plain text. Not checked by default.
    ///
    /// The closure returns everything that the store has written, for example the database files.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// let suite = Conformance::new(MemoryStore::new())
    ///     .with_at_rest(|| async { Ok(std::fs::read("sessions.db")?) });
    /// ```
    pub fn with_at_rest<F, Fut>(mut self, dump: F) -> Self
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<u8>, BoxError>> + Send + 'static,
    {
        self.at_rest = Some(Box::new(move || Box::pin(dump())));
        self
    }

    /// Checks the requirements of [`EndedLog`] on the log that the store writes. Not checked by default.
    ///
    /// ```
    /// # #[cfg(feature = "ended")] {
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// let store = MemoryStore::new();
    /// let log = store.ended_log();
    /// let suite = Conformance::new(store).with_ended_log(log);
    /// # }
    /// ```
    pub fn with_ended_log(mut self, log: impl EndedLog) -> Self {
        self.ended_log = Some(Arc::new(log));
        self
    }

    /// Sets how often each race is run. 20 times by default.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// let suite = Conformance::new(MemoryStore::new()).with_rounds(100);
    /// ```
    pub fn with_rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Sets how often a session is rotated to check that its first token is remembered. 1,100 times by
    /// default.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::testing::Conformance;
    /// let suite = Conformance::new(MemoryStore::new()).with_rotations(100);
    /// ```
    pub fn with_rotations(mut self, rotations: usize) -> Self {
        self.rotations = rotations;
        self
    }

    /// Runs the whole suite, even if a promise is broken.
    ///
    /// # Errors
    ///
    /// The report, if a promise was broken. `Debug` prints the report like `Display`, so that `unwrap` in a
    /// test shows the whole report.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with a timer.
    pub async fn run(self) -> Result<Report, Report> {
        let tokens: Arc<dyn TokenStore> = self.store;
        let suite = promises::Suite {
            tokens,
            application: self.application,
            rounds: self.rounds,
            rotations: self.rotations,
        };
        let mut report = Report::default();
        suite.run(&mut report).await;
        suite.sessions(&mut report, self.sessions).await;
        suite.naming(&mut report, self.subjects.clone()).await;
        let subjects = self.subjects.clone();
        suite.subjects(&mut report, self.subjects).await;
        suite.expired(&mut report, self.expiring).await;
        suite.short_lived(&mut report, self.short_lived).await;
        suite.ended_log(&mut report, self.ended_log, subjects).await;
        suite.at_rest(&mut report, self.at_rest).await;
        if report.is_kept() {
            Ok(report)
        } else {
            Err(report)
        }
    }
}
