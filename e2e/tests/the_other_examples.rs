//! The smaller examples work as the recipes in their first lines say.

use std::process::Stdio;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

use e2e::find_program;
use e2e::process::ExampleServer;

/// Runs the curl calls of the recipe, and returns the answers.
async fn recipe_answers(name: &str, source: &str) -> Vec<String> {
    let server = ExampleServer::start_example(name, &[]).await;
    let mut answers = Vec::new();
    for line in source.lines() {
        let Some(call) = line.strip_prefix("//! curl ") else {
            continue;
        };
        let (call, _) = call.split_once('#').unwrap_or((call, ""));
        let call = call.replace("http://127.0.0.1:3000", &server.url);
        let output = Command::new("sh")
            .args(["-c", &format!("curl -sS -w '%{{http_code}}' {call}")])
            .current_dir(server.folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{call}: {output:?}");
        answers.push(String::from_utf8(output.stdout).unwrap());
    }
    answers
}

async fn logs_in_and_out(name: &str, source: &str) {
    if find_program(&["curl"]).is_none() {
        return;
    }
    let answers = recipe_answers(name, source).await;
    let [login, me, logout, after] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(login.ends_with("200"), "{login}");
    assert!(me.starts_with("alice") && me.ends_with("200"), "{me}");
    assert_eq!(logout, "{\"message\":\"Logged out successfully\"}200");
    assert!(after.ends_with("401"), "{after}");
}

#[tokio::test]
async fn the_hyper_example_logs_out() {
    logs_in_and_out("hyper", include_str!("../../examples/hyper.rs")).await;
}

#[tokio::test]
async fn the_example_with_its_own_table_logs_out() {
    logs_in_and_out("own_store", include_str!("../../examples/own_store.rs")).await;
}

/// Calls as the client does that is generated from the `.proto` in the example.
async fn call<M>(
    channel: &Channel,
    path: &'static str,
    request: Request<()>,
) -> Result<Response<M>, Status>
where
    M: Send + Sync + 'static,
    ProstCodec<(), M>: tonic::codec::Codec<Encode = (), Decode = M>,
{
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<(), M>::default();
    client
        .unary(request, PathAndQuery::from_static(path), codec)
        .await
}

#[tokio::test]
async fn the_tonic_example_logs_out() {
    fn with_token<T>(token: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    }
    let server = ExampleServer::start_example("tonic", &[]).await;
    let endpoint = Endpoint::new(server.url.clone()).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    let everything = HealthCheckRequest::default;

    let rejected = health.check(everything()).await.unwrap_err();
    assert_eq!(rejected.code(), Code::Unauthenticated);

    let login = call::<String>(&channel, "/auth.v1.Auth/Login", Request::new(()));
    let token = login.await.unwrap().into_inner();
    let watch = health.watch(with_token(&token, everything()));
    let mut stream = watch.await.unwrap().into_inner();
    let message = stream.message().await.unwrap().unwrap();
    assert_eq!(message.status, ServingStatus::Serving as i32);

    let logout = with_token(&token, ());
    call::<()>(&channel, "/auth.v1.Auth/Logout", logout)
        .await
        .unwrap();
    let check = health.check(with_token(&token, everything()));
    assert_eq!(check.await.unwrap_err().code(), Code::Unauthenticated);
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.message());
    let status = ended.await.expect("the stream goes on").unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}
