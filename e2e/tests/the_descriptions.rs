//! The OpenAPI fragment and the gRPC definition of the documentation describe the layer as it is.

use std::path::Path;

use axum::Router;
use http::uri::PathAndQuery;
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;
use tower_logout::{LogoutLayer, MemoryStore, TokenSource, store_fn};

use support::server::serve;
use support::*;

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

/// The paths of the fragment.
fn fragment() -> Value {
    let page = std::fs::read_to_string(docs().join("endpoint.md")).unwrap();
    let (_, section) = page.split_once("## OpenAPI").unwrap();
    let (_, block) = section.split_once("```json\n").unwrap();
    let (json, _) = block.split_once("```").unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_fragment_is_part_of_a_valid_openapi_document() {
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "An application", "version": "1" },
        "paths": fragment(),
        "components": { "securitySchemes": {
            "refreshToken": { "type": "apiKey", "in": "cookie", "name": "refreshToken" },
        } },
    });
    let spec = oas3::from_json(document.to_string()).unwrap();
    let (path, method, operation) = spec.operations().next().unwrap();
    assert_eq!((&*path, method.as_str()), ("/auth/logout", "POST"));
    assert_eq!(operation.responses(&spec).len(), 3);
}

#[tokio::test]
async fn each_answer_is_the_one_of_the_fragment() {
    let (store, token) = store_with_session().await;
    let mut not_json = logout_with(&token);
    not_json.headers_mut().remove("content-type");
    let failing = store_fn(|_| async { Err("disk full".into()) });
    let answers = [
        through_default(store, logout_with(&token)).await,
        through_default(MemoryStore::new(), not_json).await,
        through_default(failing, logout_with(&token)).await,
    ];
    let fragment = fragment();
    let responses = fragment["/auth/logout"]["post"]["responses"]
        .as_object()
        .unwrap();
    assert_eq!(responses.len(), answers.len());
    for answer in answers {
        let response = &responses[answer.status.as_str()];
        let schema = &response["content"]["application/json"]["schema"];
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let members: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(json!(members), schema["required"], "{}", answer.status);
        for (name, value) in body.as_object().unwrap() {
            let property = &schema["properties"][name];
            let expected = property.get("const").unwrap_or(value);
            assert_eq!(value, expected, "{}", answer.status);
        }
        let removes = response["headers"].get("Set-Cookie").is_some();
        assert_eq!(removes, !answer.set_cookies().is_empty());
    }
}

#[tokio::test]
async fn a_client_of_the_grpc_definition_logs_out() {
    let files = protox::compile(["logout.proto"], [docs()]).unwrap();
    let file = files
        .file
        .iter()
        .find(|file| file.name() == "logout.proto")
        .unwrap();
    let (service, package) = (&file.service[0], file.package());
    let method = &service.method[0];
    let empty = ".google.protobuf.Empty";
    assert_eq!((method.input_type(), method.output_type()), (empty, empty));
    let path = format!("/{package}.{}/{}", service.name(), method.name());

    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .path(&path)
        .grpc()
        .require_token()
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let address = serve(Router::new().layer(layer)).await;
    let channel = Endpoint::new(format!("http://{address}")).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    let path: PathAndQuery = path.parse().unwrap();
    let mut call = async |authorization: Option<String>| {
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(());
        if let Some(value) = authorization {
            let value = value.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let codec = ProstCodec::<(), ()>::default();
        client.unary(request, path.clone(), codec).await
    };
    let status = call(None).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    call(Some(format!("Bearer {}", token.expose())))
        .await
        .unwrap();
    assert!(!is_live(&store, &token).await);
}
