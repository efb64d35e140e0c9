//! `Session::cycle_id` gives a session another id. A logout ends the session with each id that it had.

use std::sync::Arc;

use tower_logout::Revocation;

use super::super::tower_sessions::session::Id;
use super::super::tower_sessions::{Session, SessionStore};
use super::test_store::{Point, TestStore};
use super::{RevocableStore, in_flight, is_live, log_in, revoke};

async fn cycle<S: SessionStore + Clone>(store: &S, id: Id) -> Id {
    let request = in_flight(store, id).await;
    request.cycle_id().await.unwrap();
    request.save().await.unwrap();
    request.id().unwrap()
}

#[tokio::test]
async fn without_the_wrapper_a_new_id_brings_the_session_back() {
    let store = TestStore::default();
    let id = log_in(&store).await;
    let request = in_flight(&store, id).await;
    store.delete(&id).await.unwrap();
    request.cycle_id().await.unwrap();
    request.save().await.unwrap();
    assert!(is_live(&store, request.id().unwrap()).await);
}

#[tokio::test]
async fn a_session_lives_on_under_its_new_id_alone() {
    let store = RevocableStore::new(TestStore::default());
    let first = log_in(&store).await;
    let second = cycle(&store, first).await;
    assert!(is_live(&store, second).await);
    assert!(!is_live(&store, first).await);
}

#[tokio::test]
async fn each_id_ends_the_session() {
    for presented in 0..3 {
        let store = RevocableStore::new(TestStore::default());
        let first = log_in(&store).await;
        let second = cycle(&store, first).await;
        let third = cycle(&store, second).await;
        let ids = [first, second, third];
        assert_eq!(revoke(&store, ids[presented]).await, Revocation::Revoked);
        for id in ids {
            assert!(!is_live(&store, id).await, "{presented}");
            assert_eq!(revoke(&store, id).await, Revocation::NotFound);
        }
    }
}

/// For example with a message for the next page, in a request that was in flight at the logout.
#[tokio::test]
async fn a_session_after_a_flush_has_an_id_that_no_earlier_cookie_has() {
    let store = RevocableStore::new(TestStore::default());
    let first = log_in(&store).await;
    let second = cycle(&store, first).await;
    let request = in_flight(&store, second).await;
    revoke(&store, second).await;
    request.flush().await.unwrap();
    request.insert("user", "nobody").await.unwrap();
    request.save().await.unwrap();
    let third = request.id().unwrap();
    assert!(is_live(&store, third).await);
    for id in [first, second] {
        assert_ne!(id, third);
        assert!(!is_live(&store, id).await);
    }
}

#[tokio::test]
async fn a_request_in_flight_gets_no_new_id_after_the_logout() {
    let store = RevocableStore::new(TestStore::default());
    let id = log_in(&store).await;
    let (before, between) = (in_flight(&store, id).await, in_flight(&store, id).await);
    between.cycle_id().await.unwrap();
    assert_eq!(revoke(&store, id).await, Revocation::Revoked);
    before.cycle_id().await.unwrap();
    for request in [before, between] {
        let error = request.save().await.unwrap_err();
        assert_eq!(error.to_string(), "the session has ended");
        assert_eq!(request.id(), None);
    }
}

#[tokio::test]
async fn a_new_id_that_has_passed_its_check_is_undone_or_dead() {
    for is_cancelled in [false, true] {
        let inner = TestStore::default();
        let store = RevocableStore::new(inner.clone());
        let id = log_in(&store).await;
        let request = in_flight(&store, id).await;
        request.cycle_id().await.unwrap();
        let (before, after) = (
            inner.pause(Point::BeforeCreate),
            inner.pause(Point::AfterCreate),
        );
        let saved = tokio::spawn(async move { request.save().await });
        before.reached().await;
        let logout = tokio::spawn({
            let store = store.clone();
            async move { revoke(&store, id).await }
        });
        // The next record that is written is the tombstone.
        after.reached().await;
        let after_new_id = inner.pause(Point::AfterCreate);
        after.resume();
        assert_eq!(logout.await.unwrap(), Revocation::Revoked);
        before.resume();
        after_new_id.reached().await;
        let new_id = *inner.created().last().unwrap();
        if is_cancelled {
            saved.abort();
            assert!(saved.await.unwrap_err().is_cancelled());
            assert!(inner.load(&new_id).await.unwrap().is_some());
        } else {
            after_new_id.resume();
            assert!(saved.await.unwrap().is_err());
            assert_eq!(inner.load(&new_id).await.unwrap(), None);
        }
        assert!(!is_live(&store, new_id).await);
    }
}

