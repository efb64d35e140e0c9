//! The gateway adds the logout to apps that do not know it, and is transparent otherwise.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::AppendHeaders;
use axum::routing::get;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::SqlStore;

use e2e::process::ExampleServer;
use support::server::serve;
use support::*;

fn client(version: Version) -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new())
        .http2_only(version == Version::HTTP_2)
        .build_http()
}

/// An upstream that returns each body, and records each request.
async fn echo() -> (SocketAddr, Shared<http::request::Parts>) {
    let seen = Shared::default();
    let notes = Shared::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        notes.lock().unwrap().push(parts);
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    (serve(service).await, seen)
}

/// A gateway in front of this upstream, and its store.
async fn gateway(upstream: &str) -> (ExampleServer, SqlStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("sessions").display());
    let store = SqlStore::connect(&database).await.unwrap();
    let argument = format!("{upstream},{database}");
    let gateway = ExampleServer::start_example("gateway", &[&argument]).await;
    (gateway, store, folder)
}

fn post_logout(gateway: &ExampleServer, host: &str, token: &Token) -> Request<Body> {
    Request::post(format!("{}/auth/logout", gateway.url))
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(COOKIE, format!("refreshToken={}", token.expose()))
        .body(Body::empty())
        .unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_logout_at_the_gateway_ends_a_login_at_the_app() {
    let app = ExampleServer::start().await;
    let upstream = format!("{},{}", app.url, app.database());
    let gateway = ExampleServer::start_example("gateway", &[&upstream]).await;
    let client = client(Version::HTTP_11);
    let login = Request::post(format!("{}/auth/login", gateway.url))
        .header(CONTENT_TYPE, "application/json")
        .body(r#"{"username":"alice","password":"wonderland"}"#.into())
        .unwrap();
    let response = client.request(login).await.unwrap();
    let cookies: Vec<_> = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let cookies = cookies.join("; ");
    let me = || {
        Request::get(format!("{}/me", gateway.url))
            .header(COOKIE, &cookies)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(client.request(me()).await.unwrap().status(), StatusCode::OK);
    let logout = Request::post(format!("{}/auth/logout", gateway.url))
        .header(CONTENT_TYPE, "application/json")
        .header(COOKIE, &cookies)
        .body(Body::empty())
        .unwrap();
    let response = client.request(logout).await.unwrap();
    assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
    assert_eq!(
        text(response).await,
        r#"{"message":"Logged out successfully"}"#
    );
    let response = client.request(me()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn no_method_reaches_the_upstreams_own_logout() {
    let (upstream, seen) = echo().await;
    let (gateway, _, _folder) = gateway(&format!("http://{upstream}")).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let request = Request::builder()
                .method(method)
                .uri(format!("{}/auth/logout?x", gateway.url))
                .body(Body::empty())
                .unwrap();
            let status = client(version).request(request).await.unwrap().status();
            let expected = match method {
                "POST" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                _ => StatusCode::METHOD_NOT_ALLOWED,
            };
            assert_eq!(status, expected, "{method}");
        }
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_upstream_learns_the_host_and_the_client() {
    let (upstream, seen) = echo().await;
    let (gateway, _, _folder) = gateway(&format!("http://{upstream}/app/")).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut request = Request::get(format!("{}/me?x=1", gateway.url))
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-host", "evil.test")
            .header("x-forwarded-port", "6")
            .header("x-real-ip", "6.6.6.6")
            .header("forwarded", "for=6.6.6.6;host=evil.test");
        if version == Version::HTTP_11 {
            request = request
                .header(HOST, "shop.test")
                .header("connection", "x-secret")
                .header("x-secret", "1")
                .header("te", "gzip");
        }
        let request = request.body(Body::empty()).unwrap();
        client(version).request(request).await.unwrap();
        let parts = seen.lock().unwrap().pop().unwrap();
        let host = match version {
            Version::HTTP_11 => "shop.test",
            _ => gateway.address(),
        };
        assert_eq!(parts.version, Version::HTTP_11);
        assert_eq!(parts.uri, "/app/me?x=1");
        assert_eq!(parts.headers[HOST], host);
        assert_eq!(parts.headers["x-forwarded-host"], host);
        assert_eq!(parts.headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(parts.headers["x-forwarded-proto"], "http");
        for dropped in [
            "connection",
            "x-secret",
            "te",
            "forwarded",
            "x-forwarded-port",
            "x-real-ip",
        ] {
            assert!(!parts.headers.contains_key(dropped), "{dropped}");
        }
    }
}

#[tokio::test]
async fn a_client_cannot_remove_headers_by_naming_them_in_connection() {
    let (upstream, seen) = echo().await;
    let (gateway, store, _folder) = gateway(&format!("http://{upstream}")).await;
    let token = open(&store, "alice").await;
    let client = client(Version::HTTP_11);
    let kept = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "shop.test"),
        ("x-forwarded-proto", "http"),
        ("host", "shop.test"),
        ("cookie", "a=b"),
        ("authorization", "Bearer t"),
        ("content-type", "text/plain"),
        ("content-language", "de"),
        ("origin", "http://shop.test"),
        ("sec-fetch-site", "same-origin"),
    ];
    let connection = kept.map(|(name, _)| name).join(", ") + ", content-length, x-secret";
    let mut request = Request::post(format!("{}/echo", gateway.url))
        .header("connection", &connection)
        .header("x-secret", "1");
    for (name, value) in kept {
        request = request.header(name, value);
    }
    let request = request.body("body".into()).unwrap();
    assert_eq!(text(client.request(request).await.unwrap()).await, "body");
    let parts = seen.lock().unwrap().pop().unwrap();
    for (name, value) in kept {
        assert_eq!(parts.headers[name], value, "{name}");
    }
    assert_eq!(parts.headers["content-length"], "4");
    assert!(!parts.headers.contains_key("x-secret"));

    let mut logout = post_logout(&gateway, "shop.test", &token);
    let connection = "cookie, content-type, host".parse().unwrap();
    logout.headers_mut().insert("connection", connection);
    let response = client.request(logout).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn an_upstream_cannot_remove_headers_by_naming_them_in_connection() {
    let upstream = Router::new().route(
        "/",
        get(|| async {
            AppendHeaders([
                ("connection", "set-cookie, cache-control, x-secret"),
                ("set-cookie", "a=b"),
                ("cache-control", "no-store"),
                ("x-secret", "1"),
            ])
        }),
    );
    let upstream = serve(upstream).await;
    let (gateway, _, _folder) = gateway(&format!("http://{upstream}")).await;
    let request = Request::get(&gateway.url).body(Body::empty()).unwrap();
    let response = client(Version::HTTP_11).request(request).await.unwrap();
    assert_eq!(response.headers()[SET_COOKIE], "a=b");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("x-secret"));
}

/// The revocation endpoint of an authorization server, and the requests that it received.
async fn authority() -> (SocketAddr, Shared<(HeaderMap, String)>) {
    let seen = Shared::default();
    let notes = Shared::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let notes = Shared::clone(&notes);
        async move {
            let (parts, body) = request.into_parts();
            let form = body.collect().await?.to_bytes();
            let form = String::from_utf8(form.to_vec()).unwrap();
            notes.lock().unwrap().push((parts.headers, form));
            Ok::<_, hyper::Error>(Response::new(Body::empty()))
        }
    });
    (serve(service).await, seen)
}

#[tokio::test]
async fn the_gateway_authenticates_at_an_authorization_server() {
    let (authority, seen) = authority().await;
    let form = "token=a%2Bb%2Fc%3D%3D&token_type_hint=refresh_token";
    // RFC 6749 §2.3.1: both values are form-encoded, then joined, then base64.
    for (client_id, authorization, form) in [
        ("shop:geheim", Some("Basic c2hvcDpnZWhlaW0="), form.into()),
        (
            "shop%3A1:s%40%2F%C3%AB%20%2B",
            Some("Basic c2hvcCUzQTE6cyU0MCUyRiVDMyVBQislMkI="),
            form.into(),
        ),
        ("shop%3A1", None, format!("{form}&client_id=shop%3A1")),
    ] {
        let tenant = format!("http://127.0.0.1:9,http://{client_id}@{authority}/revoke?a=b");
        let gateway = ExampleServer::start_example("gateway", &[&tenant]).await;
        let logout = post_logout(&gateway, "x", &Token::new("a+b/c=="));
        let response = client(Version::HTTP_11).request(logout).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let (headers, sent) = seen.lock().unwrap().pop().unwrap();
        assert_eq!(sent, form);
        let seen = headers.get(AUTHORIZATION);
        assert_eq!(seen.map(|value| value.to_str().unwrap()), authorization);
    }
}

#[tokio::test]
async fn a_configuration_that_the_gateway_cannot_serve_fails_at_the_start() {
    for (tenant, expected) in [
        (
            "http://127.0.0.1:9,http://127.0.0.1:9/revoke",
            "http://CLIENT_ID:SECRET@HOST/PATH",
        ),
        (
            "http://127.0.0.1:9,https://a:geheim@127.0.0.1:9/revoke",
            "for https,",
        ),
        ("http://a:geheim@127.0.0.1:9", "an upstream has no user"),
        ("https://127.0.0.1:9", "begins with http:// or h2c://"),
    ] {
        for in_the_environment in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut command = ExampleServer::command_of("gateway", folder.path());
            if in_the_environment {
                command.env("TENANTS", tenant);
            } else {
                command.arg(tenant);
            }
            let output = command.stderr(Stdio::piped()).output();
            let output = tokio::time::timeout(Duration::from_secs(10), output).await;
            let output = output
                .unwrap_or_else(|_| panic!("the gateway serves {tenant}"))
                .unwrap();
            assert!(!output.status.success(), "{tenant}");
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_silent_authorization_server_is_a_500_after_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = silent.local_addr().unwrap();
    let tenant = format!("http://127.0.0.1:9,http://shop:geheim@{authority}/revoke");
    let gateway = ExampleServer::start_example("gateway", &[&tenant]).await;
    let logout = post_logout(&gateway, "x", &Token::new("t"));
    let client = client(Version::HTTP_11);
    let answer = tokio::spawn(client.request(logout));
    let (mut connection, _) = silent.accept().await.unwrap();
    // The gateway closes the connection. A revocation without a timeout would keep it open.
    let mut received = Vec::new();
    let hung_up = connection.read_to_end(&mut received);
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, hung_up).await.unwrap().unwrap();
    let response = answer.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn on_sigterm_requests_and_revocations_in_flight_are_finished() {
    let (received, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (received, go_on) = (Arc::clone(&received), Arc::clone(&go_on));
        service_fn(move |_: Request<Incoming>| {
            let (received, go_on) = (Arc::clone(&received), Arc::clone(&go_on));
            async move {
                received.notify_one();
                go_on.notified().await;
                Ok::<_, Infallible>(Response::new(Body::from("done")))
            }
        })
    };
    let slow = serve(slow).await;
    let tenant = format!("http://{slow},http://shop:geheim@{slow}/revoke");
    let mut gateway = ExampleServer::start_example("gateway", &[&tenant]).await;
    let client = client(Version::HTTP_11);
    let page = Request::get(&gateway.url).body(Body::empty()).unwrap();
    let logout = post_logout(&gateway, "x", &Token::new("t"));
    let page = tokio::spawn(client.request(page));
    received.notified().await;
    let logout = tokio::spawn(client.request(logout));
    received.notified().await;

    gateway.signal("TERM").await;
    while TcpStream::connect(gateway.address()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    go_on.notify_waiters();
    assert_eq!(text(page.await.unwrap().unwrap()).await, "done");
    let response = logout.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn each_tenant_has_its_own_store_chosen_at_run_time() {
    let (shop, shop_seen) = echo().await;
    let (blog, blog_seen) = echo().await;
    let (authority, revoked) = authority().await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("shop").display());
    let store = SqlStore::connect(&database).await.unwrap();
    let token = open(&store, "alice").await;
    let tenants = [
        &*format!("shop.test=http://{shop},{database}"),
        &*format!("blog.test=h2c://{blog},http://blog:geheim@{authority}/revoke"),
    ];
    let gateway = ExampleServer::start_example("gateway", &tenants).await;
    let client = client(Version::HTTP_11);
    let get = |host| {
        Request::get(format!("{}/?a=b", gateway.url))
            .header(HOST, host)
            .body(Body::empty())
            .unwrap()
    };

    let response = client.request(get("shop.test")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        shop_seen.lock().unwrap().pop().unwrap().version,
        Version::HTTP_11
    );
    let response = client.request(get("BLOG.test:80")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        blog_seen.lock().unwrap().pop().unwrap().version,
        Version::HTTP_2
    );
    let response = client.request(get("evil.test")).await.unwrap();
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);

    let blog_logout = post_logout(&gateway, "blog.test", &Token::new("a+b/c=="));
    assert_eq!(
        client.request(blog_logout).await.unwrap().status(),
        StatusCode::OK
    );
    let (_, form) = revoked.lock().unwrap().pop().unwrap();
    assert_eq!(form, "token=a%2Bb%2Fc%3D%3D&token_type_hint=refresh_token");
    assert!(is_live(&store, &token).await);
    let shop_logout = post_logout(&gateway, "shop.test", &token);
    assert_eq!(
        client.request(shop_logout).await.unwrap().status(),
        StatusCode::OK
    );
    assert!(!is_live(&store, &token).await);
    assert!(shop_seen.lock().unwrap().is_empty() && blog_seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn if_the_upstream_is_down_the_app_is_a_502_and_the_logout_works() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    drop(listener);
    let (gateway, store, _folder) = gateway(&format!("http://{upstream}")).await;
    let token = open(&store, "alice").await;
    let client = client(Version::HTTP_11);
    let me = Request::get(format!("{}/me", gateway.url));
    let response = client
        .request(me.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let response = client
        .request(post_logout(&gateway, "x", &token))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_websocket_passes_through() {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(async |mut socket: WebSocket| {
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    };
    let upstream = serve(Router::new().route("/ws", get(echo))).await;
    let (gateway, _, _folder) = gateway(&format!("http://{upstream}")).await;
    let url = format!("ws://{}/ws", gateway.address());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
}

/// Longer than anything takes here, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, future).await;
    done.expect("happens soon")
}

fn cookie(token: &Token) -> http::HeaderValue {
    format!("refreshToken={}", token.expose()).parse().unwrap()
}

/// Ends a session at the gateway, and another one where the gateway only hears of the end.
async fn end(gateway: &ExampleServer, store: &SqlStore, [here, elsewhere]: [&Token; 2]) {
    let logout = post_logout(gateway, "x", here);
    let response = client(Version::HTTP_11).request(logout).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    store.revoke(elsewhere).await.unwrap();
}

#[tokio::test]
async fn a_websocket_closes_when_its_session_ends_and_those_of_others_stay() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(async |mut socket: WebSocket| {
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    };
    let upstream = serve(Router::new().route("/ws", get(echo))).await;
    let (gateway, store, _folder) = gateway(&format!("http://{upstream}")).await;
    let mut tokens = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let token = open(&store, "alice").await;
        let url = format!("ws://{}/ws", gateway.address());
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert(COOKIE, cookie(&token));
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        socket.send(Message::text("one")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("one"));
        tokens.push(token);
        sockets.push(socket);
    }
    end(&gateway, &store, [&tokens[0], &tokens[1]]).await;
    for socket in &mut sockets[..2] {
        let closed = soon(socket.next()).await;
        assert!(!matches!(closed, Some(Ok(_))), "{closed:?}");
    }
    let other = &mut sockets[2];
    other.send(Message::text("two")).await.unwrap();
    assert_eq!(
        soon(other.next()).await.unwrap().unwrap(),
        Message::text("two")
    );
}

#[tokio::test]
async fn a_response_that_streams_ends_with_its_session_and_those_of_others_go_on() {
    let (events, _) = tokio::sync::broadcast::channel::<&str>(4);
    let sender = events.clone();
    let upstream = Router::new().route(
        "/events",
        get(async move || {
            let received = futures::stream::unfold(sender.subscribe(), async |mut events| {
                Some((events.recv().await.ok()?, events))
            });
            let first = futures::stream::once(async { "one" });
            Body::from_stream(first.chain(received).map(Ok::<_, Infallible>))
        }),
    );
    let upstream = serve(upstream).await;
    for (version, scheme) in [(Version::HTTP_11, "http"), (Version::HTTP_2, "h2c")] {
        let (gateway, store, _folder) = gateway(&format!("{scheme}://{upstream}")).await;
        let client = client(version);
        let mut tokens = Vec::new();
        let mut bodies = Vec::new();
        for _ in 0..3 {
            let token = open(&store, "alice").await;
            let request = Request::get(format!("{}/events", gateway.url))
                .header(COOKIE, cookie(&token))
                .body(Body::empty())
                .unwrap();
            let mut body = client.request(request).await.unwrap().into_body();
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "one");
            tokens.push(token);
            bodies.push(body);
        }
        end(&gateway, &store, [&tokens[0], &tokens[1]]).await;
        for body in bodies.drain(..2) {
            let rest = soon(body.collect()).await.unwrap().to_bytes();
            assert_eq!(rest, "", "{version:?}");
        }
        events.send("two").unwrap();
        let frame = soon(bodies[0].frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "two");
    }
}

#[tokio::test]
async fn a_stream_of_grpc_gets_unauthenticated_when_its_session_ends() {
    let (reporter, health) = tonic_health::server::health_reporter();
    let upstream = serve(health).await;
    let (gateway, store, _folder) = gateway(&format!("h2c://{upstream}")).await;
    let endpoint = Endpoint::new(gateway.url.clone()).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let mut tokens = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let token = open(&store, "alice").await;
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        let cookie = cookie(&token).to_str().unwrap().parse().unwrap();
        request.metadata_mut().insert("cookie", cookie);
        let mut stream = client.watch(request).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        tokens.push(token);
        streams.push(stream);
    }
    end(&gateway, &store, [&tokens[0], &tokens[1]]).await;
    for stream in &mut streams[..2] {
        let status = soon(stream.message()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let message = soon(streams[2].message()).await.unwrap().unwrap();
    assert_eq!(message.status, ServingStatus::NotServing as i32);
}

#[tokio::test]
async fn on_sigterm_the_streams_of_sessions_end() {
    let endless = || async {
        let first = futures::stream::once(async { Ok::<_, Infallible>("one") });
        Body::from_stream(first.chain(futures::stream::pending()))
    };
    let upstream = serve(Router::new().route("/", get(endless))).await;
    let (mut gateway, store, _folder) = gateway(&format!("http://{upstream}")).await;
    let token = open(&store, "alice").await;
    let request = Request::get(&gateway.url)
        .header(COOKIE, cookie(&token))
        .body(Body::empty())
        .unwrap();
    let response = client(Version::HTTP_11).request(request).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    gateway.signal("TERM").await;
    assert!(soon(body.frame()).await.is_none());
    assert!(soon(gateway.ended()).await.success());
}

#[tokio::test]
async fn bodies_are_streamed() {
    let (upstream, _) = echo().await;
    let (gateway, _, _folder) = gateway(&format!("http://{upstream}")).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (mut chunks, body) = mpsc::channel::<Result<Bytes, Infallible>>(1);
        let request = Request::post(format!("{}/echo", gateway.url))
            .body(Body::from_stream(body))
            .unwrap();
        let response = client(version).request(request).await.unwrap();
        let mut answer = response.into_body();
        for chunk in ["one", "two"] {
            chunks.send(Ok(Bytes::from(chunk))).await.unwrap();
            let frame = answer.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), chunk);
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn ten_thousand_requests_and_their_bodies_leak_no_memory() {
    const WARM_UP: usize = 3000;
    const REQUESTS: usize = 12_000;
    const CHUNK: usize = 1 << 16;
    const CHUNKS: usize = 16;
    let (upstream, seen) = echo().await;
    let (gateway, _, _folder) = gateway(&format!("http://{upstream}")).await;
    let clients = [Version::HTTP_11, Version::HTTP_2].map(client);
    let one = async |number: usize| {
        // One request in fifty has a mebibyte in each direction.
        let chunks = if number.is_multiple_of(50) { CHUNKS } else { 0 };
        let chunk = Bytes::from(vec![b'x'; CHUNK]);
        let chunks = vec![Ok::<_, Infallible>(chunk); chunks];
        let expected = chunks.len() * CHUNK;
        let request = Request::post(format!("{}/echo", gateway.url))
            .body(Body::from_stream(futures::stream::iter(chunks)))
            .unwrap();
        let response = clients[number / 50 % 2].request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut received = 0;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(received, expected);
    };
    let send = async |numbers: std::ops::Range<usize>| {
        futures::stream::iter(numbers)
            .map(&one)
            .buffer_unordered(16)
            .count()
            .await
    };
    send(0..WARM_UP).await;
    let before = gateway.resident();
    send(WARM_UP..REQUESTS).await;
    let after = gateway.resident();
    assert_eq!(seen.lock().unwrap().len(), REQUESTS);
    println!("{before} KiB before, {after} KiB after");
    assert!(
        after < before + 4096,
        "{before} KiB before, {after} KiB after"
    );
}
