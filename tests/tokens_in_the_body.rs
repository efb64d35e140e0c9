//! A token in the body of the request ends its session, and a body that cannot be read is a failure.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, service_fn};
use tower_logout::body_token::BodyToken;
use tower_logout::outcome::FailureKind;
use tower_logout::{LogoutLayer, MemoryStore, Outcome, TokenSource, store_fn};

use support::*;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn post(content_type: &str, body: impl Into<Bytes>) -> Request<TestBody> {
    Request::post("/auth/logout")
        .header("content-type", content_type)
        .header("sec-fetch-site", "same-origin")
        .body(Full::new(body.into()))
        .unwrap()
}

async fn send_body(store: MemoryStore, request: Request<TestBody>) -> Answer {
    let endpoint = LogoutLayer::new(store).endpoint();
    send(endpoint.body_token("refresh_token"), request).await
}

#[tokio::test]
async fn a_token_in_a_json_field_or_a_form_field_is_revoked() {
    for content_type in [JSON, FORM, "application/json; charset=utf-8", "text/plain"] {
        let (store, token) = store_with_session().await;
        let body = if content_type == FORM {
            format!("a=b&refresh_token={}", token.expose())
        } else {
            format!("{{\"refresh_token\":\"{}\"}}", token.expose())
        };
        let answer = send_body(store.clone(), post(content_type, body)).await;
        answer.assert_is_logged_out();
        assert_eq!(answer.token_sources(), "body");
        assert!(!is_live(&store, &token).await, "{content_type}");
    }
}

#[tokio::test]
async fn tokens_in_the_body_and_in_other_places_are_all_revoked() {
    let store = MemoryStore::new();
    let [in_body, also_in_body, in_cookie, bearer] = [
        open(&store, "alice").await,
        open(&store, "alice").await,
        open(&store, "alice").await,
        open(&store, "alice").await,
    ];
    let body = format!(
        "{{\"refresh_token\":\"{}\",\"refresh_token\":\"{}\"}}",
        in_body.expose(),
        also_in_body.expose()
    );
    let mut request = post(JSON, body);
    let headers = request.headers_mut();
    let cookie = format!("refreshToken={}", in_cookie.expose());
    headers.insert("cookie", cookie.parse().unwrap());
    let authorization = format!("Bearer {}", bearer.expose());
    headers.insert("authorization", authorization.parse().unwrap());
    let layer = LogoutLayer::builder(store.clone())
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let answer = send(layer.endpoint().body_token("refresh_token"), request).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.token_sources(), "cookie+bearer+body");
    for token in [in_body, also_in_body, in_cookie, bearer] {
        assert!(!is_live(&store, &token).await);
    }
}

#[tokio::test]
async fn a_body_without_the_field_presents_no_token() {
    let (store, token) = store_with_session().await;
    for (content_type, body) in [
        (JSON, ""),
        (JSON, "{}"),
        (JSON, "null"),
        (JSON, "{\"refresh_token\":null}"),
        (JSON, "{\"refresh_token\":\"\"}"),
        (FORM, ""),
        (FORM, "token=t"),
        ("text/plain", ""),
    ] {
        let answer = send_body(store.clone(), post(content_type, body)).await;
        answer.assert_is_logged_out();
        assert!(matches!(answer.outcome, Some(Outcome::NoToken)), "{body}");
    }
    assert!(is_live(&store, &token).await);
}