/// Two requests with the same cookie can both change the id. The browser keeps one of the two.
#[tokio::test]
async fn two_new_ids_of_one_session_end_together() {
    let store = RevocableStore::new(TestStore::default());
    let first = log_in(&store).await;
    let (one, other) = (
        in_flight(&store, first).await,
        in_flight(&store, first).await,
    );
    for request in [&one, &other] {
        request.cycle_id().await.unwrap();
        request.save().await.unwrap();
    }
    let ids = [one.id().unwrap(), other.id().unwrap()];
    assert_eq!(revoke(&store, ids[1]).await, Revocation::Revoked);
    for id in ids {
        assert!(!is_live(&store, id).await);
    }
}

#[tokio::test]
async fn a_session_that_is_new_in_its_request_keeps_its_login() {
    let store = RevocableStore::new(TestStore::default());
    let request = Session::new(None, Arc::new(store.clone()), None);
    request.insert("user", "alice").await.unwrap();
    request.save().await.unwrap();
    let first = request.id().unwrap();
    request.cycle_id().await.unwrap();
    request.save().await.unwrap();
    assert!(is_live(&store, request.id().unwrap()).await);
    assert_eq!(revoke(&store, first).await, Revocation::Revoked);
    assert!(!is_live(&store, request.id().unwrap()).await);
}

/// Otherwise a request that is cancelled after its write would extend the record.
#[tokio::test]
async fn after_the_logout_nothing_is_written() {
    let inner = TestStore::default();
    let store = RevocableStore::new(inner.clone());
    let first = log_in(&store).await;
    let (one, other) = (
        in_flight(&store, first).await,
        in_flight(&store, first).await,
    );
    let third = in_flight(&store, first).await;
    for request in [&one, &other] {
        request.cycle_id().await.unwrap();
        request.save().await.unwrap();
    }
    third.cycle_id().await.unwrap();
    revoke(&store, one.id().unwrap()).await;
    let before = inner.load(&other.id().unwrap()).await.unwrap();
    let created = inner.created();
    other.save().await.unwrap_err();
    third.save().await.unwrap_err();
    assert_eq!(inner.load(&other.id().unwrap()).await.unwrap(), before);
    assert_eq!(inner.created(), created);
}

#[tokio::test]
async fn a_session_whose_data_was_cleared_is_still_the_same_session() {
    let store = RevocableStore::new(TestStore::default());
    let first = log_in(&store).await;
    let second = cycle(&store, first).await;
    let request = in_flight(&store, second).await;
    request.clear().await;
    request.insert("user", "bob").await.unwrap();
    request.save().await.unwrap();
    assert!(is_live(&store, second).await);
    assert_eq!(revoke(&store, first).await, Revocation::Revoked);
    assert!(!is_live(&store, second).await);
}

#[tokio::test]
async fn a_taken_id_is_another_session() {
    let inner = TestStore::default();
    let store = RevocableStore::new(inner.clone());
    let id = log_in(&store).await;
    let mut record = inner.load(&id).await.unwrap().unwrap();
    store.create(&mut record).await.unwrap();
    assert_ne!(record.id, id);
    assert_eq!(revoke(&store, record.id).await, Revocation::Revoked);
    assert!(is_live(&store, id).await);
}
