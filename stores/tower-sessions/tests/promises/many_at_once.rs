//! Many requests at once race with one logout.

use std::sync::Arc;

use tower_logout::{Revocation, Token, TokenStore};

use super::super::tower_sessions::session::Id;
use super::super::tower_sessions::{MemoryStore, SessionStore};
use super::test_store::TestStore;
use super::{RevocableStore, is_live, log_in, session};

const ROUNDS: usize = 60;
const REQUESTS: usize = 12;

/// Serves requests with the latest cookie until the session is gone. Returns each id that a response had.
async fn serve<S: SessionStore + Clone>(store: S, first: Id, changes_id: bool) -> Vec<Id> {
    let mut ids = vec![first];
    for request in 0..50 {
        let session = session(&store, *ids.last().unwrap());
        let Ok(Some(_)) = session.get::<String>("user").await else {
            break;
        };
        session.insert("request", request).await.unwrap();
        if changes_id && session.cycle_id().await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
        if session.save().await.is_err() {
            break;
        }
        ids.push(session.id().unwrap());
    }
    ids
}

async fn no_request_brings_the_session_back<S: SessionStore + Clone>(store: S) {
    let store = RevocableStore::new(store);
    for round in 0..ROUNDS {
        let id = log_in(&store).await;
        let requests: Vec<_> = (0..REQUESTS)
            .map(|request| tokio::spawn(serve(store.clone(), id, request % 3 == 0)))
            .collect();
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        let logouts: Vec<_> = (0..4)
            .map(|_| {
                let (store, token) = (Arc::new(store.clone()), Token::new(id.to_string()));
                tokio::spawn(async move { store.revoke(&token).await.unwrap() })
            })
            .collect();
        let mut reported = 0;
        for logout in logouts {
            reported += usize::from(logout.await.unwrap() == Revocation::Revoked);
        }
        assert_eq!(reported, 1);
        assert!(!is_live(&store, id).await);
        for request in requests {
            for id in request.await.unwrap() {
                assert!(!is_live(&store, id).await, "round {round}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_of_many_brings_the_session_back() {
    no_request_brings_the_session_back(MemoryStore::default()).await;
    no_request_brings_the_session_back(TestStore::default()).await;
}
