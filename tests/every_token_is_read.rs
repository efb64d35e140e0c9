//! The layer finds every refresh cookie in a request.

use std::sync::{Arc, Mutex};

use http::header::COOKIE;
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde::Deserialize;
use tower_logout::cookie::Cookie;
use tower_logout::outcome::FailureKind;
use tower_logout::store::SessionStore;
use tower_logout::token::TokenSourceKind;
use tower_logout::{
    AuthCookies, ConfigError, LogoutLayer, MemoryStore, Revocation, Token, TokenSource, store_fn,
};

use support::*;

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
async fn every_distinct_value_of_a_duplicated_cookie_is_revoked() {
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

/// Returns a `Cookie` header with the tokens of this number of sessions, and the tokens.
async fn many_cookies(store: &MemoryStore, cookies: usize) -> (String, Vec<Token>) {
    let mut tokens = Vec::new();
    for _ in 0..cookies {
        tokens.push(open(store, "alice").await);
    }
    let pairs = tokens
        .iter()
        .map(|token| format!("refreshToken={}", token.expose()));
    (pairs.collect::<Vec<_>>().join("; "), tokens)
}

#[tokio::test]
async fn sixteen_cookies_of_one_name_are_revoked() {
    let store = MemoryStore::new();
    let (cookies, tokens) = many_cookies(&store, 16).await;
    through_default(store.clone(), with_fields(&[cookies.into_bytes()]))
        .await
        .assert_is_logged_out();
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
}

#[tokio::test]
async fn more_tokens_than_the_limit_are_a_failure() {
    let store = MemoryStore::new();
    let (cookies, tokens) = many_cookies(&store, 17).await;
    let answer = through_default(store.clone(), with_fields(&[cookies.clone().into_bytes()])).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(failure(&answer), FailureKind::TooManyTokens);
    // The sessions within the limit are ended and named.
    assert_eq!(answer.outcome.unwrap().sessions().len(), 16);
    assert!(!is_live(&store, &tokens[0]).await);
    assert!(is_live(&store, &tokens[16]).await);

    let layer = LogoutLayer::builder(store.clone())
        .max_tokens(17)
        .build()
        .unwrap();
    through(&layer, with_fields(&[cookies.into_bytes()]))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &tokens[16]).await);
}

#[tokio::test]
async fn hostile_input_costs_the_store_a_bounded_number_of_calls() {
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
        .assert_is_failed_and_keeps_cookies();
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 16);
}

#[tokio::test]
async fn the_access_token_is_presented_with_its_kind_if_that_is_configured() {
    let presented = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&presented);
    let store = store_fn(move |token| {
        let seen = (token.expose().to_owned(), token.source());
        record.lock().unwrap().push(seen);
        async { Ok(Revocation::NotFound) }
    });
    let request = || {
        let cookies = "accessToken=a; refreshToken=r; other=o";
        logout()
            .header("cookie", cookies)
            .body(Full::default())
            .unwrap()
    };
    let refresh = ("r".to_owned(), Some(TokenSourceKind::Cookie));
    let access = ("a".to_owned(), Some(TokenSourceKind::AccessCookie));

    through(&LogoutLayer::new(store.clone()), request()).await;
    let alone = std::mem::take(&mut *presented.lock().unwrap());
    assert_eq!(alone, std::slice::from_ref(&refresh));

    let layer = LogoutLayer::builder(store)
        .access_token_too()
        .build()
        .unwrap();
    let answer = through(&layer, request()).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.token_sources(), "cookie+access_cookie");
    assert_eq!(*presented.lock().unwrap(), [refresh, access]);
}

#[tokio::test]
async fn an_access_token_is_presented_with_its_kind_although_another_place_has_the_same_text() {
    let presented = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&presented);
    let store = store_fn(move |token| {
        record.lock().unwrap().push(token.source());
        async { Ok(Revocation::NotFound) }
    });
    let layer = LogoutLayer::builder(store)
        .token_source(TokenSource::bearer())
        .access_token_too()
        .build()
        .unwrap();
    let request = logout()
        .header("authorization", "Bearer same")
        .header("cookie", "accessToken=same; refreshToken=same");
    through(&layer, request.body(Full::default()).unwrap()).await;
    let kinds = [TokenSourceKind::Bearer, TokenSourceKind::AccessCookie].map(Some);
    assert_eq!(*presented.lock().unwrap(), kinds);
}

