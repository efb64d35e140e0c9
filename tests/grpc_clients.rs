//! A gRPC client gets its answer in gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::{Layer, ServiceExt, service_fn};
use tower_logout::csrf::OriginCheck;
use tower_logout::{LogoutLayer, MemoryStore, Token, TokenSource, TokenStore, store_fn};

use support::server::serve;
use support::*;

const PATH: &str = "/auth.v1.Auth/Logout";

/// Serves the layer around a service that answers every other call with `UNIMPLEMENTED`.
async fn server<T: TokenStore>(layer: &LogoutLayer<T>) -> SocketAddr {
    let inner = service_fn(|_: Request<Incoming>| async {
        let status = Status::unimplemented("not a logout");
        Ok::<_, Infallible>(status.into_http::<tonic::body::Body>())
    });
    serve(layer.layer(inner)).await
}

async fn client(address: SocketAddr) -> tonic::client::Grpc<Channel> {
    let channel = Endpoint::new(format!("http://{address}")).unwrap();
    tonic::client::Grpc::new(channel.connect().await.unwrap())
}

/// Calls like the generated code for `rpc Logout(Empty) returns (Empty)`.
async fn call(
    address: SocketAddr,
    path: &'static str,
    metadata: &[(&'static str, &str)],
) -> Result<tonic::Response<()>, Status> {
    let mut client = client(address).await;
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(());
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    let codec = ProstCodec::<(), ()>::default();
    client
        .unary(request, PathAndQuery::from_static(path), codec)
        .await
}

fn layer<T: TokenStore>(store: T) -> LogoutLayer<T> {
    LogoutLayer::builder(store)
        .path(PATH)
        .grpc()
        .token_source(TokenSource::bearer())
        .token_source(TokenSource::metadata("refresh-token").unwrap())
        .timeout(Duration::from_millis(50))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_tonic_client_sees_ok_and_its_token_is_dead() {
    for (key, scheme, kind) in [
        ("authorization", "Bearer ", "bearer"),
        ("refresh-token", "", "metadata"),
        ("cookie", "refreshToken=", "cookie"),
    ] {
        let (store, token) = store_with_session().await;
        let seen = Shared::default();
        let record = std::sync::Arc::clone(&seen);
        let layer = LogoutLayer::builder(store.clone())
            .path(PATH)
            .grpc()
            .token_source(TokenSource::bearer())
            .token_source(TokenSource::metadata("refresh-token").unwrap())
            .on_outcome(move |outcome, _| {
                let entry = format!("{} {}", outcome.name(), outcome.token_sources());
                record.lock().unwrap().push(entry);
            })
            .build()
            .unwrap();
        let value = format!("{scheme}{}", token.expose());
        let response = call(server(&layer).await, PATH, &[(key, &value)])
            .await
            .unwrap();
        let metadata = response.metadata();
        assert_eq!(metadata.get_all("set-cookie").iter().count(), 2);
        assert_eq!(metadata.get("cache-control").unwrap(), "no-store");
        assert!(!is_live(&store, &token).await, "{key}");
        assert_eq!(*seen.lock().unwrap(), [format!("revoked {kind}")]);
    }
}

#[tokio::test]
async fn a_call_with_a_dead_token_or_none_is_ok_as_well() {
    let address = server(&layer(MemoryStore::new())).await;
    assert!(call(address, PATH, &[]).await.is_ok());
    assert!(
        call(address, PATH, &[("refresh-token", "dead")])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn each_failure_of_the_store_is_an_internal_error_and_keeps_the_cookies() {
    async fn status<T: TokenStore>(store: T) -> Status {
        let address = server(&layer(store)).await;
        call(address, PATH, &[("refresh-token", "t")])
            .await
            .unwrap_err()
    }
    let error = store_fn(|_| async { Err("database is on fire at 10.0.0.7".into()) });
    let panic = store_fn(|_| async { panic!("at the wrong time") });
    let hang = store_fn(|_| futures::future::pending());
    for status in [status(error).await, status(panic).await, status(hang).await] {
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        assert_eq!(status.message(), "Error logging out");
        assert!(status.metadata().get("set-cookie").is_none());
        assert_eq!(status.metadata().get("cache-control").unwrap(), "no-store");
    }
}

#[tokio::test]
async fn a_rejection_is_a_permission_denied_without_a_store_call() {
    let store = store_fn(|_| async { panic!("the store was called") });
    let layer = LogoutLayer::builder(store)
        .path(PATH)
        .grpc()
        .token_source(TokenSource::metadata("refresh-token").unwrap())
        .origin_check(OriginCheck::new())
        .build()
        .unwrap();
    let metadata = [("refresh-token", "t"), ("origin", "https://evil.example")];
    let status = call(server(&layer).await, PATH, &metadata)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.message(), "Cross-origin logout is not allowed");
    assert!(status.metadata().get("set-cookie").is_none());
}

#[tokio::test]
async fn other_calls_reach_the_inner_service() {
    let address = server(&layer(MemoryStore::new())).await;
    let status = call(address, "/auth.v1.Auth/Login", &[]).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unimplemented, "not a logout")
    );
}

fn grpc(content_type: &str, token: &Token) -> Request<TestBody> {
    Request::post(PATH)
        .header("content-type", content_type)
        .header("authorization", format!("Bearer {}", token.expose()))
        .body(Full::from(&b"\0\0\0\0\0"[..]))
        .unwrap()
}

#[tokio::test]
async fn on_the_wire_it_is_a_200_with_an_empty_message_and_the_status_in_the_trailers() {
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let (store, token) = store_with_session().await;
        let service = layer(store).layer(inner());
        let response = service.oneshot(grpc(content_type, &token)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert!(!response.headers().contains_key("content-length"));
        assert!(!response.headers().contains_key("grpc-status"));
        let mut body = response.into_body();
        let message = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(message, &b"\0\0\0\0\0"[..]);
        assert!(!http_body::Body::is_end_stream(&body));
        let trailers = body
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers.len(), 1);
        assert!(body.frame().await.is_none());
        assert!(http_body::Body::is_end_stream(&body));
    }
}

#[tokio::test]
async fn over_a_socket_no_length_is_announced_and_the_trailers_arrive() {
    let (store, token) = store_with_session().await;
    let address = server(&layer(store)).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<TestBody>();
    let mut request = grpc("application/grpc", &token);
    *request.uri_mut() = format!("http://{address}{PATH}").parse().unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    // A proxy may turn the trailers into a part of the body, so any length would be wrong.
    assert!(!response.headers().contains_key("content-length"));
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), &b"\0\0\0\0\0"[..]);
}

