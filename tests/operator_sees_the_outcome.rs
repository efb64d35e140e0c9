//! The operator sees the outcome of each logout once, and never sees a token.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use tower::Layer;
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, MemoryStore, Outcome, Token, TokenStore, store_fn};

use support::gate::GatedStore;
use support::log::Log;
use support::*;

/// One logout: its answer, its events and the outcomes that the callback got.
struct Seen {
    answer: Answer,
    log: Log,
    reported: Shared<(String, usize, Duration)>,
}

async fn watch<T: TokenStore>(
    store: T,
    request: http::Request<TestBody>,
) -> (Seen, LogoutLayer<T>) {
    let reported = Shared::default();
    let record = Arc::clone(&reported);
    let layer = LogoutLayer::builder(store)
        .on_outcome(move |outcome: &Outcome, latency| {
            let entry = (format!("{outcome:?}"), outcome.sessions().len(), latency);
            record.lock().unwrap().push(entry);
        })
        .build()
        .unwrap();
    let log = Log::default();
    let guard = log.record();
    let answer = through(&layer, request).await;
    drop(guard);
    let seen = Seen {
        answer,
        log,
        reported,
    };
    (seen, layer)
}

#[tokio::test]
async fn each_outcome_is_in_the_extensions_in_one_event_and_in_one_call_of_the_callback() {
    let (store, token) = store_with_session().await;
    let id = store.find(&token).await.unwrap().unwrap().id;
    let no_token = logout().body(Full::default()).unwrap();
    let mut rejected = logout_with(&token);
    rejected.headers_mut().remove("content-type");
    let failing = store_fn(|_| async { Err("disk full".into()) });
    let rows = [
        (watch(store.clone(), rejected).await.0, "rejected", "WARN"),
        (
            watch(store.clone(), logout_with(&token)).await.0,
            "revoked",
            "INFO",
        ),
        (
            watch(store.clone(), logout_with(&token)).await.0,
            "inactive",
            "INFO",
        ),
        (watch(store, no_token).await.0, "no_token", "WARN"),
        (
            watch(failing, logout_with(&token)).await.0,
            "failed",
            "ERROR",
        ),
    ];
    for (seen, name, level) in &rows {
        assert_eq!(seen.answer.outcome.as_ref().unwrap().name(), *name);
        assert_eq!(seen.reported.lock().unwrap().len(), 1, "{name}");
        let lines = seen.log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains(&format!("outcome=\"{name}\"")),
            "{lines:?}"
        );
        assert!(lines[0].contains(level), "{lines:?}");
        assert!(lines[0].contains(&format!(
            "http.response.status_code={}",
            seen.answer.status.as_u16()
        )));
    }
    assert!(rows[1].0.log.lines()[0].contains(id.as_str()));
    assert!(rows[4].0.log.lines()[0].contains("the store failed: disk full"));
}

#[tokio::test]
async fn of_many_logouts_at_once_exactly_one_names_the_session() {
    let (store, token) = store_with_session().await;
    let reported = Shared::default();
    let record = Arc::clone(&reported);
    let layer = LogoutLayer::builder(store)
        .on_outcome(move |outcome: &Outcome, _| {
            record.lock().unwrap().extend(outcome.sessions().to_vec());
        })
        .build()
        .unwrap();
    let logouts = (0..50).map(|_| through(&layer, logout_with(&token)));
    for answer in futures::future::join_all(logouts).await {
        answer.assert_is_logged_out();
    }
    assert_eq!(reported.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_revocation_that_outlives_its_client_is_reported_once_when_it_ends() {
    let (memory, token) = store_with_session().await;
    let reported = Shared::default();
    let record = Arc::clone(&reported);
    let layer = LogoutLayer::builder(memory)
        .on_outcome(move |outcome: &Outcome, _| record.lock().unwrap().push(outcome.name()))
        .build()
        .unwrap();
    drop(tower::Service::call(
        &mut layer.layer(inner()),
        logout_with(&token),
    ));
    layer.drain().await;
    assert_eq!(*reported.lock().unwrap(), ["revoked"]);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_outlives_its_timeout_is_a_failure_and_then_names_its_session() {
    let (memory, token) = store_with_session().await;
    let gated = GatedStore::new(memory);
    let (seen, layer) = watch(gated.clone(), logout_with(&token)).await;
    gated.open();
    layer.drain().await;
    let reported = seen.reported.lock().unwrap();
    assert_eq!(reported.len(), 2);
    assert!(reported[0].0.starts_with("Failed"));
    assert_eq!((reported[0].1, reported[1].1), (0, 1));
    assert_eq!(seen.log.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_after_its_timeout_is_reported_to_the_callback() {
    let store = store_fn(|_| async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Err("down".into())
    });
    let (seen, layer) = watch(store, logout_with(&Token::new("t"))).await;
    layer.drain().await;
    let reported = seen.reported.lock().unwrap();
    assert_eq!(reported.len(), 2);
    assert!(reported[0].0.contains("TimedOut"), "{reported:?}");
    assert!(reported[1].0.contains("down"), "{reported:?}");
}

#[tokio::test]
async fn a_logout_that_fails_at_one_token_names_what_it_ended_by_the_others() {
    let (memory, token) = store_with_session().await;
    let id = memory.find(&token).await.unwrap().unwrap().id;
    let store = store_fn(move |token: Token| {
        let memory = memory.clone();
        async move {
            match token.expose() {
                "bad" => Err("down".into()),
                _ => memory.revoke(&token).await,
            }
        }
    });
    let request = logout()
        .header("cookie", format!("refreshToken={}", token.expose()))
        .header("cookie", "refreshToken=bad")
        .body(Full::default())
        .unwrap();
    let (seen, _) = watch(store, request).await;
    let outcome = seen.answer.outcome.as_ref().unwrap();
    assert_eq!((outcome.name(), outcome.sessions()), ("failed", &[id][..]));
    assert_eq!(seen.reported.lock().unwrap()[0].1, 1);
}

#[tokio::test]
async fn the_event_of_a_detached_revocation_is_in_the_span_of_its_request() {
    let (memory, token) = store_with_session().await;
    let layer = LogoutLayer::new(memory);
    let log = Log::default();
    let _guard = log.record();
    let mut service = layer.layer(inner());
    let future = tracing::info_span!("request", id = 7)
        .in_scope(|| tower::Service::call(&mut service, logout_with(&token)));
    drop(future);
    layer.drain().await;
    assert!(
        log.lines()[0].contains("request{id=7}"),
        "{:?}",
        log.lines()
    );
}

#[tokio::test]
async fn a_callback_that_panics_changes_nothing() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .on_outcome(|_, _| panic!("the audit log is full"))
        .build()
        .unwrap();
    through(&layer, logout_with(&token))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn no_token_is_in_an_event_an_outcome_an_error_or_a_debug() {
    let token = Token::new("very-secret-token");
    let talkative = store_fn(|token: Token| async move {
        Err(format!("no row for {} ({token:?})", token.expose()).into())
    });
    let (seen, layer) = watch(talkative, logout_with(&token)).await;
    let reported = seen.reported.lock().unwrap().clone();
    let everything = format!(
        "{:?} {:?} {layer:?} {:?} {token} {token:?} {:?}",
        seen.answer,
        reported,
        layer.layer(()),
        seen.log.lines(),
    );
    assert!(!everything.contains("very-secret"), "{everything}");
    assert!(seen.log.lines()[0].contains("no row for [redacted]"));

    let memory = MemoryStore::new();
    memory.open("alice", &token).await.unwrap();
    assert!(!format!("{memory:?}").contains("very-secret"));
}
