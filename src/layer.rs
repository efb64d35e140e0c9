//! The layer: everything that a user sets.

use std::fmt;
#[cfg(feature = "tokio")]
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tower::Layer;

use crate::credential::CookieReader;
use crate::csrf::Csrf;
use crate::observe::Hook;
use crate::reply::{Answer, Reply};
use crate::route::{Action, DEFAULT_PATH, Route, check_path};
use crate::runtime::Background;
use crate::service::Config;
use crate::{
    AuthCookies, ConfigError, Logout, LogoutEndpoint, OriginCheck, Outcome, Scope, SubjectStore,
    TokenStore,
};

#[cfg(feature = "tokio")]
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Layer that takes logouts out of a stack.
///
/// See the [crate's front page](crate) for an example, and for where to place it.
pub struct LogoutLayer<T> {
    config: Arc<Config<T>>,
}

impl<T: TokenStore> LogoutLayer<T> {
    /// The contract, with no further setting: `POST /auth/logout` with JSON as content type, the
    /// default [`AuthCookies`], a deadline of 5 seconds.
    ///
    /// ```
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// let layer = LogoutLayer::new(store_fn(|token| async move {
    ///     println!("{token} is to be ended");
    ///     Ok(Revocation::Revoked)
    /// }));
    /// ```
    pub fn new(store: T) -> Self {
        Self::builder(store).assemble()
    }

    /// Starts from the defaults of [`new`](Self::new).
    ///
    /// ```
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).path("/session/logout").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(store: T) -> LogoutLayerBuilder<T> {
        LogoutLayerBuilder {
            store,
            routes: vec![(DEFAULT_PATH.into(), Action::this())],
            public_prefix: String::new(),
            cookies: AuthCookies::default(),
            csrf: Csrf {
                require_json: true,
                origin: None,
            },
            reply: Reply::Json(Box::default()),
            clear_on_failure: false,
            hook: None,
            #[cfg(feature = "tokio")]
            deadline: DEFAULT_DEADLINE,
        }
    }

    /// The same logout as an endpoint without an inner service.
    ///
    /// The endpoint does not look at the path; the builder's [`path`](LogoutLayerBuilder::path)
    /// still says which path the refresh cookie has to reach.
    ///
    /// ```
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// use axum::Router;
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let logout = LogoutLayer::builder(store).path("/bye").build()?;
    /// let app: Router = Router::new().route_service("/bye", logout.endpoint());
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint(&self) -> LogoutEndpoint<T> {
        LogoutEndpoint::new(Arc::clone(&self.config), Action::this())
    }

    /// [`endpoint`](Self::endpoint) for another [`Scope`] than the session of the presented token.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::Router;
    /// use tower_logout::{LogoutLayer, MemoryStore, Scope};
    ///
    /// let logout = LogoutLayer::new(MemoryStore::new());
    /// let app: Router = Router::new()
    ///     .route_service("/auth/logout", logout.endpoint())
    ///     .route_service("/auth/logout-all", logout.scope_endpoint(Scope::All));
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope_endpoint(&self, scope: Scope) -> LogoutEndpoint<T>
    where
        T: SubjectStore,
    {
        LogoutEndpoint::new(Arc::clone(&self.config), Action::of(scope))
    }

    /// Waits until no revocation runs in the background any more: the last step of a graceful
    /// shutdown, after the server has stopped taking requests.
    ///
    /// A store that never answers keeps it waiting; put a timeout around it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use tower_logout::{LogoutLayer, Revocation, store_fn};
    ///
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::new(store);
    /// // … the server runs with a clone of the layer, and has stopped …
    /// layer.drain().await;
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        let tracker = self.config.background.tracker.clone();
        async move {
            tracker.close();
            tracker.wait().await;
        }
    }
}

impl<T> Clone for LogoutLayer<T> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
        }
    }
}

impl<T> fmt::Debug for LogoutLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutLayer")
            .field("paths", &self.config.paths())
            .finish_non_exhaustive()
    }
}