#[tokio::test]
async fn an_access_token_alone_ends_its_session() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .access_token_too()
        .build()
        .unwrap();
    let cookie = format!("accessToken={}", token.expose());
    let request = logout().header("cookie", cookie).body(Full::default());
    through(&layer, request.unwrap())
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[test]
fn an_access_cookie_that_has_to_be_read_has_to_reach_the_logout() {
    let cookies = AuthCookies::builder()
        .access(Cookie::build("accessToken").path("/api"))
        .build()
        .unwrap();
    let builder = || LogoutLayer::builder(MemoryStore::new()).cookies(cookies.clone());
    assert!(builder().build().is_ok());
    assert!(matches!(
        builder().access_token_too().build(),
        Err(ConfigError::CookieNotSent { .. })
    ));
}

#[tokio::test]
async fn a_cookie_that_is_too_long_is_a_failure() {
    let store = MemoryStore::new();
    let token = Token::new("x".repeat(4097));
    store.open("alice", &token).await.unwrap();
    let answer = through_default(store.clone(), logout_with(&token)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(failure(&answer), FailureKind::TokenTooLong);
    assert_eq!(answer.token_sources(), "cookie");

    let layer = LogoutLayer::builder(store.clone())
        .max_cookie_len(4097)
        .build()
        .unwrap();
    through(&layer, logout_with(&token))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_token_is_revoked_in_each_form_in_which_a_jar_writes_it() {
    // The token, and the value of the cookie.
    let rows: [(&str, &[u8]); 10] = [
        ("q83v+/3LqQ==", b"q83v+/3LqQ=="),
        ("q83v+/3LqQ==", b"q83v%2B%2F3LqQ%3D%3D"),
        ("q83v+/3LqQ==", b"q83v%2b%2f3LqQ%3d%3d"),
        ("q83v+/3LqQ==", b"\"q83v+/3LqQ==\""),
        ("q83v+/3LqQ==", b"\"q83v%2B%2F3LqQ%3D%3D\""),
        ("\"quoted\"", b"\"quoted\""),
        ("\"quoted\"", b"%22quoted%22"),
        ("a%2Bb", b"a%2Bb"),
        ("z\u{eb}", b"z\xeb"),
        ("z\u{eb}", b"\"z\xeb\""),
    ];
    for (token, written) in rows {
        let store = MemoryStore::new();
        let token = Token::new(token);
        store.open("alice", &token).await.unwrap();
        let field = [b"refreshToken=", written].concat();
        let answer = through_default(store.clone(), with_fields(&[field])).await;
        answer.assert_is_logged_out();
        let shown = String::from_utf8_lossy(written);
        assert!(!is_live(&store, &token).await, "{shown}");
        assert_eq!(answer.outcome.unwrap().sessions().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_refresh_cookie_with_an_older_name_is_revoked_and_removed() {
    let store = MemoryStore::new();
    let tokens = [open(&store, "alice").await, open(&store, "alice").await];
    let cookies = AuthCookies::builder()
        .also_refresh(Cookie::build("rt").path("/auth").http_only(true))
        .also_refresh(
            Cookie::build("refreshToken")
                .domain("example.com")
                .path("/"),
        )
        .build()
        .unwrap();
    let layer = LogoutLayer::builder(store.clone())
        .cookies(cookies.clone())
        .build()
        .unwrap();
    let [now, before] = tokens.each_ref().map(Token::expose);
    let field = format!("rt={before}; refreshToken={now}");
    let answer = through(&layer, with_fields(&[field.into_bytes()])).await;
    assert_eq!(answer.status, 200);
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
    let removed = answer.set_cookies();
    assert_eq!(removed.len(), 4);
    assert!(removed[2].starts_with("rt=; Path=/auth; Expires=Thu, 01 Jan 1970"));
    assert!(removed[3].contains("Domain=example.com"));
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

/// If other parsers differ, the layer finds the token. Ending a presented session does no harm, but missing
/// one breaks the promise.
#[tokio::test]
async fn the_vectors_of_other_parsers_give_the_expected_results() {
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
