//! A request in flight does not bring its session back.

use std::sync::Arc;
use std::time::Duration;

use tower_logout::store::Transient;
use tower_logout::{BoxError, Revocation, Token, TokenStore, async_trait};

use super::super::tower_sessions::session::{Id, Record};
use super::super::tower_sessions::session_store::{Error, ExpiredDeletion, Result};
use super::super::tower_sessions::{Expiry, Session, SessionStore};
use super::test_store::{Point, TestStore};
use super::{RevocableStore, in_flight, is_live, log_in, revoke, session};

#[tokio::test]
async fn without_the_wrapper_a_request_in_flight_brings_the_session_back() {
    let store = TestStore::default();
    let id = log_in(&store).await;
    let request = in_flight(&store, id).await;
    revoke(&RevocableStore::new(store.clone()), id).await;
    assert!(!is_live(&store, id).await);
    request.save().await.unwrap();
    assert!(is_live(&store, id).await);
}

fn wrapped() -> (TestStore, RevocableStore<TestStore>) {
    let inner = TestStore::default();
    (inner.clone(), RevocableStore::new(inner))
}

fn assert_is_refused<T: std::fmt::Debug>(saved: std::result::Result<T, impl Into<BoxError>>) {
    assert_eq!(
        saved.map_err(Into::into).unwrap_err().to_string(),
        "the session has ended"
    );
}

