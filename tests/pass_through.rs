//! Every request that is not a logout passes through the layer unchanged.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::{Ready, poll_fn, ready};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_logout::body::ResponseBody;
use tower_logout::future::ResponseFuture;
use tower_logout::{
    AuthCookies, ConfigError, Logout, LogoutLayer, MemoryStore, Outcome, Token, TokenStore,
};
use tower_test::mock;

use support::*;

/// A body with two frames, trailers, an exact size and its own error type.
#[derive(Debug, Default)]
struct Streamed(u8);

#[derive(Debug, PartialEq)]
struct StreamError;

impl Body for Streamed {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        self.0 += 1;
        Poll::Ready(match self.0 {
            1 => Some(Ok(Frame::data(Bytes::from_static(b"one")))),
            2 => Some(Ok(Frame::data(Bytes::from_static(b"two")))),
            3 => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                Some(Ok(Frame::trailers(trailers)))
            }
            4 => Some(Err(StreamError)),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0 >= 5
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(6)
    }
}

#[tokio::test]
async fn frames_trailers_sizes_and_errors_of_the_inner_body_are_its_own() {
    let service = LogoutLayer::new(MemoryStore::new()).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Streamed(0)))
    }));
    let mut body = service.oneshot(Request::new(())).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(6));
    assert!(!body.is_end_stream());
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "one"
    );
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "two"
    );
    let trailers = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(body.frame().await.unwrap().unwrap_err(), StreamError);
    assert!(body.frame().await.is_none());
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn the_request_reaches_the_inner_service_as_it_came() {
    let service = LogoutLayer::new(MemoryStore::new()).layer(service_fn(
        |request: Request<&'static str>| async move {
            assert_eq!(request.method(), "PATCH");
            assert_eq!(request.uri(), "/a%20b?c=d");
            assert_eq!(request.version(), http::Version::HTTP_2);
            assert_eq!(request.headers().get_all("x").iter().count(), 2);
            assert_eq!(request.extensions().get(), Some(&7_u8));
            assert_eq!(*request.body(), "body");
            Ok::<_, Infallible>(
                Response::builder()
                    .status(207)
                    .header("set-cookie", "a=b")
                    .extension(8_u8)
                    .body(Full::<Bytes>::from("answer"))
                    .unwrap(),
            )
        },
    ));
    let request = Request::builder()
        .method("PATCH")
        .uri("/a%20b?c=d")
        .version(http::Version::HTTP_2)
        .header("x", "1")
        .header("x", "2")
        .extension(7_u8)
        .body("body")
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 207);
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.extensions().get(), Some(&8_u8));
    assert!(response.extensions().get::<Outcome>().is_none());
}

/// A service that is neither `Clone` nor `Debug`, with its own error type.
struct Plain;

#[derive(Debug, PartialEq)]
struct PlainError;

impl Service<Request<()>> for Plain {
    type Response = Response<Streamed>;
    type Error = PlainError;
    type Future = Ready<Result<Response<Streamed>, PlainError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PlainError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Err(PlainError))
    }
}

#[tokio::test]
async fn the_inner_service_need_not_be_clone_and_keeps_its_error_type() {
    let mut service = LogoutLayer::new(MemoryStore::new()).layer(Plain);
    let service = service.ready().await.unwrap();
    let error: PlainError = service.call(Request::new(())).await.unwrap_err();
    assert_eq!(error, PlainError);
}

#[tokio::test]
async fn readiness_is_the_inner_services_and_it_is_called_once() {
    let layer = LogoutLayer::new(MemoryStore::new());
    let (inner, mut handle) = mock::pair::<Request<&'static str>, Response<Full<Bytes>>>();
    let mut service = layer.layer(inner);
    handle.allow(0);
    let pending = futures::poll!(poll_fn(|cx| service.poll_ready(cx)));
    assert!(pending.is_pending());
    handle.allow(1);
    service.ready().await.unwrap();

    let response = tokio::spawn(service.call(Request::new("hello")));
    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(*request.body(), "hello");
    respond.send_response(Response::new(Full::from("there")));
    let body = response.await.unwrap().unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "there");
}

#[tokio::test]
async fn an_error_of_the_inner_service_passes_as_it_is() {
    let (inner, mut handle) = mock::pair::<Request<()>, Response<Full<Bytes>>>();
    handle.allow(1);
    let mut service = LogoutLayer::new(MemoryStore::new()).layer(inner);
    let response = service.ready().await.unwrap().call(Request::new(()));
    let (_, respond) = handle.next_request().await.unwrap();
    respond.send_error("inner failure");
    let error: BoxError = response.await.unwrap_err();
    assert_eq!(error.to_string(), "inner failure");
}

#[tokio::test]
async fn a_logout_does_not_call_the_inner_service() {
    let (inner, mut handle) = mock::pair::<Request<TestBody>, Response<TestBody>>();
    handle.allow(1);
    let mut service = LogoutLayer::new(MemoryStore::new()).layer(inner);
    let request = logout_with(&Token::new("t"));
    service.ready().await.unwrap().call(request).await.unwrap();
    drop(service);
    assert!(handle.next_request().await.is_none());
}

#[test]
fn service_and_future_are_at_most_a_pointer_larger() {
    type Small = Ready<Result<Response<Full<Bytes>>, Infallible>>;
    type Large = [u64; 64];
    type Layered<S> = Logout<S, MemoryStore>;
    assert_eq!(size_of::<Layered<Inner>>(), size_of::<Inner>() + 8);
    assert!(size_of::<ResponseFuture<Small>>() <= size_of::<Small>() + 8);
    assert!(size_of::<ResponseFuture<Large>>() <= size_of::<Large>() + 8);
    assert!(size_of::<ResponseFuture<()>>() <= 16);
}

#[test]
fn public_types_are_send_sync_and_unpin_where_they_should_be() {
    fn all<T: Send + Sync + Unpin + 'static>() {}
    fn send<T: Send + 'static>() {}
    all::<LogoutLayer<std::sync::Arc<dyn TokenStore>>>();
    all::<LogoutLayer<Box<dyn TokenStore>>>();
    all::<Logout<(), MemoryStore>>();
    all::<tower_logout::LogoutEndpoint<MemoryStore>>();
    all::<AuthCookies>();
    all::<ConfigError>();
    all::<Outcome>();
    all::<Token>();
    send::<ResponseFuture<Ready<Result<Response<Full<Bytes>>, Infallible>>>>();
    all::<ResponseBody<Full<Bytes>>>();
}

#[tokio::test]
async fn a_store_can_be_a_trait_object() {
    let (memory, token) = store_with_session().await;
    let store: std::sync::Arc<dyn TokenStore> = std::sync::Arc::new(memory.clone());
    through_default(store, logout_with(&token))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test]
async fn a_grpc_service_answers_through_the_layer_with_its_own_body() {
    let service = LogoutLayer::new(MemoryStore::new()).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(
            tonic::Status::not_found("no such thing").into_http::<tonic::body::Body>(),
        )
    }));
    let response = service
        .oneshot(Request::post("/echo.Echo/Say").body(()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["grpc-status"], "5");
}
