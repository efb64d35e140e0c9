//! An app behind its logout layer, and the sessions of the app.

use std::sync::Arc;

use cookie::Cookie;
use http::Request;
use http::header::COOKIE;
use hyper::body::Incoming;
use tower::Layer;
use tower_logout::ended::{EndedSessions, Following};
use tower_logout::require::{NoStore, RequireSession, RequireSessionLayer};
use tower_logout::store::{SessionId, SessionStore};
use tower_logout::{
    AuthCookies, BoxError, Logout, LogoutLayer, MemoryStore, Token, TokenStore, store_fn,
};
use tower_logout_sqlx::SqlStore;

use crate::LOGOUT;
use crate::authority::AuthorizationServer;
use crate::upstream::Upstream;

/// What answers the requests of a tenant. The type is the same for each store.
type Service = Logout<RequireSession<Upstream, NoStore>, Arc<dyn TokenStore>>;

pub(crate) struct Tenant {
    pub(crate) layer: LogoutLayer<Arc<dyn TokenStore>>,
    pub(crate) service: Service,
    /// `None` for an authorization server, which does not say which session a token has.
    sessions: Option<SqlStore>,
}

impl Tenant {
    pub(crate) async fn open(
        upstream: Upstream,
        store: &str,
    ) -> Result<(Self, Following), BoxError> {
        let builder = EndedSessions::builder().on_error(|error| eprintln!("{error}"));
        if store.starts_with("http:") {
            let server = AuthorizationServer::at(store)?;
            let revoke = store_fn(move |token| server.clone().revoke(token));
            // No request has a session, so that the sessions are never asked.
            let (ended, following) = builder.follow(MemoryStore::new().ended_log());
            let layer = LogoutLayer::builder(Arc::new(revoke) as _);
            return Ok((
                Self::new(layer.path(LOGOUT).build()?, &ended, upstream, None),
                following,
            ));
        }
        if store.starts_with("https:") {
            return Err(
                "for https, wrap the HttpConnector of authority.rs in a TLS connector".into(),
            );
        }
        let store = SqlStore::connect(store).await?;
        let (ended, following) = builder.follow(store.ended_log().await?);
        let layer = LogoutLayer::builder(Arc::new(store.clone()) as _).ended(&ended);
        Ok((
            Self::new(layer.path(LOGOUT).build()?, &ended, upstream, Some(store)),
            following,
        ))
    }

    fn new(
        layer: LogoutLayer<Arc<dyn TokenStore>>,
        ended: &EndedSessions,
        upstream: Upstream,
        sessions: Option<SqlStore>,
    ) -> Self {
        // The upstream decides who may see what. The gateway ends what a session has opened.
        let require = RequireSessionLayer::new(ended, SessionId::as_str)
            .end_streams()
            .optional();
        Self {
            service: layer.layer(require.layer(upstream)),
            layer,
            sessions,
        }
    }

    /// The session of the refresh cookie. One look-up in the store.
    pub(crate) async fn session_of(
        &self,
        request: &Request<Incoming>,
    ) -> Result<Option<SessionId>, BoxError> {
        let Some(sessions) = &self.sessions else {
            return Ok(None);
        };
        let cookies = AuthCookies::default();
        let headers = request.headers().get_all(COOKIE).iter();
        let token = headers
            .filter_map(|header| header.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == cookies.refresh_name());
        let Some(token) = token else {
            return Ok(None);
        };
        let session = sessions.find(&Token::new(token.value())).await?;
        Ok(session.map(|session| session.id))
    }
}