#[tokio::test]
async fn a_save_after_the_logout_is_refused() {
    let (inner, store) = wrapped();
    let id = log_in(&store).await;
    let request = in_flight(&store, id).await;
    assert_eq!(revoke(&store, id).await, Revocation::Revoked);
    assert_is_refused(request.save().await);
    assert!(!is_live(&store, id).await);
    assert_eq!(inner.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_save_that_has_passed_its_check_is_undone() {
    let (inner, store) = wrapped();
    let id = log_in(&store).await;
    let request = in_flight(&store, id).await;
    let pause = inner.pause(Point::BeforeSave);
    let saved = tokio::spawn(async move { request.save().await });
    pause.reached().await;
    revoke(&store, id).await;
    pause.resume();
    assert_is_refused(saved.await.unwrap());
    assert!(!is_live(&store, id).await);
    assert_eq!(inner.load(&id).await.unwrap(), None);
}

/// A client that disconnects cancels its request, and a crash does the same.
#[tokio::test]
async fn a_record_that_a_cancelled_save_has_left_is_dead() {
    let (inner, store) = wrapped();
    let id = log_in(&store).await;
    let request = in_flight(&store, id).await;
    let (before, after) = (
        inner.pause(Point::BeforeSave),
        inner.pause(Point::AfterSave),
    );
    let saved = tokio::spawn(async move { request.save().await });
    before.reached().await;
    revoke(&store, id).await;
    before.resume();
    after.reached().await;
    saved.abort();
    assert!(saved.await.unwrap_err().is_cancelled());
    assert!(inner.load(&id).await.unwrap().is_some());
    assert!(!is_live(&store, id).await);
    assert_is_refused(store.save(&inner.load(&id).await.unwrap().unwrap()).await);
    assert_eq!(revoke(&store, id).await, Revocation::NotFound);
}

/// The logout of the application itself, such as axum-login's `AuthSession::logout`.
#[tokio::test]
async fn a_save_after_a_flush_is_refused_and_undone() {
    let (inner, store) = wrapped();
    let id = log_in(&store).await;
    let late = in_flight(&store, id).await;
    let racing = in_flight(&store, id).await;
    let pause = inner.pause(Point::BeforeSave);
    let saved = tokio::spawn(async move { racing.save().await });
    pause.reached().await;
    session(&store, id).flush().await.unwrap();
    assert_is_refused(late.save().await);
    pause.resume();
    assert_is_refused(saved.await.unwrap());
    assert!(!is_live(&store, id).await);
}

/// For example with the message that the user has logged out.
#[tokio::test]
async fn a_request_that_has_flushed_its_session_gets_another_one() {
    for is_revoked in [false, true] {
        let (_, store) = wrapped();
        let id = log_in(&store).await;
        let request = in_flight(&store, id).await;
        if is_revoked {
            revoke(&store, id).await;
        }
        request.flush().await.unwrap();
        request.insert("user", "nobody").await.unwrap();
        request.save().await.unwrap();
        assert!(is_live(&store, request.id().unwrap()).await);
        assert!(!is_live(&store, id).await);
    }
}

#[tokio::test]
async fn a_logout_waits_for_nobody_and_is_repeatable() {
    let (inner, store) = wrapped();
    let (id, other) = (log_in(&store).await, log_in(&store).await);
    let pause = inner.pause(Point::BeforeDelete);
    let first = tokio::spawn({
        let store = store.clone();
        async move { revoke(&store, id).await }
    });
    pause.reached().await;
    assert!(!is_live(&store, id).await);
    assert_eq!(revoke(&store, id).await, Revocation::NotFound);
    pause.resume();
    assert_eq!(first.await.unwrap(), Revocation::Revoked);
    assert!(is_live(&store, other).await);
}

/// A session that was saved before the store was wrapped.
#[tokio::test]
async fn a_session_of_before_the_wrapper_is_ended_as_well() {
    let (inner, store) = wrapped();
    let id = log_in(&inner).await;
    let request = in_flight(&store, id).await;
    assert_eq!(revoke(&store, id).await, Revocation::Revoked);
    assert_is_refused(request.save().await);
    assert!(!is_live(&store, id).await);
}

#[tokio::test]
async fn a_session_that_would_outlive_its_tombstone_is_not_saved() {
    let (_, store) = wrapped();
    let store = store.with_longest_expiry(Duration::from_secs(3600));
    for (seconds, fits) in [(3600, true), (3700, false)] {
        let expiry = Expiry::OnInactivity(Duration::from_secs(seconds).try_into().unwrap());
        let session = Session::new(None, Arc::new(store.clone()), Some(expiry));
        session.insert("user", "alice").await.unwrap();
        assert_eq!(session.save().await.is_ok(), fits, "{seconds}");
    }
}

#[tokio::test]
async fn expired_sessions_are_deleted_through_the_wrapper() {
    let (inner, store) = wrapped();
    log_in(&store).await;
    store.delete_expired().await.unwrap();
    assert!(inner.created().is_empty());
}

/// What a store does with an id that it cannot create.
#[derive(Clone, Copy, Debug)]
enum Create {
    /// Answers `Ok`, and keeps nothing.
    Forgets,
    Fails,
    /// Answers with an error, as tower-sessions-redis-store 0.16 does.
    RefusesTakenIds,
}

#[derive(Clone, Debug)]
struct Odd(TestStore, Create);

#[async_trait]
impl SessionStore for Odd {
    async fn create(&self, record: &mut Record) -> Result<()> {
        match self.1 {
            Create::Forgets => Ok(()),
            Create::Fails => Err(Error::Backend("the disk is full".into())),
            Create::RefusesTakenIds if self.load(&record.id).await?.is_none() => {
                self.0.create(record).await
            }
            Create::RefusesTakenIds => Err(Error::Backend("the id is taken".into())),
        }
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.0.save(record).await
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.0.load(id).await
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.delete(id).await
    }
}

#[tokio::test]
async fn a_tombstone_that_the_store_does_not_keep_is_an_error() {
    for create in [Create::Forgets, Create::Fails] {
        let inner = TestStore::default();
        let id = log_in(&inner).await;
        let store = RevocableStore::new(Odd(inner, create));
        let error = store.revoke(&Token::new(id.to_string())).await.unwrap_err();
        assert!(error.is::<Transient>());
        assert!(!error.to_string().contains(&id.to_string()));
        assert!(matches!(store.delete(&id).await, Err(Error::Backend(_))));
    }
}

#[tokio::test]
async fn a_tombstone_that_is_there_is_no_error() {
    let inner = TestStore::default();
    let id = log_in(&inner).await;
    let store = RevocableStore::new(Odd(inner.clone(), Create::RefusesTakenIds));
    let pause = inner.pause(Point::BeforeDelete);
    let first = tokio::spawn({
        let store = store.clone();
        async move { revoke(&store, id).await }
    });
    pause.reached().await;
    assert_eq!(revoke(&store, id).await, Revocation::NotFound);
    pause.resume();
    assert_eq!(first.await.unwrap(), Revocation::Revoked);
}
