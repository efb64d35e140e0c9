//! Signed, encrypted and percent-encoded refresh cookies are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::post;
use axum_extra::extract::cookie::Key;
use axum_extra::extract::{CookieJar, PrivateCookieJar, SignedCookieJar};
use http::header::COOKIE;
use http::{HeaderValue, Request};
use http_body_util::Full;
use tower_logout::cookies::CookieEncoding;
use tower_logout::outcome::FailureKind;
use tower_logout::store::SessionStore;
use tower_logout::{
    AuthCookies, LogoutLayer, MemoryStore, Revocation, Token, TokenStore, store_fn,
};

use support::*;

/// The state of a login that does not know the layer.
#[derive(Clone)]
struct App {
    key: Key,
    token: Token,
}

impl FromRef<App> for Key {
    fn from_ref(app: &App) -> Self {
        app.key.clone()
    }
}

/// Logs in with a jar of axum-extra, and returns the `Cookie` header that a browser then sends.
async fn log_in(key: &Key, token: &Token, how: &str) -> HeaderValue {
    async fn signed(State(app): State<App>, jar: SignedCookieJar) -> SignedCookieJar {
        jar.add(AuthCookies::default().refresh(app.token.expose()))
    }
    async fn private(State(app): State<App>, jar: PrivateCookieJar) -> PrivateCookieJar {
        jar.add(AuthCookies::default().refresh(app.token.expose()))
    }
    async fn plain(State(app): State<App>, jar: CookieJar) -> CookieJar {
        jar.add(AuthCookies::default().refresh(app.token.expose()))
    }
    let app = Router::new()
        .route("/signed", post(signed))
        .route("/private", post(private))
        .route("/plain", post(plain))
        .with_state(App {
            key: key.clone(),
            token: token.clone(),
        });
    let request = Request::post(format!("/{how}")).body(Full::<bytes::Bytes>::default());
    let answer = send(app, request.unwrap()).await;
    let set = answer.set_cookies()[0];
    HeaderValue::from_str(set.split(';').next().unwrap()).unwrap()
}

fn logout_by(cookie: &HeaderValue) -> Request<TestBody> {
    logout()
        .header(COOKIE, cookie)
        .body(Full::default())
        .unwrap()
}

fn layer<T: TokenStore>(store: T, encoding: CookieEncoding) -> LogoutLayer<T> {
    let cookies = AuthCookies::builder().refresh_encoding(encoding).build();
    LogoutLayer::builder(store)
        .cookies(cookies.unwrap())
        .build()
        .unwrap()
}

/// A session whose token needs percent-encoding.
async fn awkward_session() -> (MemoryStore, Token) {
    let store = MemoryStore::new();
    let token = Token::new("a+b/c%20=d e;ü,\"\\");
    store.open("alice", &token).await.unwrap();
    (store, token)
}

#[tokio::test]
async fn the_cookies_of_axum_extras_jars_are_read() {
    let key = Key::generate();
    let encodings = [
        ("signed", CookieEncoding::signed(key.clone())),
        ("private", CookieEncoding::private(key.clone())),
        ("plain", CookieEncoding::plain()),
    ];
    for (how, encoding) in encodings {
        for (store, token) in [store_with_session().await, awkward_session().await] {
            let cookie = log_in(&key, &token, how).await;
            let answer = through(&layer(store.clone(), encoding.clone()), logout_by(&cookie)).await;
            answer.assert_is_logged_out();
            assert_eq!(answer.outcome.as_ref().unwrap().name(), "revoked", "{how}");
            assert_eq!(answer.token_sources(), "cookie");
            assert!(!is_live(&store, &token).await, "{how}");
        }
    }
}

#[tokio::test]
async fn the_cookies_of_the_cookie_crates_jars_are_read_without_percent_encoding_too() {
    let key = Key::generate();
    for private in [false, true] {
        let (store, token) = store_with_session().await;
        let mut jar = cookie::CookieJar::new();
        let (plain, encoding) = (("refreshToken", token.expose().to_owned()), key.clone());
        let encoding = if private {
            jar.private_mut(&key).add(plain);
            CookieEncoding::private(encoding)
        } else {
            jar.signed_mut(&key).add(plain);
            CookieEncoding::signed(encoding)
        };
        let set = jar.get("refreshToken").unwrap().stripped().to_string();
        let cookie = HeaderValue::from_str(&set).unwrap();
        through(&layer(store.clone(), encoding), logout_by(&cookie))
            .await
            .assert_is_logged_out();
        assert!(!is_live(&store, &token).await);
    }
}

