//! Refuses a request whose session has ended.
//!
//! A stateless access token, such as a JWT, works until it expires. [`RequireSessionLayer`] looks up the
//! session of the token for each request, so that the token dies with its session.

mod body;
mod check;
#[cfg(feature = "ended")]
mod ended;
mod future;
mod lookup;
mod reply;
mod service;
#[cfg(feature = "ended")]
mod stream;
#[cfg(not(feature = "ended"))]
#[path = "without_ended.rs"]
mod stream;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderMap, HeaderValue, Method, Uri};
use tower::Layer;

pub use self::body::ResponseBody;
#[cfg(feature = "ended")]
pub use self::ended::NoStore;
pub use self::future::ResponseFuture;
pub use self::lookup::{SessionFn, SessionLookup, session_fn, session_fn_with};
pub use self::service::RequireSession;

use self::check::{Check, FindSession};
use crate::cookies::AuthCookies;

/// Layer that passes a request on only if its session is live.
///
/// The layer asks the store for each request. The store is a
/// [`SessionStore`](crate::store::SessionStore), or a [`session_fn`] over a table of your own. The answer is
/// exact on every node: after the logout, the access token of the session is refused. A handler finds the
/// session that the store returned in the extensions of the request: a
/// [`Session`](crate::store::Session) of a `SessionStore`, or the type of your own [`SessionLookup`].
///
/// | the request | the answer | to a gRPC call |
/// |---|---|---|
/// | has a live session | the one of the inner service | the same |
/// | has a session that has ended | `401`, `{"error":"The session has ended"}` | `UNAUTHENTICATED` (16) |
/// | has no session | `401`, `{"error":"Not logged in"}`, or passes if [`optional`](Self::optional) | `UNAUTHENTICATED` (16) |
/// | has a session that the store cannot look up | `503`, `Retry-After: 1` | `UNAVAILABLE` (14) |
///
/// A `401` has `WWW-Authenticate: Bearer` (RFC 6750 §3), and each answer of the layer has `Cache-Control:
/// no-store`. A store that fails, panics or does not answer in time lets no request pass. A `503` is not a
/// `401`, because a client would log in again for nothing.
///
/// The layer reads no token. Put the layer inside the middleware that verifies the token, and put the
/// [`LogoutLayer`](crate::layer::LogoutLayer) outside of both, so that a dead session can still log out.
///
/// # Example
///
/// ```
/// use axum::routing::get;
/// use axum::{Extension, Router};
/// use tower_logout::require::RequireSessionLayer;
/// use tower_logout::store::Session;
/// use tower_logout::{LogoutLayer, MemoryStore};
///
/// /// The claims of your access token. Your middleware verifies the token and adds the claims to the
/// /// extensions of the request.
/// #[derive(Clone)]
/// struct Claims {
///     /// The id of the session, from `Session::id` at login.
///     sid: String,
/// }
///
/// async fn me(Extension(session): Extension<Session>) -> String {
///     session.subject
/// }
///
/// let store = MemoryStore::new();
/// let app: Router = Router::new()
///     .route("/me", get(me))
///     .layer(RequireSessionLayer::asking(store.clone(), |claims: &Claims| &claims.sid))
///     // .layer(your middleware that verifies the token)
///     .layer(LogoutLayer::new(store));
/// ```
#[must_use = "a layer does nothing until it is added to a stack"]
pub struct RequireSessionLayer<T> {
    /// `None` for a layer that knows by itself which sessions have ended.
    store: Option<Arc<T>>,
    find: FindSession,
    settings: Settings,
}

#[derive(Clone)]
struct Settings {
    optional: bool,
    removals: Box<[HeaderValue]>,
    timeout: Duration,
    #[cfg(feature = "ended")]
    ended: Option<ended::Ended>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            optional: false,
            removals: Box::default(),
            timeout: Duration::from_secs(5),
            #[cfg(feature = "ended")]
            ended: None,
        }
    }
}

/// The parts of a request that can name its session.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Head<'r> {
    /// The method of the request.
    pub method: &'r Method,
    /// The target of the request.
    pub uri: &'r Uri,
    /// The headers of the request.
    pub headers: &'r HeaderMap,
    /// The extensions of the request.
    pub extensions: &'r Extensions,
}

/// Shows the method alone, because a header or the target can hold a token.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", self.method)
            .finish_non_exhaustive()
    }
}

