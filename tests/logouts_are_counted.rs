//! Logouts are counted by outcome and by token source, and their latency is measured.

use std::collections::BTreeMap;
use std::future::Future;

use http::Request;
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::Layer;
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, MemoryStore, Token, TokenSource, TokenStore, store_fn};

use support::gate::GatedStore;
use support::*;

/// Runs the future with its own recorder, on this thread.
async fn recorded<F: Future>(run: impl FnOnce() -> F) -> (F::Output, BTreeMap<String, DebugValue>) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let output = run().await;
    drop(guard);
    (output, read(&snapshotter))
}

/// The values of the metrics by `name{label="value",…}`.
fn read(snapshotter: &Snapshotter) -> BTreeMap<String, DebugValue> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key
                .key()
                .labels()
                .map(|label| format!("{}={:?}", label.key(), label.value()))
                .collect();
            (
                format!("{}{{{}}}", key.key().name(), labels.join(",")),
                value,
            )
        })
        .collect()
}

/// Checks that one logout adds one count and one latency.
async fn assert_counts<T: TokenStore>(
    layer: &LogoutLayer<T>,
    request: Request<TestBody>,
    outcome: &str,
    token_sources: &str,
) {
    let (answer, metrics) = recorded(|| through(layer, request)).await;
    assert_eq!(answer.outcome.as_ref().unwrap().name(), outcome);
    assert_eq!(answer.token_sources(), token_sources);
    let counter = format!("logouts_total{{outcome={outcome:?},token_sources={token_sources:?}}}");
    let histogram = format!("logout_duration_seconds{{outcome={outcome:?}}}");
    assert_eq!(metrics.len(), 2, "{metrics:?}");
    assert_eq!(metrics.get(&counter), Some(&DebugValue::Counter(1)));
    let Some(DebugValue::Histogram(times)) = metrics.get(&histogram) else {
        panic!("{metrics:?}");
    };
    assert_eq!(times.len(), 1);
    assert!((0.0..10.0).contains(&times[0].into_inner()), "{times:?}");
}

#[tokio::test]
async fn each_outcome_is_counted_and_timed_once() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::new(store);
    let no_token = logout().body(Full::default()).unwrap();
    let mut rejected = logout_with(&token);
    rejected.headers_mut().remove("content-type");
    let failing = LogoutLayer::new(store_fn(|_| async { Err("down".into()) }));

    assert_counts(&layer, rejected, "rejected", "none").await;
    assert_counts(&layer, logout_with(&token), "revoked", "cookie").await;
    assert_counts(&layer, logout_with(&token), "inactive", "cookie").await;
    assert_counts(&layer, no_token, "no_token", "none").await;
    assert_counts(&failing, logout_with(&token), "failed", "cookie").await;
}

#[tokio::test]
async fn each_token_source_is_counted_by_its_name_and_several_by_all_their_names() {
    let layer = LogoutLayer::builder(MemoryStore::new())
        .grpc()
        .token_source(TokenSource::bearer())
        .token_source(TokenSource::header("x-token").unwrap())
        .token_source(TokenSource::metadata("refresh-token").unwrap())
        .token_source(TokenSource::from_fn(|request| {
            request.uri.query().map(Token::new)
        }))
        .build()
        .unwrap();
    let places = [
        ("cookie", "cookie", "refreshToken=t"),
        ("bearer", "authorization", "Bearer t"),
        ("header", "x-token", "t"),
    ];
    for (kind, header, value) in places {
        let request = logout().header(header, value).body(Full::default());
        assert_counts(&layer, request.unwrap(), "inactive", kind).await;
    }
    let metadata = Request::post("/auth/logout")
        .header("content-type", "application/grpc")
        .header("refresh-token", "t")
        .body(Full::default());
    assert_counts(&layer, metadata.unwrap(), "inactive", "metadata").await;

    let mut custom = logout().body(Full::default()).unwrap();
    *custom.uri_mut() = "/auth/logout?t".parse().unwrap();
    assert_counts(&layer, custom, "inactive", "custom").await;

    let mut several = logout_with(&Token::new("t"));
    let bearer = "Bearer u".parse().unwrap();
    several.headers_mut().insert("authorization", bearer);
    assert_counts(&layer, several, "inactive", "cookie+bearer").await;
}

#[tokio::test]
async fn other_requests_are_not_counted() {
    let layer = LogoutLayer::new(MemoryStore::new());
    let request = Request::get("/auth/logout").body(Full::default()).unwrap();
    let (answer, metrics) = recorded(|| through(&layer, request)).await;
    answer.assert_is_inner();
    assert!(metrics.is_empty(), "{metrics:?}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_outlives_its_timeout_is_counted_once_as_a_failure() {
    let (memory, token) = store_with_session().await;
    let gated = GatedStore::new(memory);
    let layer = LogoutLayer::new(gated.clone());
    let ((), metrics) = recorded(|| async {
        through(&layer, logout_with(&token)).await;
        gated.open();
        layer.drain().await;
    })
    .await;
    let counters: Vec<_> = metrics
        .iter()
        .filter(|(name, _)| name.starts_with("logouts_total"))
        .collect();
    let failed = "logouts_total{outcome=\"failed\",token_sources=\"cookie\"}".to_owned();
    assert_eq!(counters, [(&failed, &DebugValue::Counter(1))]);
}

#[tokio::test]
async fn a_revocation_that_outlives_its_client_is_counted_when_it_ends() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::new(store);
    let ((), metrics) = recorded(|| async {
        drop(tower::Service::call(
            &mut layer.layer(inner()),
            logout_with(&token),
        ));
        layer.drain().await;
    })
    .await;
    let revoked = "logouts_total{outcome=\"revoked\",token_sources=\"cookie\"}";
    assert_eq!(metrics.get(revoked), Some(&DebugValue::Counter(1)));
}

#[tokio::test]
async fn each_check_of_a_session_is_counted_by_its_outcome() {
    let (store, token) = store_with_session().await;
    let id = store.find(&token).await.unwrap().unwrap().id;
    let layer = RequireSessionLayer::asking_by(store, |head| {
        let sid = head.headers.get("sid")?;
        Some(sid.to_str().ok()?.into())
    });
    let check = async |sid: Option<&str>| {
        let mut request = Request::get("/me");
        if let Some(sid) = sid {
            request = request.header("sid", sid);
        }
        let request = request.body(Full::default()).unwrap();
        recorded(|| send(layer.layer(inner()), request)).await.1
    };
    for (sid, outcome) in [
        (Some(id.as_str()), "live"),
        (Some("ended"), "ended"),
        (None, "no_session"),
    ] {
        let name = format!("session_checks_total{{outcome={outcome:?}}}");
        let counted = BTreeMap::from([(name, DebugValue::Counter(1))]);
        assert_eq!(check(sid).await, counted);
    }
}