#[tokio::test]
async fn a_cookie_that_fails_its_check_is_no_token_and_is_still_removed() {
    let key = Key::generate();
    let token = Token::generate().unwrap();
    for how in ["signed", "private"] {
        let encoding = |key: &Key| match how {
            "signed" => CookieEncoding::signed(key.clone()),
            _ => CookieEncoding::private(key.clone()),
        };
        let good = log_in(&key, &token, how).await;
        let good = good.to_str().unwrap();
        let (name, value) = good.split_once('=').unwrap();
        let tampered = [
            // A changed character of the token, its signature or its encryption.
            format!("{name}={}", swap_last(value)),
            format!("{name}=x{value}"),
            format!("{name}={}", &value[1..]),
            format!("{name}={}", token.expose()),
            format!("{name}=x"),
            format!("{name}=%"),
            format!("{name}=%ff%fe"),
        ];
        let store = || store_fn(|_| async { panic!("the store was called") });
        for cookie in tampered {
            let request = logout_by(&HeaderValue::from_str(&cookie).unwrap());
            let answer = through(&layer(store(), encoding(&key)), request).await;
            answer.assert_is_logged_out();
            assert_eq!(
                answer.outcome.as_ref().unwrap().name(),
                "inactive",
                "{cookie}"
            );
        }
        // With another key, no part of the value is valid.
        let request = logout_by(&HeaderValue::from_str(good).unwrap());
        through(&layer(store(), encoding(&Key::generate())), request)
            .await
            .assert_is_logged_out();
    }
}

fn swap_last(value: &str) -> String {
    let (rest, last) = value.split_at(value.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

#[tokio::test]
async fn a_signature_for_one_cookie_is_found_beside_a_forged_one() {
    let key = Key::generate();
    let (store, token) = store_with_session().await;
    let good = log_in(&key, &token, "signed").await;
    let both = format!("refreshToken=forged; {}", good.to_str().unwrap());
    let request = logout_by(&HeaderValue::from_str(&both).unwrap());
    through(&layer(store.clone(), CookieEncoding::signed(key)), request)
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_cookie_with_an_older_name_is_read_in_plain_as_well() {
    let key = Key::generate();
    let (store, token) = store_with_session().await;
    let cookies = AuthCookies::builder()
        .also_refresh(cookie::Cookie::build("rt").path("/"))
        .refresh_encoding(CookieEncoding::signed(key))
        .build()
        .unwrap();
    let layer = LogoutLayer::builder(store.clone())
        .cookies(cookies)
        .build()
        .unwrap();
    let cookie = HeaderValue::from_str(&format!("rt={}", token.expose())).unwrap();
    let answer = through(&layer, logout_by(&cookie)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.set_cookies().len()),
        (200, 3)
    );
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_flood_of_forged_values_is_bounded_and_is_a_failure() {
    let key = Key::generate();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let store = store_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(Revocation::NotFound) }
    });
    let good = log_in(&key, &Token::new("t"), "signed").await;
    let good = good.to_str().unwrap();
    let layer = layer(store, CookieEncoding::signed(key));
    for (forged, calls_made) in [(63, 1), (64, 1)] {
        let flood = format!("{}{good}", "refreshToken=forged; ".repeat(forged));
        let answer = through(&layer, logout_by(&HeaderValue::from_str(&flood).unwrap())).await;
        if forged == 63 {
            answer.assert_is_logged_out();
        } else {
            answer.assert_is_failed_and_keeps_cookies();
            assert_eq!(failure(&answer), FailureKind::TooManyTokens);
        }
        assert_eq!(calls.load(Ordering::Relaxed), calls_made);
    }
}

#[test]
fn no_key_is_in_a_debug() {
    let key = Key::from(&[b'k'; 64]);
    let shown = format!("{:?}", CookieEncoding::signed(key.clone()));
    assert!(!shown.contains("107") && !shown.contains("kk"), "{shown}");
    let cookies = AuthCookies::builder().refresh_encoding(CookieEncoding::private(key));
    let builder = LogoutLayer::builder(MemoryStore::new()).cookies(cookies.build().unwrap());
    let shown = format!("{builder:?}");
    assert!(!shown.contains("107") && !shown.contains("kk"), "{shown}");
}
