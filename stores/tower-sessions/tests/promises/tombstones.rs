//! A client can compute the id of a tombstone from its cookie. Nothing that the client sends removes the
//! tombstone.

use std::time::Duration;

use tower_logout::Revocation;

use super::super::tower_sessions::SessionStore;
use super::test_store::{Point, TestStore};
use super::{RevocableStore, in_flight, is_live, log_in, revoke, session};

#[tokio::test]
async fn a_tombstone_is_no_session_and_stays() {
    let inner = TestStore::default();
    let store = RevocableStore::new(inner.clone());
    let (ended, deleted) = (log_in(&store).await, log_in(&store).await);
    let requests = [
        in_flight(&store, ended).await,
        in_flight(&store, deleted).await,
    ];
    revoke(&store, ended).await;
    session(&store, deleted).flush().await.unwrap();
    let tombstones: Vec<_> = inner.created().split_off(2);
    assert_eq!(tombstones.len(), 2);
    for id in tombstones {
        let tombstone = inner.load(&id).await.unwrap().unwrap();
        assert_eq!(store.load(&id).await.unwrap(), None);

        assert_eq!(revoke(&store, id).await, Revocation::NotFound);
        session(&store, id).delete().await.unwrap();
        session(&store, id).flush().await.unwrap();
        session(&store, id).cycle_id().await.unwrap();
        let cleared = session(&store, id);
        cleared.clear().await;
        cleared.insert("user", "mallory").await.unwrap();
        cleared.save().await.unwrap_err();
        cleared.cycle_id().await.unwrap();

        assert_eq!(inner.load(&id).await.unwrap(), Some(tombstone));
    }
    for request in requests {
        request.save().await.unwrap_err();
    }
    assert!(!is_live(&store, ended).await);
    assert!(!is_live(&store, deleted).await);
}

/// The client sends the id of a tombstone in the moment in which the tombstone is written.
#[tokio::test]
async fn a_delete_before_the_tombstone_removes_nothing_after_it() {
    let inner = TestStore::default();
    let store = RevocableStore::new(inner.clone());
    let id = log_in(&store).await;
    revoke(&store, id).await;
    let tombstone = *inner.created().last().unwrap();
    let written = inner.load(&tombstone).await.unwrap().unwrap();
    inner.delete(&tombstone).await.unwrap();

    let pause = inner.pause(Point::BeforeDelete);
    let delete = tokio::spawn({
        let store = store.clone();
        async move { store.delete(&tombstone).await }
    });
    let reached = tokio::time::timeout(Duration::from_millis(50), pause.reached()).await;
    assert!(reached.is_err(), "the record at the id was deleted unseen");
    delete.await.unwrap().unwrap();
    inner.save(&written).await.unwrap();
    assert!(inner.load(&tombstone).await.unwrap().is_some());
}

/// The store deletes expired records from time to time. Until then they take their ids.
#[tokio::test]
async fn an_expired_tombstone_is_written_again() {
    let inner = TestStore::default();
    let store = RevocableStore::new(inner.clone());
    let id = log_in(&store).await;
    let row = inner.load(&id).await.unwrap().unwrap();
    revoke(&store, id).await;
    let tombstone = *inner.created().last().unwrap();
    let mut expired = inner.load(&tombstone).await.unwrap().unwrap();
    expired.expiry_date -= Duration::from_secs(100 * 24 * 3600);
    inner.save(&expired).await.unwrap();
    inner.save(&row).await.unwrap();
    assert!(is_live(&store, id).await);

    let records = inner.created().len();
    assert_eq!(revoke(&store, id).await, Revocation::Revoked);
    assert!(!is_live(&store, id).await);
    // The record that the store has put at another id is gone.
    let created = inner.created().split_off(records);
    for id in created {
        assert_eq!(inner.load(&id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_tombstone_outlives_each_record_of_its_session() {
    let day = Duration::from_secs(24 * 3600);
    let inner = TestStore::default();
    let id = log_in(&inner).await;
    let short = RevocableStore::new(inner.clone()).with_longest_expiry(day);
    let expiry = inner.load(&id).await.unwrap().unwrap().expiry_date;
    revoke(&short, id).await;
    let tombstone = *inner.created().last().unwrap();
    let tombstone = inner.load(&tombstone).await.unwrap().unwrap();
    assert!(tombstone.expiry_date > expiry);

    let long = RevocableStore::new(inner.clone()).with_longest_expiry(day * 40);
    let id = log_in(&long).await;
    revoke(&long, id).await;
    let tombstone = *inner.created().last().unwrap();
    let tombstone = inner.load(&tombstone).await.unwrap().unwrap();
    assert!(tombstone.expiry_date > expiry + day * 20);
}
