//! Streaming calls of other services pass through the layer unchanged.

use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;
use tower_logout::{LogoutLayer, MemoryStore};

use support::server::serve;

const SERVICE: &str = "shop.v1.Shop";

fn watch(service: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest {
        service: service.to_owned(),
    })
}

#[tokio::test]
async fn a_stream_passes_through_the_layer_and_ends_with_its_trailers() {
    let (mut reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status(SERVICE, ServingStatus::Serving)
        .await;
    let layer = LogoutLayer::builder(MemoryStore::new())
        .path("/auth.v1.Auth/Logout")
        .grpc()
        .build()
        .unwrap();
    let address = serve(layer.layer(health)).await;
    let channel = Endpoint::new(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());

    let response = client.watch(watch(SERVICE)).await.unwrap();
    let mut stream = response.into_inner();
    let message = stream.message().await.unwrap().unwrap();
    assert_eq!(message.status, ServingStatus::Serving as i32);
    for status in [ServingStatus::NotServing, ServingStatus::Serving] {
        reporter.set_service_status(SERVICE, status).await;
        let message = stream.message().await.unwrap().unwrap();
        assert_eq!(message.status, status as i32);
    }
    reporter.clear_service_status(SERVICE).await;
    assert!(stream.message().await.unwrap().is_none());
    let trailers = stream.trailers().await.unwrap().expect("trailers");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");

    let unknown = client.watch(watch("unknown")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}
