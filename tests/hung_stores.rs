//! A store that does not answer delays only a limited number of revocations, each for a limited time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower::Layer;
use tower_logout::outcome::FailureKind;
use tower_logout::{LogoutLayer, Outcome, Revocation, Token, TokenStore, store_fn};

use support::gate::GatedStore;
use support::*;

/// A store that never answers, and the number of calls.
fn hung() -> (impl TokenStore, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let store = store_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        futures::future::pending()
    });
    (store, calls)
}

#[tokio::test(start_paused = true)]
async fn of_ten_thousand_logouts_at_once_all_beyond_the_limit_fail_at_once_without_a_store_call() {
    let (store, calls) = hung();
    let layer = LogoutLayer::builder(store)
        .max_in_flight(100)
        .build()
        .unwrap();
    let token = Token::new("t");
    let start = tokio::time::Instant::now();
    let logouts = (0..10_000).map(|_| through(&layer, logout_with(&token)));
    let mut kinds = [0, 0];
    let mut timed = [Duration::ZERO; 2];
    for answer in futures::future::join_all(logouts.map(async |answer| {
        let answer = answer.await;
        (answer, start.elapsed())
    }))
    .await
    {
        let (answer, latency) = answer;
        answer.assert_is_failed_and_keeps_cookies();
        let kind = match failure(&answer) {
            FailureKind::TimedOut => 0,
            FailureKind::Overloaded => 1,
            other => panic!("{other:?}"),
        };
        kinds[kind] += 1;
        timed[kind] = timed[kind].max(latency);
    }
    assert_eq!(kinds, [100, 9900]);
    assert_eq!(timed, [Duration::from_secs(5), Duration::ZERO]);
    assert_eq!(calls.load(Ordering::Relaxed), 100);

    // The revocations continue in the background and still count.
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(failure(&answer), FailureKind::Overloaded);
    // After `detached_timeout` there is room again.
    tokio::time::sleep(Duration::from_secs(31)).await;
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(failure(&answer), FailureKind::TimedOut);
}

#[tokio::test]
async fn a_revocation_that_has_ended_makes_room_for_another() {
    let (memory, token) = store_with_session().await;
    let gated = GatedStore::new(memory.clone());
    let layer = LogoutLayer::builder(gated.clone())
        .max_in_flight(1)
        .build()
        .unwrap();
    // The client hangs up.
    let mut service = layer.layer(inner());
    drop(tower::Service::call(&mut service, logout_with(&token)));
    gated.begun().await;
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(failure(&answer), FailureKind::Overloaded);
    gated.open();
    layer.drain().await;
    assert!(!is_live(&memory, &token).await);
    gated.open();
    through(&layer, logout_with(&token))
        .await
        .assert_is_logged_out();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_is_given_up_is_reported() {
    for hangs_up in [true, false] {
        let (store, _) = hung();
        let seen: Shared<FailureKind> = Shared::default();
        let record = Arc::clone(&seen);
        let layer = LogoutLayer::builder(store)
            .timeout(Duration::from_secs(1))
            .detached_timeout(Duration::from_secs(2))
            .on_outcome(move |outcome, _| match outcome {
                Outcome::Failed(failure) => record.lock().unwrap().push(failure.kind()),
                other => panic!("{other:?}"),
            })
            .build()
            .unwrap();
        let token = Token::new("t");
        let mut expected = vec![FailureKind::GivenUp];
        if hangs_up {
            let mut service = layer.layer(inner());
            drop(tower::Service::call(&mut service, logout_with(&token)));
        } else {
            through(&layer, logout_with(&token)).await;
            expected.insert(0, FailureKind::TimedOut);
        }
        // The last step of a shutdown waits no longer either.
        layer.drain().await;
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_logout_without_a_token_does_not_count() {
    let layer = LogoutLayer::builder(store_fn(|_| async { Ok(Revocation::NotFound) }))
        .max_in_flight(0)
        .build()
        .unwrap();
    let request = logout().body(TestBody::default()).unwrap();
    through(&layer, request).await.assert_is_logged_out();
    let answer = through(&layer, logout_with(&Token::new("t"))).await;
    assert_eq!(failure(&answer), FailureKind::Overloaded);
}
