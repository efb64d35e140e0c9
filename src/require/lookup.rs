//! What a layer asks for the session of a request.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use crate::store::{BoxError, Session, SessionId, SessionStore};

/// A look-up of a live session by its id.
///
/// Each [`SessionStore`] is a look-up. So is a closure over a table of your own: [`session_fn`] and
/// [`session_fn_with`]. Implement the trait for a type of your own that is neither.
///
/// # Example
///
/// ```
/// use sqlx::SqlitePool;
/// use tower_logout::require::{RequireSessionLayer, SessionLookup};
/// use tower_logout::store::SessionId;
/// use tower_logout::{BoxError, async_trait};
///
/// struct Sessions(SqlitePool);
///
/// /// What the handlers find in the extensions of the request.
/// #[derive(Clone)]
/// struct User(i64);
///
/// #[async_trait]
/// impl SessionLookup for Sessions {
///     type Session = User;
///
///     async fn look_up(&self, id: &SessionId) -> Result<Option<User>, BoxError> {
///         let select = "SELECT user_id FROM sessions WHERE id = ? AND expires_at > unixepoch()";
///         let select = sqlx::query_scalar(select).bind(id.as_str());
///         Ok(select.fetch_optional(&self.0).await?.map(User))
///     }
/// }
///
/// # #[derive(Clone)] struct Claims { sid: String }
/// # fn layer(pool: SqlitePool) -> RequireSessionLayer<Sessions> {
/// RequireSessionLayer::asking(Sessions(pool), |claims: &Claims| &claims.sid)
/// # }
/// ```
#[async_trait]
pub trait SessionLookup: Send + Sync + 'static {
    /// What the layer adds to the extensions of a request whose session is live.
    type Session: Clone + Send + Sync + 'static;

    /// Finds the live session with this id. `None` is a session that has ended, or that never was.
    ///
    /// # Errors
    ///
    /// An error if the look-up cannot tell. The client does not see the error.
    async fn look_up(&self, id: &SessionId) -> Result<Option<Self::Session>, BoxError>;
}

#[async_trait]
impl<T: SessionStore> SessionLookup for T {
    type Session = Session;

    async fn look_up(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        self.find_session(id).await
    }
}

/// Creates a [`SessionLookup`] from a closure.
///
/// ```
/// use tower_logout::require::{RequireSessionLayer, session_fn};
///
/// # #[derive(Clone)] struct Claims { sid: String }
/// #[derive(Clone)]
/// struct User(&'static str);
///
/// let sessions = session_fn(|id| async move { Ok((id.as_str() == "1f0c").then_some(User("alice"))) });
/// let layer = RequireSessionLayer::asking(sessions, |claims: &Claims| &claims.sid);
/// ```
pub fn session_fn<F, Fut, S>(look_up: F) -> SessionFn<F>
where
    F: Fn(SessionId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<S>, BoxError>> + Send,
    S: Clone + Send + Sync + 'static,
{
    SessionFn { look_up }
}

/// Creates a [`SessionLookup`] from a closure that gets a clone of a state, for example of a connection
/// pool.
///
/// ```
/// use sqlx::SqlitePool;
/// use tower_logout::require::{RequireSessionLayer, SessionLookup, session_fn_with};
///
/// # #[derive(Clone)] struct Claims { sid: String }
/// /// What the handlers find in the extensions of the request.
/// #[derive(Clone)]
/// struct User(i64);
///
/// fn require_session(pool: SqlitePool) -> RequireSessionLayer<impl SessionLookup> {
///     let sessions = session_fn_with(pool, |pool, id| async move {
///         let select = "SELECT user_id FROM sessions WHERE id = ? AND expires_at > unixepoch()";
///         let select = sqlx::query_scalar(select).bind(id.as_str());
///         Ok(select.fetch_optional(&pool).await?.map(User))
///     });
///     RequireSessionLayer::asking(sessions, |claims: &Claims| &claims.sid)
/// }
/// ```
pub fn session_fn_with<St, F, Fut, S>(
    state: St,
    look_up: F,
) -> SessionFn<impl Fn(SessionId) -> Fut + Send + Sync + 'static>
where
    St: Clone + Send + Sync + 'static,
    F: Fn(St, SessionId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<S>, BoxError>> + Send + 'static,
    S: Clone + Send + Sync + 'static,
{
    SessionFn {
        look_up: move |id| look_up(state.clone(), id),
    }
}

/// A [`SessionLookup`] from a closure. Created by [`session_fn`] and [`session_fn_with`].
#[derive(Clone, Copy)]
pub struct SessionFn<F> {
    look_up: F,
}

impl<F> fmt::Debug for SessionFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFn").finish_non_exhaustive()
    }
}

#[async_trait]
impl<F, Fut, S> SessionLookup for SessionFn<F>
where
    F: Fn(SessionId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<S>, BoxError>> + Send,
    S: Clone + Send + Sync + 'static,
{
    type Session = S;

    async fn look_up(&self, id: &SessionId) -> Result<Option<S>, BoxError> {
        (self.look_up)(id.clone()).await
    }
}
