//! One file per promise, for each version of tower-sessions.

mod ended_sessions_stay_dead;
mod ids_change;
mod many_at_once;
mod over_http;
mod passes_the_suite;
mod test_store;
mod tombstones;

use std::sync::Arc;

use tower_logout::{Revocation, Token, TokenStore};

use super::RevocableStore;
use super::tower_sessions::session::Id;
use super::tower_sessions::{Session, SessionStore};

/// The session of a request with this cookie.
fn session<S: SessionStore + Clone>(store: &S, id: Id) -> Session {
    Session::new(Some(id), Arc::new(store.clone()), None)
}

async fn log_in<S: SessionStore + Clone>(store: &S) -> Id {
    let session = Session::new(None, Arc::new(store.clone()), None);
    session.insert("user", "alice").await.unwrap();
    session.save().await.unwrap();
    session.id().unwrap()
}

/// Whether a request with this cookie is logged in.
async fn is_live<S: SessionStore + Clone>(store: &S, id: Id) -> bool {
    let user: Option<String> = session(store, id).get("user").await.unwrap();
    user.is_some()
}

/// A request that has loaded its session, and is still in flight.
async fn in_flight<S: SessionStore + Clone>(store: &S, id: Id) -> Session {
    let session = session(store, id);
    let user: Option<String> = session.get("user").await.unwrap();
    assert_eq!(user.as_deref(), Some("alice"));
    session
}

async fn revoke(store: &impl TokenStore, id: Id) -> Revocation {
    store.revoke(&Token::new(id.to_string())).await.unwrap()
}
