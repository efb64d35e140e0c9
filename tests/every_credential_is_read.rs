//! Wherever the refresh cookie hides in a request, it is found.

use std::sync::Arc;

use http::header::COOKIE;
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde::Deserialize;
use tower_logout::{MemoryStore, Outcome, Revocation, Token, store_fn};

use crate::support::*;

fn with_fields(fields: &[Vec<u8>]) -> Request<TestBody> {
    let mut request = logout();
    for field in fields {
        request = request.header(COOKIE, HeaderValue::from_bytes(field).unwrap());
    }
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_token_is_found_between_all_sorts_of_neighbours() {
    let placements: [&[&[u8]]; 10] = [
        &[b"refreshToken={T}"],
        &[b"theme=dark; refreshToken={T}; lang=en"],
        &[b"theme=dark", b"refreshToken={T}", b"lang=en"],
        &[b"name=M\xfcller; refreshToken={T}"],
        &[b"\xff\xfe; refreshToken={T}"],
        &[b"refreshToken=\"{T}\""],
        &[b"xrefreshToken=a; refreshTokenx=b; refreshToken={T}"],
        &[b"q=\"a; refreshToken={T}"],
        &[b" ;;; refreshToken = {T} ;"],
        &[b"a=refreshToken=b; refreshToken={T}"],
    ];
    for placement in placements {
        let (store, token) = store_with_session().await;
        let fields: Vec<_> = placement.iter().map(|field| fill(field, &token)).collect();
        through_default(store.clone(), with_fields(&fields))
            .await
            .assert_is_logged_out();
        let shown: Vec<_> = placement
            .iter()
            .map(|field| String::from_utf8_lossy(field))
            .collect();
        assert!(!is_live(&store, &token).await, "{shown:?}");
    }
}

fn fill(field: &[u8], token: &Token) -> Vec<u8> {
    let at = field.windows(3).position(|window| window == b"{T}");
    let at = at.unwrap_or(field.len());
    let after = field.get(at + 3..).unwrap_or_default();
    [&field[..at], token.expose().as_bytes(), after].concat()
}

#[tokio::test]
async fn every_distinct_value_of_a_duplicated_cookie_is_ended() {
    let store = MemoryStore::new();
    let tokens = [open(&store, "alice").await, open(&store, "alice").await];
    let [first, second] = tokens
        .each_ref()
        .map(|token| format!("refreshToken={}", token.expose()));
    let field = format!("{first}; {second}; {first}");
    let answer = through_default(store.clone(), with_fields(&[field.into_bytes()])).await;
    answer.assert_is_logged_out();
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
    assert_eq!(answer.outcome.unwrap().sessions().len(), 2);
}

#[tokio::test]
async fn hostile_input_costs_the_store_at_most_eight_calls() {
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let store = store_fn(move |_| {
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async { Ok(Revocation::NotFound) }
    });
    let pairs: Vec<_> = (0..500).map(|n| format!("refreshToken=t{n}")).collect();
    let long = format!("refreshToken={}", "x".repeat(4097));
    let fields = [long.into_bytes(), pairs.join("; ").into_bytes()];
    through_default(store, with_fields(&fields))
        .await
        .assert_is_logged_out();
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 8);
}

#[tokio::test]
async fn a_token_that_is_too_long_is_as_good_as_unknown() {
    let field = format!("refreshToken={}", "x".repeat(4097)).into_bytes();
    let answer = through_default(MemoryStore::new(), with_fields(&[field])).await;
    answer.assert_is_logged_out();
    assert!(matches!(answer.outcome, Some(Outcome::AlreadyEnded { .. })));
}

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    wire: Vec<Vec<String>>,
    want: String,
    source_says: Option<String>,
}

/// Where other parsers differ we find the token rather than not: to end a session that was presented
/// harms nobody, to miss one breaks the promise.
#[tokio::test]
async fn the_vectors_of_other_parsers_are_read_as_they_say() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/vectors/cookies.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: cookie vectors not found");
        return;
    };
    let vectors: Vectors = serde_json::from_str(&text).unwrap();
    let mut tried = 0;
    for vector in vectors.cases {
        for wire in &vector.wire {
            let (store, token) = store_with_session().await;
            let fields: Vec<_> = wire
                .iter()
                .map(|field| {
                    let field = field.replace("{N}", "refreshToken");
                    field.replace("{T}", token.expose()).into_bytes()
                })
                .collect();
            through_default(store.clone(), with_fields(&fields))
                .await
                .assert_is_logged_out();
            let found = !is_live(&store, &token).await;
            match &*vector.want {
                "found" | "policy" => assert!(found, "{}: {:?}", vector.id, vector.source_says),
                "none" => assert!(!found, "{}", vector.id),
                other => panic!("unknown expectation {other}"),
            }
            tried += 1;
        }
    }
    assert!(tried >= 132, "only {tried} were tried");
}