#[tokio::test]
async fn grpc_answers_are_off_by_default_and_only_for_grpc_calls() {
    let (store, token) = store_with_session().await;
    let silent = LogoutLayer::builder(store.clone())
        .path(PATH)
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let answer = through(&silent, grpc("application/grpc", &token)).await;
    assert_eq!(answer.status, 415);
    // gRPC-Web without tonic-web's layer.
    let answer = through(&layer(store.clone()), grpc("application/grpc-web", &token)).await;
    assert_eq!(answer.status, 415);
    assert!(is_live(&store, &token).await);
    through(&layer(store.clone()), grpc("application/json", &token))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn through_tonic_webs_layer_a_grpc_web_client_gets_an_answer_too() {
    let (store, token) = store_with_session().await;
    let behind = service_fn(|_: Request<tonic::body::Body>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = tonic_web::GrpcWebLayer::new().layer(layer(store.clone()).layer(behind));
    let response = service
        .oneshot(grpc("application/grpc-web+proto", &token))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/grpc-web+proto"
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let (message, trailers) = body.split_at(5);
    assert_eq!(message, &b"\0\0\0\0\0"[..]);
    // In gRPC-Web the trailers are a frame of the body (flag 0x80).
    assert_eq!(trailers[0], 0x80);
    let trailers = std::str::from_utf8(&trailers[5..]).unwrap();
    assert_eq!(trailers.trim(), "grpc-status:0");
    assert!(!is_live(&store, &token).await);
}
