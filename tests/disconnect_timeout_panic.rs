//! A logout that has begun also ends if the client disconnects, the store panics or the timeout passes.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower::Layer;
use tower_logout::outcome::FailureKind;
use tower_logout::{
    BoxError, LogoutLayer, MemoryStore, Outcome, Revocation, Token, TokenStore, async_trait,
    store_fn,
};

use support::gate::GatedStore;
use support::server::serve;
use support::*;

/// A server with a gated store, and a live token.
async fn gated_server() -> (std::net::SocketAddr, GatedStore, MemoryStore, Token) {
    let (memory, token) = store_with_session().await;
    let gated = GatedStore::new(memory.clone());
    let service = LogoutLayer::new(gated.clone()).layer(tower::service_fn(
        |_: Request<hyper::body::Incoming>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
        },
    ));
    (serve(service).await, gated, memory, token)
}

fn http1(token: &Token) -> String {
    format!(
        "POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Cookie: refreshToken={}\r\nContent-Length: 2\r\n\r\n{{}}",
        token.expose()
    )
}

fn http2(token: &Token) -> Request<()> {
    let mut request = logout_with(token).map(|_| ());
    *request.uri_mut() = "http://localhost/auth/logout".parse().unwrap();
    request
}

#[tokio::test]
async fn a_connection_closed_during_a_slow_revoke_loses_nothing() {
    let (address, gated, memory, token) = gated_server().await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection
        .write_all(http1(&token).as_bytes())
        .await
        .unwrap();
    gated.begun().await;
    drop(connection);
    // Hyper needs a moment to notice the disconnect.
    tokio::time::sleep(Duration::from_millis(100)).await;
    gated.open();
    gated.done().await;
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test]
async fn a_stream_that_is_reset_during_a_slow_revoke_loses_nothing() {
    let (address, gated, memory, token) = gated_server().await;
    let connection = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection).await.unwrap();
    tokio::spawn(connection);
    let (response, mut stream) = client.send_request(http2(&token), false).unwrap();
    gated.begun().await;
    stream.send_reset(h2::Reason::CANCEL);
    assert!(response.await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    gated.open();
    gated.done().await;
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test]
async fn an_http2_connection_that_is_lost_during_a_slow_revoke_loses_nothing() {
    let (address, gated, memory, token) = gated_server().await;
    let connection = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection).await.unwrap();
    let driver = tokio::spawn(connection);
    let (_response, _stream) = client.send_request(http2(&token), false).unwrap();
    gated.begun().await;
    driver.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    gated.open();
    gated.done().await;
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test]
async fn a_response_future_dropped_before_its_first_poll_still_revokes() {
    let (memory, token) = store_with_session().await;
    let layer = LogoutLayer::new(memory.clone());
    let mut service = layer.layer(inner());
    drop(tower::Service::call(&mut service, logout_with(&token)));
    layer.drain().await;
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test]
async fn draining_waits_for_the_revocations_in_the_background() {
    let (memory, token) = store_with_session().await;
    let gated = GatedStore::new(memory.clone());
    let layer = LogoutLayer::new(gated.clone());
    let mut service = layer.layer(inner());
    drop(tower::Service::call(&mut service, logout_with(&token)));
    gated.begun().await;
    let mut drained = Box::pin(layer.drain());
    assert!(futures::poll!(&mut drained).is_pending());
    gated.open();
    drained.await;
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_in_time_is_a_500_and_the_revocation_continues() {
    let (memory, token) = store_with_session().await;
    let gated = GatedStore::new(memory.clone());
    let layer = LogoutLayer::new(gated.clone());
    let began = tokio::time::Instant::now();
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(began.elapsed().as_secs(), 5, "the default timeout");
    answer.assert_is_failed_and_keeps_cookies();
    match answer.outcome {
        Some(Outcome::Failed(failure)) => assert_eq!(failure.kind(), FailureKind::TimedOut),
        other => panic!("{other:?}"),
    }
    assert!(is_live(&memory, &token).await);
    gated.open();
    layer.drain().await;
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_can_be_set() {
    let (memory, token) = store_with_session().await;
    let layer = LogoutLayer::builder(GatedStore::new(memory))
        .timeout(Duration::from_millis(1500))
        .build()
        .unwrap();
    let began = tokio::time::Instant::now();
    let answer = through(&layer, logout_with(&token)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(began.elapsed().as_millis().div_euclid(100), 15);
}

/// Panics before it returns a future. A store without async-trait can do so.
struct PanicsEarly;

impl TokenStore for PanicsEarly {
    fn revoke<'s, 't, 'f>(
        &'s self,
        _: &'t Token,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Revocation, BoxError>> + Send + 'f>>
    where
        's: 'f,
        't: 'f,
    {
        panic!("before the future")
    }
}

struct PanicsLate;

#[async_trait]
impl TokenStore for PanicsLate {
    async fn revoke(&self, _: &Token) -> Result<Revocation, BoxError> {
        tokio::task::yield_now().await;
        panic!("in the future")
    }
}

#[tokio::test]
async fn a_store_that_panics_is_a_500() {
    let token = Token::new("t");
    let answers = [
        through_default(PanicsEarly, logout_with(&token)).await,
        through_default(PanicsLate, logout_with(&token)).await,
    ];
    for answer in answers {
        answer.assert_is_failed_and_keeps_cookies();
        match answer.outcome {
            Some(Outcome::Failed(failure)) => assert_eq!(failure.kind(), FailureKind::Panic),
            other => panic!("{other:?}"),
        }
    }
}

/// An error whose `Display` panics.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("in Display")
    }
}

impl std::error::Error for Unspeakable {}

#[tokio::test]
async fn a_store_whose_error_panics_is_a_500() {
    let store = store_fn(|_| async { Err(Unspeakable.into()) });
    through_default(store, logout_with(&Token::new("t")))
        .await
        .assert_is_failed_and_keeps_cookies();
}

#[test]
fn a_call_from_outside_the_runtime_has_a_timeout_and_still_detaches() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let memory = MemoryStore::new();
    let gated = GatedStore::new(memory.clone());
    let layer = LogoutLayer::new(gated.clone());
    let mut service = layer.layer(inner());
    let tokens = runtime.block_on(async { [open(&memory, "a").await, open(&memory, "b").await] });

    let polled = tower::Service::call(&mut service, logout_with(&tokens[0]));
    let response = runtime.block_on(polled).unwrap();
    assert_eq!(response.status(), 500);

    let dropped = tower::Service::call(&mut service, logout_with(&tokens[1]));
    runtime.block_on(async {
        drop(dropped);
        gated.open();
        gated.open();
        layer.drain().await;
        assert!(!is_live(&memory, &tokens[0]).await);
        assert!(!is_live(&memory, &tokens[1]).await);
    });
}