/// Names the session by the claims in the extensions of the request.
fn of_claims<C, F>(
    session_id: F,
) -> impl for<'r> Fn(&Head<'r>) -> Option<Cow<'r, str>> + Send + Sync + 'static
where
    C: Send + Sync + 'static,
    F: Fn(&C) -> &str + Send + Sync + 'static,
{
    move |head| {
        let claims = head.extensions.get::<C>()?;
        Some(Cow::Borrowed(session_id(claims)))
    }
}

impl<T: SessionLookup> RequireSessionLayer<T> {
    /// Creates a layer that asks the store for the session which `C` names.
    ///
    /// `C` is the type of the claims that an outer middleware adds to the extensions of the request. A
    /// request without `C` has no session.
    pub fn asking<C, F>(store: T, session_id: F) -> Self
    where
        C: Send + Sync + 'static,
        F: Fn(&C) -> &str + Send + Sync + 'static,
    {
        Self::asking_by(store, of_claims(session_id))
    }

    /// Creates a layer that asks the store for the session which the head of the request names. `None` is a
    /// request without a session.
    ///
    /// Name only a session that a verified token names. A client can write any header.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    /// use tower_logout::require::RequireSessionLayer;
    /// use tower_logout::store::SessionId;
    ///
    /// #[derive(Clone)]
    /// struct Verified(SessionId);
    ///
    /// let layer = RequireSessionLayer::asking_by(MemoryStore::new(), |head| {
    ///     Some(head.extensions.get::<Verified>()?.0.as_str().into())
    /// });
    /// ```
    pub fn asking_by<F>(store: T, session_id: F) -> Self
    where
        F: for<'r> Fn(&Head<'r>) -> Option<Cow<'r, str>> + Send + Sync + 'static,
    {
        Self {
            store: Some(Arc::new(store)),
            find: Arc::new(session_id),
            settings: Settings::default(),
        }
    }

    /// Lets a request without a session pass. By default such a request gets a `401`.
    ///
    /// A request with a session that has ended still gets a `401`.
    ///
    /// ```
    /// # use tower_logout::{MemoryStore, require::RequireSessionLayer};
    /// # #[derive(Clone)] struct Claims { sid: String }
    /// let layer = RequireSessionLayer::asking(MemoryStore::new(), |claims: &Claims| &claims.sid).optional();
    /// ```
    pub fn optional(mut self) -> Self {
        self.settings.optional = true;
        self
    }

    /// Removes these cookies with the `401` of a session that has ended. None by default.
    ///
    /// A browser whose session was ended elsewhere then stops sending its dead cookies.
    ///
    /// ```
    /// # use tower_logout::{MemoryStore, require::RequireSessionLayer};
    /// # #[derive(Clone)] struct Claims { sid: String }
    /// use tower_logout::AuthCookies;
    ///
    /// let layer = RequireSessionLayer::asking(MemoryStore::new(), |claims: &Claims| &claims.sid)
    ///     .clear_cookies(&AuthCookies::default());
    /// ```
    pub fn clear_cookies(mut self, cookies: &AuthCookies) -> Self {
        self.settings.removals = cookies.removals().into();
        self
    }

    /// Sets how long a request waits for the store. 5 seconds by default.
    ///
    /// Without a tokio runtime there is no timeout.
    ///
    /// # Panics
    ///
    /// A request panics if the tokio runtime was built without
    /// [`enable_time`](tokio::runtime::Builder::enable_time).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_logout::{MemoryStore, require::RequireSessionLayer};
    /// # #[derive(Clone)] struct Claims { sid: String }
    /// let layer = RequireSessionLayer::asking(MemoryStore::new(), |claims: &Claims| &claims.sid)
    ///     .timeout(Duration::from_secs(1));
    /// ```
    #[cfg(feature = "tokio")]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }
}

impl<T> Clone for RequireSessionLayer<T> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            find: Arc::clone(&self.find),
            settings: self.settings.clone(),
        }
    }
}

impl<T> fmt::Debug for RequireSessionLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireSessionLayer")
            .field("optional", &self.settings.optional)
            .field("timeout", &self.settings.timeout)
            .finish_non_exhaustive()
    }
}

impl<S, T> Layer<S> for RequireSessionLayer<T> {
    type Service = RequireSession<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self {
            store,
            find,
            settings,
        } = self.clone();
        RequireSession::new(inner, Arc::new(Check::new(store, find, settings)))
    }
}
