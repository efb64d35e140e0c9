//! Proves that a store keeps its promises: any store, ours or yours.
//!
//! ```
//! use std::time::Duration;
//! use tower_logout::MemoryStore;
//! use tower_logout::store::SessionPolicy;
//! use tower_logout::testing::Conformance;
//!
//! # #[tokio::main]
//! # async fn main() {
//! // The suite waits until the leeway is over: a short one will do.
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
//! A store that is a [`TokenStore`] alone is shown with the [`Application`] around it, which logs
//! people in:
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
//!         // What your login handler does.
//! #       let token = Token::generate()?;
//! #       self.0.open(subject, &token).await?;
//! #       Ok(token)
//!     }
//!
//!     async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
//!         // What your refresh handler asks before it does anything.
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
//! Run it on a multi-threaded runtime, so that what races does so on several cores.

mod promises;
mod report;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::{BoxError, Rotation, SessionStore, SubjectStore, TokenStore};
use crate::token::Token;

pub use report::{Report, Verdict};

/// The application around a store: what its login and its refresh do.
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// Opens a session, and returns its token.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from doing so. It is a broken promise.
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError>;

    /// Whether a refresh would accept this token.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from knowing. It is a broken promise.
    async fn accepts(&self, token: &Token) -> Result<bool, BoxError>;

    /// Replaces a token as a refresh does, and returns the next one, or `None` if it is refused. By
    /// default, and where there is no rotation, all are refused.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from doing so. It is a broken promise.
    async fn refresh(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        let _ = token;
        Ok(None)
    }

    /// For how long after its refresh a token may be refreshed once more, as
    /// [`SessionStore::reuse_leeway`] has it. Zero by default.
    fn reuse_leeway(&self) -> Duration {
        Duration::ZERO
    }
}

/// The application that a [`SessionStore`] makes by itself.
struct Sessions(Arc<dyn SessionStore>);

#[async_trait]
impl Application for Sessions {
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
        let token = Token::generate()?;
        self.0.open(subject, &token).await?;
        Ok(token)
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        Ok(self.0.find(token).await?.is_some())
    }

    async fn refresh(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        let next = Token::generate()?;
        Ok(match self.0.rotate(token, &next).await? {
            Rotation::Rotated(_) => Some(next),
            Rotation::Reused(_) | Rotation::Exhausted(_) | Rotation::NotFound => None,
        })
    }

    fn reuse_leeway(&self) -> Duration {
        self.0.reuse_leeway()
    }
}

type Probe =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Vec<u8>, BoxError>> + Send>> + Send>;

/// The suite for one store.
#[must_use]
pub struct Conformance<S> {
    store: Arc<S>,
    application: Arc<dyn Application>,
    sessions: Option<Arc<dyn SessionStore>>,
    subjects: Option<Arc<dyn SubjectStore>>,
    expiring: Option<Arc<dyn SessionStore>>,
    short_lived: Option<Arc<dyn SessionStore>>,
    at_rest: Option<Probe>,
    rounds: usize,
    rotations: usize,
}

impl<S> std::fmt::Debug for Conformance<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conformance").finish_non_exhaustive()
    }
}

impl<S: SessionStore> Conformance<S> {
    /// The suite for a [`SessionStore`].
    pub fn new(store: S) -> Self {
        let store = Arc::new(store);
        let sessions: Arc<dyn SessionStore> = Arc::clone(&store) as _;
        let application = Arc::new(Sessions(Arc::clone(&sessions)));
        Self {
            sessions: Some(sessions),
            ..Self::bare(store, application)
        }
    }

    /// Asks what becomes of sessions that have expired, of a store of the same kind whose sessions
    /// live for no time at all. Not asked by default.
    pub fn with_expiring(mut self, store: S) -> Self {
        self.expiring = Some(Arc::new(store));
        self
    }

    /// Asks for how long tokens are known that were rotated away, of a store of the same kind whose
    /// sessions live for two seconds or so; the suite waits for them. Not asked by default.
    pub fn with_short_lived(mut self, store: S) -> Self {
        self.short_lived = Some(Arc::new(store));
        self
    }
}

impl<S: TokenStore> Conformance<S> {
    /// The suite for a [`TokenStore`] and the application around it.
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
            rounds: 20,
            rotations: 1100,
        }
    }

    /// Asks what a [`SubjectStore`] promises as well. Not asked by default.
    pub fn with_subjects(mut self) -> Self
    where
        S: SubjectStore,
    {
        self.subjects = Some(Arc::clone(&self.store) as _);
        self
    }

    /// Looks for tokens in clear in what this returns: all that the store has written, its database
    /// files or a dump. Not asked by default.
    pub fn with_at_rest<F, Fut>(mut self, dump: F) -> Self
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<u8>, BoxError>> + Send + 'static,
    {
        self.at_rest = Some(Box::new(move || Box::pin(dump())));
        self
    }

    /// How often a race is run. 20 times by default.
    pub fn with_rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// How often a session is rotated, to see whether its first token is forgotten. 1,100 times by
    /// default.
    pub fn with_rotations(mut self, rotations: usize) -> Self {
        self.rotations = rotations;
        self
    }

    /// Runs all of it, to the end even where a promise is broken.
    ///
    /// # Errors
    ///
    /// The report, if a promise was broken. Its `Debug` is its `Display`, for `unwrap` in a test.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
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
        suite.subjects(&mut report, self.subjects).await;
        suite.expired(&mut report, self.expiring).await;
        suite.short_lived(&mut report, self.short_lived).await;
        suite.at_rest(&mut report, self.at_rest).await;
        if report.is_kept() {
            Ok(report)
        } else {
            Err(report)
        }
    }
}
