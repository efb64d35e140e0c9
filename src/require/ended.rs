//! The layer that knows by itself which sessions have ended.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Head, RequireSessionLayer, SessionLookup, Settings, of_claims};
use crate::ended::EndedSessions;
use crate::store::{BoxError, SessionId};

/// What a layer knows by itself.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) sessions: EndedSessions,
    pub(super) ends_streams: bool,
}

/// Takes the place of the store in a [`RequireSessionLayer::new`], which asks no store. There is no value of the
/// type.
#[derive(Debug)]
pub enum NoStore {}

#[async_trait]
impl SessionLookup for NoStore {
    type Session = ();

    async fn look_up(&self, _: &SessionId) -> Result<Option<()>, BoxError> {
        match *self {}
    }
}

impl RequireSessionLayer<NoStore> {
    /// Creates a layer that checks the session which `C` names against the ended sessions of this node. The layer
    /// asks no store, and adds no session to the extensions.
    ///
    /// `C` is the type of the claims that an outer middleware adds to the extensions of the request. A request
    /// without `C` has no session. While the node is [stale](crate::ended::Refused::Stale), requests with a
    /// session get a `503`.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    /// use tower_logout::ended::EndedSessions;
    /// use tower_logout::require::RequireSessionLayer;
    ///
    /// #[derive(Clone)]
    /// struct Claims {
    ///     sid: String,
    /// }
    ///
    /// let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// let layer = RequireSessionLayer::new(&ended, |claims: &Claims| &claims.sid);
    /// ```
    pub fn new<C, F>(ended: &EndedSessions, session_id: F) -> Self
    where
        C: Send + Sync + 'static,
        F: Fn(&C) -> &str + Send + Sync + 'static,
    {
        Self::new_by(ended, of_claims(session_id))
    }

    /// Creates a layer as [`new`](Self::new) does, for the session which the head of the request names. `None` is a
    /// request without a session.
    ///
    /// Name only a session that a verified token names. A client can write any header.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::ended::EndedSessions;
    /// # use tower_logout::require::RequireSessionLayer;
    /// use tower_logout::store::SessionId;
    ///
    /// #[derive(Clone)]
    /// struct Verified(SessionId);
    ///
    /// # let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// let layer = RequireSessionLayer::new_by(&ended, |head| {
    ///     Some(head.extensions.get::<Verified>()?.0.as_str().into())
    /// });
    /// ```
    pub fn new_by<F>(ended: &EndedSessions, session_id: F) -> Self
    where
        F: for<'r> Fn(&Head<'r>) -> Option<Cow<'r, str>> + Send + Sync + 'static,
    {
        Self {
            store: None,
            find: Arc::new(session_id),
            settings: Settings {
                ended: Some(Ended {
                    sessions: ended.clone(),
                    ends_streams: false,
                }),
                ..Settings::default()
            },
        }
    }

    /// Ends streams with their session. Off by default: a stream goes on until one of its sides ends it.
    ///
    /// - A response body without an exact size ends: server-sent events and other streams of HTTP just end, and a
    ///   gRPC call gets `UNAUTHENTICATED` (16) in its trailers. A body of a known size runs out, and a handler in
    ///   flight is not cancelled. A client cannot tell a download without a `Content-Length` that ends early from a
    ///   whole one.
    /// - The extensions of each request have a [`SessionEnded`](crate::ended::SessionEnded), for a WebSocket and for
    ///   a stream of requests.
    ///
    /// A node that is [stale](crate::ended::Refused::Stale) ends the streams of all sessions, one by one. See
    /// [`keep_streams_when_stale`](crate::ended::EndedSessionsBuilder::keep_streams_when_stale).
    ///
    /// The setting costs four allocations a request, so use the layer with this setting on routes that stream.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::ended::EndedSessions;
    /// # use tower_logout::require::RequireSessionLayer;
    /// # #[derive(Clone)] struct Claims { sid: String }
    /// # let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    /// let layer = RequireSessionLayer::new(&ended, |claims: &Claims| &claims.sid).end_streams();
    /// ```
    pub fn end_streams(mut self) -> Self {
        if let Some(ended) = &mut self.settings.ended {
            ended.ends_streams = true;
        }
        self
    }

    /// Asks this store while the node is [stale](crate::ended::Refused::Stale), instead of answering `503`. No store
    /// by default.
    ///
    /// The answer stays exact. The store then gets the whole rate of the requests, so check that the store can bear
    /// them.
    ///
    /// Call [`end_streams`](Self::end_streams) before. A stale node ends each stream soon after it began, also a stream
    /// whose session the store has found. Set
    /// [`keep_streams_when_stale`](crate::ended::EndedSessionsBuilder::keep_streams_when_stale) if the store stays
    /// reachable while its log is not.
    ///
    /// ```
    /// # use tower_logout::MemoryStore;
    /// # use tower_logout::ended::EndedSessions;
    /// # use tower_logout::require::RequireSessionLayer;
    /// # #[derive(Clone)] struct Claims { sid: String }
    /// let store = MemoryStore::new();
    /// let (ended, following) = EndedSessions::builder().follow(store.ended_log());
    /// let layer = RequireSessionLayer::new(&ended, |claims: &Claims| &claims.sid)
    ///     .when_stale_ask(store);
    /// ```
    pub fn when_stale_ask<T: SessionLookup>(self, store: T) -> RequireSessionLayer<T> {
        RequireSessionLayer {
            store: Some(Arc::new(store)),
            find: self.find,
            settings: self.settings,
        }
    }
}
