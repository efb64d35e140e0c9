//! The layer reads tokens outside cookies only from the configured places.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Request};
use http_body_util::Full;
use tower::Layer;
use tower_logout::csrf::OriginCheck;
use tower_logout::outcome::FailureKind;
use tower_logout::store::SessionStore;
use tower_logout::token::TokenSourceKind;
use tower_logout::{
    ConfigError, LogoutLayer, MemoryStore, Outcome, Token, TokenSource, TokenStore, store_fn,
};

use support::log::Log;
use support::*;

fn with(headers: &[(&'static str, String)]) -> Request<TestBody> {
    let mut request = logout();
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(Full::default()).unwrap()
}

fn bearer(token: &Token) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", token.expose()))
}

#[tokio::test]
async fn a_bearer_token_is_revoked_if_that_is_configured() {
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let (store, token) = store_with_session().await;
        let layer = LogoutLayer::builder(store.clone())
            .token_source(TokenSource::bearer())
            .build()
            .unwrap();
        let value = format!("{scheme} {}", token.expose());
        let answer = through(&layer, with(&[("authorization", value)])).await;
        answer.assert_is_logged_out();
        assert_eq!(answer.token_sources(), "bearer");
        assert!(!is_live(&store, &token).await);
    }
}

#[tokio::test]
async fn only_cookies_are_read_by_default() {
    let (store, token) = store_with_session().await;
    let request = with(&[
        bearer(&token),
        ("x-refresh-token", token.expose().into()),
        ("refreshtoken", token.expose().into()),
    ]);
    let answer = through_default(store.clone(), request).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.token_sources(), "none");
    assert!(matches!(answer.outcome, Some(Outcome::NoToken)));
    assert!(is_live(&store, &token).await);
}

#[tokio::test]
async fn other_authorization_schemes_hold_no_token() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    for value in ["", "Bearer", "Bearer ", "Basic {T}", "Bearer{T}", "{T}"] {
        let value = value.replace("{T}", token.expose());
        let answer = through(&layer, with(&[("authorization", value)])).await;
        answer.assert_is_logged_out();
        assert!(matches!(answer.outcome, Some(Outcome::NoToken)));
    }
    assert!(is_live(&store, &token).await);
}

#[tokio::test]
async fn a_named_header_is_read_in_any_case_and_in_all_its_fields() {
    let store = MemoryStore::new();
    let tokens = [open(&store, "alice").await, open(&store, "bob").await];
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::header("X-Refresh-Token").unwrap())
        .build()
        .unwrap();
    let fields = tokens
        .each_ref()
        .map(|token| ("x-refresh-token", format!(" {} ", token.expose())));
    let answer = through(&layer, with(&fields)).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.token_sources(), "header");
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
}

#[tokio::test]
async fn metadata_is_read_from_grpc_calls_alone() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::metadata("refresh-token").unwrap())
        .require_json(false)
        .origin_check(OriginCheck::new())
        .build()
        .unwrap();
    let mut request = with(&[("refresh-token", token.expose().into())]);
    let answer = through(&layer, request.clone()).await;
    assert_eq!(answer.token_sources(), "none");
    assert!(is_live(&store, &token).await);

    let grpc = HeaderValue::from_static("application/grpc+proto");
    request.headers_mut().insert("content-type", grpc);
    let answer = through(&layer, request).await;
    assert_eq!(answer.token_sources(), "metadata");
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_closure_finds_tokens_elsewhere_in_the_request() {
    let store = MemoryStore::new();
    let tokens = [open(&store, "alice").await, open(&store, "bob").await];
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::from_fn(|request: &Parts| {
            request
                .extensions
                .get::<Vec<Token>>()
                .cloned()
                .unwrap_or_default()
        }))
        .build()
        .unwrap();
    let mut request = with(&[]);
    request.extensions_mut().insert(tokens.to_vec());
    let answer = through(&layer, request).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.token_sources(), "custom");
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
}

#[tokio::test]
async fn every_found_token_is_revoked_and_the_operator_sees_its_place() {
    let store = MemoryStore::new();
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(open(&store, "alice").await);
    }
    let custom = tokens[3].clone();
    let reported = Shared::default();
    let record = Arc::clone(&reported);
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::bearer())
        .token_source(TokenSource::header("x-token").unwrap())
        .token_source(TokenSource::from_fn(move |_| [custom.clone()]))
        .on_outcome(move |outcome, _| record.lock().unwrap().push(outcome.token_sources()))
        .build()
        .unwrap();
    let log = Log::default();
    let guard = log.record();
    let request = with(&[
        ("cookie", format!("refreshToken={}", tokens[0].expose())),
        bearer(&tokens[1]),
        ("x-token", tokens[2].expose().into()),
    ]);
    let answer = through(&layer, request).await;
    drop(guard);
    answer.assert_is_logged_out();
    let outcome = answer.outcome.as_ref().unwrap();
    assert_eq!(outcome.sessions().len(), 4);
    assert_eq!(answer.token_sources(), "cookie+bearer+header+custom");
    assert_eq!(*reported.lock().unwrap(), [outcome.token_sources()]);
    assert!(!outcome.token_sources().contains(TokenSourceKind::Metadata));
    assert!(
        log.lines()[0].contains("token_sources=cookie+bearer+header+custom"),
        "{:?}",
        log.lines()
    );
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
}