fn kind(answer: &Answer) -> FailureKind {
    match &answer.outcome {
        Some(Outcome::Failed(failure)) => failure.kind(),
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_failure_and_the_other_tokens_are_still_revoked() {
    let long = format!(
        "{{\"refresh_token\":\"t\",\"x\":\"{}\"}}",
        "x".repeat(16 * 1024)
    );
    for (content_type, body, expected) in [
        (JSON, long.as_str(), FailureKind::BodyTooLong),
        (JSON, "{\"refresh_token\":", FailureKind::BodyMalformed),
        (JSON, "{\"refresh_token\":5}", FailureKind::BodyMalformed),
        (JSON, "[]", FailureKind::BodyMalformed),
        (FORM, "refresh_token=%FF", FailureKind::BodyMalformed),
        ("text/plain", "t", FailureKind::BodyMalformed),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"refresh_token\"\r\n\r\nt\r\n--x--",
            FailureKind::BodyMalformed,
        ),
    ] {
        let (store, token) = store_with_session().await;
        let mut request = post(content_type, body.to_owned());
        let cookie = format!("refreshToken={}", token.expose());
        request
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        let answer = send_body(store.clone(), request).await;
        answer.assert_is_failed_and_keeps_cookies();
        assert_eq!(kind(&answer), expected);
        assert!(!is_live(&store, &token).await, "{content_type}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_a_failure() {
    for content_type in [JSON, FORM] {
        let mut request = post(content_type, "compressed");
        let gzip = "gzip".parse().unwrap();
        request.headers_mut().insert("content-encoding", gzip);
        let answer = send_body(MemoryStore::new(), request).await;
        assert_eq!(kind(&answer), FailureKind::BodyMalformed);
    }
}

#[tokio::test]
async fn a_token_in_the_body_that_is_too_long_is_a_failure() {
    let layer = LogoutLayer::builder(MemoryStore::new())
        .max_token_len(8)
        .build()
        .unwrap();
    let request = post(JSON, "{\"refresh_token\":\"123456789\"}");
    let answer = send(layer.endpoint().body_token("refresh_token"), request).await;
    assert_eq!(kind(&answer), FailureKind::TokenTooLong);
}

fn with_body<B>(request: Request<TestBody>, body: B) -> Request<B> {
    request.map(|_| body)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_in_time_is_a_failure_and_the_cookie_is_still_revoked() {
    let (store, token) = store_with_session().await;
    let begun = tokio::time::Instant::now();
    let body_token = BodyToken::new("refresh_token").with_timeout(Duration::from_secs(2));
    let endpoint = LogoutLayer::new(store.clone()).endpoint();
    let request = with_body(logout_with(&token), Endless::default());
    let answer = send(endpoint.body_token(body_token), request).await;
    assert_eq!(kind(&answer), FailureKind::BodyIncomplete);
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let frames = [
        Ok(Frame::data(Bytes::from("{\"refresh_token\":\"t\"}"))),
        Err(std::io::Error::other("connection reset")),
    ];
    let body = StreamBody::new(futures::stream::iter(frames)).boxed();
    let endpoint = LogoutLayer::new(MemoryStore::new()).endpoint();
    let request = with_body(logout().body(Full::default()).unwrap(), body);
    let answer = send(endpoint.body_token("refresh_token"), request).await;
    assert_eq!(kind(&answer), FailureKind::BodyIncomplete);
}

#[tokio::test]
async fn many_small_frames_count_towards_the_limit() {
    let frame = || Ok::<_, Infallible>(Frame::data(Bytes::from("        ")));
    let body = StreamBody::new(futures::stream::repeat_with(frame));
    let endpoint = LogoutLayer::new(MemoryStore::new()).endpoint();
    let request = with_body(logout().body(Full::default()).unwrap(), body);
    let answer = send(endpoint.body_token("refresh_token"), request).await;
    assert_eq!(kind(&answer), FailureKind::BodyTooLong);
}

#[tokio::test]
async fn the_body_of_a_forged_request_is_not_read() {
    let body = Endless::default();
    let store = store_fn(|_| async { panic!("the store was called") });
    let endpoint = LogoutLayer::new(store).endpoint();
    let request = Request::post("/auth/logout")
        .header("content-type", FORM)
        .header("sec-fetch-site", "cross-site")
        .body(body.clone())
        .unwrap();
    let answer = send(endpoint.body_token("refresh_token"), request).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(body.polls(), 0);
}

#[tokio::test]
async fn the_layer_reads_the_body_of_a_logout_and_no_other_body() {
    let (store, token) = store_with_session().await;
    let echo = service_fn(|request: Request<TestBody>| async {
        Ok::<_, Infallible>(http::Response::new(request.into_body()))
    });
    let service = LogoutLayer::new(store.clone())
        .body_token("refresh_token")
        .layer(echo);
    let body = format!("{{\"refresh_token\":\"{}\"}}", token.expose());
    let mut other = post(JSON, body.clone());
    *other.uri_mut() = "/auth/login".parse().unwrap();
    assert_eq!(send(service.clone(), other).await.body, body);
    assert!(is_live(&store, &token).await);

    send(service, post(JSON, body)).await.assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_required_token_that_is_missing_is_a_401() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .require_token()
        .build()
        .unwrap();
    let endpoint = layer.endpoint().body_token("refresh_token");
    let answer = send(endpoint.clone(), post(JSON, "{}")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.body,
        r#"{"error":"Present the token of the session that has to end"}"#
    );
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert!(answer.set_cookies().is_empty());

    // A dead token is a token: the answer says nothing about it.
    let dead = post(JSON, "{\"refresh_token\":\"dead\"}");
    send(endpoint.clone(), dead).await.assert_is_logged_out();
    let body = format!("{{\"refresh_token\":\"{}\"}}", token.expose());
    send(endpoint, post(JSON, body))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}