impl<S, T> Layer<S> for LogoutLayer<T> {
    type Service = Logout<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Logout::new(inner, Arc::clone(&self.config))
    }
}

/// Configures a [`LogoutLayer`]. Made by [`LogoutLayer::builder`].
#[must_use]
pub struct LogoutLayerBuilder<T> {
    store: T,
    /// The main one first.
    routes: Vec<(String, Action<T>)>,
    public_prefix: String,
    cookies: AuthCookies,
    csrf: Csrf,
    reply: Reply,
    clear_on_failure: bool,
    hook: Option<Hook>,
    #[cfg(feature = "tokio")]
    deadline: Duration,
}

impl<T> fmt::Debug for LogoutLayerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutLayerBuilder")
            .field(
                "paths",
                &self.routes.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            )
            .field("cookies", &self.cookies)
            .field("csrf", &self.csrf)
            .field("clear_on_failure", &self.clear_on_failure)
            .finish_non_exhaustive()
    }
}

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// The path of the logout, compared to the letter. `/auth/logout` by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).path("/session/logout").build();
    /// assert!(layer.is_ok());
    /// ```
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.routes[0].0 = path.into();
        self
    }

    /// A further path, whose logout reaches as far as the [`Scope`] says. None by default.
    ///
    /// [`Scope::Others`] keeps the session of the presented token, and therefore its cookies.
    ///
    /// ```
    /// use tower_logout::{LogoutLayer, MemoryStore, Scope};
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let layer = LogoutLayer::builder(MemoryStore::new())
    ///     .route("/auth/logout-all", Scope::All)
    ///     .route("/auth/logout-others", Scope::Others)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A store that does not know whose sessions it holds has no such route:
    ///
    /// ```compile_fail
    /// # use tower_logout::{LogoutLayer, Revocation, Scope, store_fn};
    /// let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// LogoutLayer::builder(store).route("/auth/logout-all", Scope::All);
    /// ```
    pub fn route(mut self, path: impl Into<String>, scope: Scope) -> Self
    where
        T: SubjectStore,
    {
        self.routes.push((path.into(), Action::of(scope)));
        self
    }

    /// What is stripped from the path before the layer sees it, by a proxy or by Axum's `nest`. The
    /// refresh cookie's `Path` has to cover the paths as browsers see them. Nothing by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let cookies = AuthCookies::builder()
    ///     .refresh(Cookie::build("refreshToken").path("/auth").http_only(true))
    ///     .build()?;
    /// let layer = LogoutLayer::builder(store)
    ///     .path("/logout")
    ///     .public_prefix("/auth")
    ///     .cookies(&cookies)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn public_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.public_prefix = prefix.into();
        self
    }

    /// The cookies that are read and removed. [`AuthCookies::default`] by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use cookie::Cookie;
    /// use tower_logout::AuthCookies;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let cookies = AuthCookies::builder()
    ///     .refresh(Cookie::build("__Host-refresh").path("/").secure(true))
    ///     .build()?;
    /// let layer = LogoutLayer::builder(store).cookies(&cookies).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cookies(mut self, cookies: &AuthCookies) -> Self {
        self.cookies = cookies.clone();
        self
    }

    /// Whether a logout must have `Content-Type: application/json`, which the contract (§3) asks
    /// for, and which no form can send to another site. `true` by default; else the answer is `415`.
    ///
    /// Where it is switched off, an [`origin_check`](Self::origin_check) should stand in for it.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::OriginCheck;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .require_json(false)
    ///     .origin_check(OriginCheck::new())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_json(mut self, require: bool) -> Self {
        self.csrf.require_json = require;
        self
    }

    /// Checks `Sec-Fetch-Site` and `Origin` as well; else the answer is `403`. Off by default.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use tower_logout::OriginCheck;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .origin_check(OriginCheck::new().trust("https://app.example.com")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn origin_check(mut self, check: OriginCheck) -> Self {
        self.csrf.origin = Some(check);
        self
    }

    /// Answers in a language of your own, instead of the contract's JSON.
    ///
    /// The layer adds `Cache-Control: no-store`, `Content-Length` and the removal cookies. An answer
    /// that tells [`Outcome::Revoked`] from [`Outcome::AlreadyEnded`] lets a client guess tokens. A
    /// panic in it is the server's to catch, as one of a handler is; the session is ended by then.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use http::Response;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .reply(|outcome| {
    ///         let mut response = Response::new("bye");
    ///         *response.status_mut() = outcome.status();
    ///         response
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply<F, B>(mut self, reply: F) -> Self
    where
        F: Fn(&Outcome) -> Response<B> + Send + Sync + 'static,
        B: Into<Bytes>,
    {
        self.reply = Reply::Custom(Box::new(move |outcome| reply(outcome).map(Into::into)));
        self
    }

    /// Whether the cookies are removed although the store failed. `false` by default, so that the
    /// client can try again; with `true` the browser forgets a token that may still work.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).clear_cookies_on_failure(true).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_cookies_on_failure(mut self, clear: bool) -> Self {
        self.clear_on_failure = clear;
        self
    }

    /// Calls back with the outcome of each logout and the time it took: an audit log, a denylist for
    /// access tokens, a counter. None by default.
    ///
    /// It runs before the answer is sent, so it should be quick; a panic in it changes nothing. Each
    /// ended session is named in one call alone. A revocation that outlives its client is reported
    /// when it ends; one that outlives its deadline is reported twice, as [`Outcome::Failed`] with
    /// [`FailureKind::Deadline`](crate::FailureKind::Deadline) when the deadline passes, and as what
    /// it came to when it ends.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store)
    ///     .hook(|outcome, took| println!("logout: {} in {took:?}", outcome.name()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hook(mut self, hook: impl Fn(&Outcome, Duration) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// How long the client waits for the store, before it gets a `500` and the revocation goes on in
    /// the background. 5 seconds by default.
    ///
    /// # Panics
    ///
    /// A logout whose store is pending panics on a tokio runtime that was built without
    /// [`enable_time`](tokio::runtime::Builder::enable_time). Its revocation runs on.
    ///
    /// ```
    /// # use tower_logout::{LogoutLayer, Revocation, store_fn};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    /// let layer = LogoutLayer::builder(store).deadline(Duration::from_secs(2)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidPath`] for a path that no request can have,
    /// [`ConfigError::DuplicatePath`] for two routes with one path, and
    /// [`ConfigError::RefreshCookieNotSent`] if the refresh cookie's `Path` does not cover one.
    pub fn build(self) -> Result<LogoutLayer<T>, ConfigError> {
        for (index, (path, _)) in self.routes.iter().enumerate() {
            check_path(path)?;
            if self.routes[..index].iter().any(|(other, _)| other == path) {
                return Err(ConfigError::DuplicatePath { path: path.clone() });
            }
            let public = format!("{}{path}", self.public_prefix);
            check_path(&public)?;
            self.cookies.reach(&public)?;
        }
        Ok(self.assemble())
    }

    fn assemble(self) -> LogoutLayer<T> {
        let routes = self
            .routes
            .iter()
            .map(|(path, action)| Route::new(path, *action));
        LogoutLayer {
            config: Arc::new(Config {
                routes: routes.collect(),
                csrf: self.csrf,
                cookie: CookieReader::new(self.cookies.refresh_name()),
                store: self.store,
                answer: Arc::new(Answer {
                    reply: self.reply,
                    removals: self.cookies.removals().into(),
                    clear_on_failure: self.clear_on_failure,
                }),
                hook: self.hook,
                #[cfg(feature = "tokio")]
                background: Background {
                    deadline: self.deadline,
                    tracker: tokio_util::task::TaskTracker::new(),
                },
                #[cfg(not(feature = "tokio"))]
                background: Background,
            }),
        }
    }
}
