//! No other site can log a user out.

use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower_logout::csrf::OriginCheck;
use tower_logout::outcome::Rejection;
use tower_logout::{ConfigError, LogoutLayer, MemoryStore, Outcome, Token};

use support::*;

fn from_elsewhere(token: &Token, headers: &[(&str, &str)]) -> Request<TestBody> {
    let mut request = Request::post("/auth/logout")
        .header(HOST, "app.example")
        .header(COOKIE, format!("refreshToken={}", token.expose()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn without_json_and_without_an_origin_the_answer_is_a_415_that_says_what_is_expected() {
    let (store, token) = store_with_session().await;
    let form_types = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("text/plain; application/json"),
        Some("text/plain,application/json"),
    ];
    for content_type in form_types {
        let headers: Vec<_> = content_type
            .map(|value| ("content-type", value))
            .into_iter()
            .collect();
        let answer = through_default(store.clone(), from_elsewhere(&token, &headers)).await;
        assert_eq!(
            answer.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content_type:?}"
        );
        assert_eq!(
            answer.body,
            r#"{"error":"Content-Type must be application/json: send a JSON body, {} will do (fetch and axios drop the header of a request without a body), or send the logout from a page of the same origin"}"#
        );
        answer.assert_common_headers();
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(
            answer.outcome,
            Some(Outcome::Rejected {
                rejection: Rejection::UnsupportedMediaType,
                ..
            })
        ));
    }
    assert!(is_live(&store, &token).await);
}

/// The headers with which a page of the same origin sends a logout without a body.
const SAME_ORIGIN: [&[(&str, &str)]; 6] = [
    &[("sec-fetch-site", "same-origin")],
    &[
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://app.example"),
        ("content-type", "text/plain;charset=UTF-8"),
    ],
    &[
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ],
    // Browsers from before 2023, and http: there is no Sec-Fetch-Site.
    &[("origin", "https://app.example")],
    &[("origin", "http://app.example")],
    &[
        ("origin", "https://app.example"),
        ("content-type", "text/plain"),
    ],
];

/// What the pages of another origin, or no browser at all, can send.
const NOT_SAME_ORIGIN: [&[(&str, &str)]; 12] = [
    &[],
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "none")],
    &[("sec-fetch-site", "")],
    &[("sec-fetch-site", "same-origin, cross-site")],
    &[
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://app.example"),
    ],
    &[("origin", "null")],
    &[("origin", "https://evil.example")],
    &[("origin", "https://app.example.evil.example")],
    &[("origin", "https://app.example:8443")],
    &[("referer", "https://app.example/")],
];

#[tokio::test]
async fn a_page_of_the_same_origin_needs_no_body_and_no_content_type() {
    for headers in SAME_ORIGIN {
        let (store, token) = store_with_session().await;
        let answer = through_default(store.clone(), from_elsewhere(&token, headers)).await;
        answer.assert_is_logged_out();
        assert!(!is_live(&store, &token).await, "{headers:?}");
    }
}

#[tokio::test]
async fn nothing_else_proves_the_same_origin() {
    let (store, token) = store_with_session().await;
    for headers in NOT_SAME_ORIGIN {
        let answer = through_default(store.clone(), from_elsewhere(&token, headers)).await;
        assert_eq!(
            answer.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{headers:?}"
        );
        assert!(answer.set_cookies().is_empty());
    }
    assert!(is_live(&store, &token).await);
}

#[tokio::test]
async fn strict_json_accepts_nothing_but_json() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .strict_json()
        .require_json(true)
        .build()
        .unwrap();
    for headers in SAME_ORIGIN.into_iter().chain(NOT_SAME_ORIGIN) {
        let answer = through(&layer, from_elsewhere(&token, headers)).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(
            answer.body,
            r#"{"error":"Content-Type must be application/json: send a JSON body, {} will do (fetch and axios drop the header of a request without a body)"}"#
        );
    }
    assert!(is_live(&store, &token).await);
    through(&layer, logout_with(&token))
        .await
        .assert_is_logged_out();
}

#[tokio::test]
async fn the_content_type_check_can_be_turned_off() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store)
        .require_json(false)
        .origin_check(OriginCheck::new())
        .build()
        .unwrap();
    through(&layer, from_elsewhere(&token, &[]))
        .await
        .assert_is_logged_out();
}

#[test]
fn without_either_check_no_layer_is_built() {
    let error = LogoutLayer::builder(MemoryStore::new())
        .require_json(false)
        .build()
        .unwrap_err();
    assert_eq!(error, ConfigError::NoCsrfProof);
    assert!(error.to_string().contains("origin_check"));
}

#[tokio::test]
async fn the_origin_check_rejects_another_origin_with_a_403_and_changes_nothing() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .require_json(false)
        .origin_check(OriginCheck::new())
        .build()
        .unwrap();
    let foreign: [&[(&str, &str)]; 4] = [
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
        ],
        &[
            ("sec-fetch-site", "same-site"),
            ("origin", "https://blog.app.example"),
        ],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
    ];
    for headers in foreign {
        let answer = through(&layer, from_elsewhere(&token, headers)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(
            answer.body,
            r#"{"error":"Cross-origin logout is not allowed"}"#
        );
        answer.assert_common_headers();
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(
            answer.outcome,
            Some(Outcome::Rejected {
                rejection: Rejection::CrossOrigin,
                ..
            })
        ));
    }
    assert!(is_live(&store, &token).await);

    let own = [
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://app.example"),
    ];
    through(&layer, from_elsewhere(&token, &own))
        .await
        .assert_is_logged_out();
}

#[tokio::test]
async fn with_an_origin_check_json_from_another_origin_is_rejected_and_a_trusted_one_needs_no_json()
{
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store)
        .origin_check(
            OriginCheck::new()
                .add_trusted_origin("https://spa.example")
                .unwrap(),
        )
        .build()
        .unwrap();
    let json = (CONTENT_TYPE.as_str(), "application/json");
    let evil = (ORIGIN.as_str(), "https://evil.example");
    let trusted = (ORIGIN.as_str(), "https://spa.example");
    let status = async |headers: &[(&str, &str)]| {
        through(&layer, from_elsewhere(&token, headers))
            .await
            .status
    };
    assert_eq!(status(&[]).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(status(&[evil]).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(status(&[json, evil]).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&[json, trusted]).await, StatusCode::OK);
    assert_eq!(status(&[trusted]).await, StatusCode::OK);
}

#[tokio::test]
async fn anonymous_and_rejected_requests_never_reach_the_store() {
    let store = || tower_logout::store_fn(|_| async { panic!("the store was called") });
    through_default(store(), logout().body(Full::default()).unwrap())
        .await
        .assert_is_logged_out();
    let answer = through_default(store(), from_elsewhere(&Token::new("t"), &[])).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