#[tokio::test]
async fn one_token_in_several_places_is_one_store_call() {
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let store = store_fn(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async { Ok(tower_logout::Revocation::Revoked) }
    });
    let layer = LogoutLayer::builder(store)
        .token_source(TokenSource::bearer())
        .token_source(TokenSource::header("x-token").unwrap())
        .build()
        .unwrap();
    let token = Token::new("t");
    let request = with(&[
        ("cookie", "refreshToken=t".into()),
        bearer(&token),
        ("x-token", "t".into()),
    ]);
    let answer = through(&layer, request).await;
    assert_eq!(answer.token_sources(), "cookie+bearer+header");
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn planted_cookies_do_not_displace_a_bearer_token() {
    let (store, token) = store_with_session().await;
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (counted, behind) = (Arc::clone(&calls), store.clone());
    let counting = store_fn(move |token: Token| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let behind = behind.clone();
        async move { behind.revoke(&token).await }
    });
    let layer = LogoutLayer::builder(counting)
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let planted: Vec<_> = (0..100).map(|n| format!("refreshToken=t{n}")).collect();
    let request = with(&[("cookie", planted.join("; ")), bearer(&token)]);
    let answer = through(&layer, request).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(failure(&answer), FailureKind::TooManyTokens);
    assert_eq!(answer.outcome.as_ref().unwrap().sessions().len(), 1);
    assert!(!is_live(&store, &token).await);
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 16);
}

#[tokio::test]
async fn a_token_of_16_kib_is_revoked_and_a_longer_one_is_a_failure() {
    let store = MemoryStore::new();
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::bearer())
        .token_source(TokenSource::from_fn(|request| {
            request.extensions.get::<Token>().cloned()
        }))
        .build()
        .unwrap();
    let token = Token::new("x".repeat(16 * 1024));
    store.open("alice", &token).await.unwrap();
    through(&layer, with(&[bearer(&token)]))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);

    let token = Token::new("x".repeat(16 * 1024 + 1));
    store.open("alice", &token).await.unwrap();
    let mut by_extension = with(&[]);
    by_extension.extensions_mut().insert(token.clone());
    for request in [with(&[bearer(&token)]), by_extension] {
        let answer = through(&layer, request).await;
        answer.assert_is_failed_and_keeps_cookies();
        assert_eq!(failure(&answer), FailureKind::TokenTooLong);
    }
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::bearer())
        .max_token_len(20_000)
        .build()
        .unwrap();
    through(&layer, with(&[bearer(&token)]))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_token_that_is_not_ascii_is_read_as_utf_8_and_as_latin_1() {
    for written in ["t\u{f6}ken".as_bytes(), b"t\xf6ken"] {
        let store = MemoryStore::new();
        let token = Token::new("t\u{f6}ken");
        store.open("alice", &token).await.unwrap();
        let layer = LogoutLayer::builder(store.clone())
            .token_source(TokenSource::header("x-token").unwrap())
            .build()
            .unwrap();
        let mut request = with(&[]);
        let value = HeaderValue::from_bytes(written).unwrap();
        request.headers_mut().insert("x-token", value);
        let answer = through(&layer, request).await;
        answer.assert_is_logged_out();
        assert_eq!(answer.token_sources(), "header");
        assert!(!is_live(&store, &token).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_the_places_of_the_tokens_too() {
    let failing = store_fn(|_| async { Err("down".into()) });
    let hanging = store_fn(|_| futures::future::pending());
    let token = Token::new("t");
    let layer = LogoutLayer::builder(failing)
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let answer = through(&layer, with(&[bearer(&token)])).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(answer.token_sources(), "bearer");
    let layer = LogoutLayer::builder(hanging)
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let answer = through(&layer, with(&[bearer(&token)])).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(answer.token_sources(), "bearer");
}

#[test]
fn a_header_that_can_hold_no_token_is_rejected() {
    for name in ["", "x token", "cookie", "Cookie", "Authorization"] {
        let error = TokenSource::header(name).unwrap_err();
        assert!(matches!(error, ConfigError::InvalidTokenHeader { .. }));
        assert!(error.to_string().contains("x-refresh-token"));
    }
    assert!(TokenSource::header("x-token").is_ok());
    let error = TokenSource::metadata("token-bin").unwrap_err();
    assert!(matches!(error, ConfigError::InvalidTokenMetadata { .. }));
}

#[tokio::test]
async fn no_token_of_a_header_is_in_an_event_an_outcome_or_a_debug() {
    let token = Token::new("very-secret-token");
    let custom = token.clone();
    let talkative =
        store_fn(|token: Token| async move { Err(format!("no {}", token.expose()).into()) });
    let builder = LogoutLayer::builder(talkative)
        .token_source(TokenSource::bearer())
        .token_source(TokenSource::header("x-token").unwrap())
        .token_source(TokenSource::from_fn(move |_| Some(custom.clone())));
    let shown_builder = format!("{builder:?}");
    let layer = builder.build().unwrap();
    let log = Log::default();
    let guard = log.record();
    let request = with(&[bearer(&token), ("x-token", token.expose().into())]);
    let answer = through(&layer, request).await;
    drop(guard);
    let everything = format!(
        "{shown_builder} {layer:?} {:?} {answer:?} {:?}",
        layer.layer(()),
        log.lines()
    );
    assert!(!everything.contains("very-secret"), "{everything}");
    assert!(log.lines()[0].contains("no [redacted]"));
}
