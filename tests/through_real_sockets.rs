//! Logouts over real connections: HTTP/1, HTTP/2, and the bodies of a proxy.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, TRAILER};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, service_fn};
use tower_logout::reply::{Reply, ReplyBody};
use tower_logout::{LogoutLayer, MemoryStore, Outcome};

use support::server::serve;
use support::*;

async fn server(store: MemoryStore) -> std::net::SocketAddr {
    let inner = service_fn(|request: Request<Incoming>| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
    });
    serve(LogoutLayer::new(store).layer(inner)).await
}

#[tokio::test]
async fn over_http1_the_answer_is_the_default_and_the_connection_stays_open() {
    let (store, token) = store_with_session().await;
    let address = server(store.clone()).await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Cookie: refreshToken={}\r\nContent-Length: 2\r\n\r\n{{}}",
        token.expose()
    );
    for _ in 0..2 {
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with('}') {
            let mut buffer = [0; 1024];
            let read = connection.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {answer}");
            answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        let answer = answer.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-length: 37\r\n"), "{answer}");
        assert_eq!(answer.matches("content-length").count(), 1);
        assert_eq!(answer.matches("\r\nset-cookie: ").count(), 2);
    }
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn over_http1_the_answer_does_not_wait_for_the_body() {
    let (store, token) = store_with_session().await;
    let address = server(store).await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Cookie: refreshToken={}\r\nContent-Length: 1000000000\r\n\r\n",
        token.expose()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = [0; 15];
    connection.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn over_http1_a_large_body_is_answered_and_the_connection_closed() {
    let (store, token) = store_with_session().await;
    let address = server(store.clone()).await;
    let connection = TcpStream::connect(address).await.unwrap();
    let (mut answers, mut requests) = connection.into_split();
    let head = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Cookie: refreshToken={}\r\nContent-Length: 3000000\r\n\r\n",
        token.expose()
    );
    let sending = tokio::spawn(async move {
        requests.write_all(head.as_bytes()).await.unwrap();
        // Fails in the middle, because the server closes the connection.
        let _ = requests.write_all(&vec![b' '; 3_000_000]).await;
    });
    let mut answer = Vec::new();
    // A reset after the answer closes the connection too.
    let _ = answers.read_to_end(&mut answer).await;
    sending.await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn over_http1_trailers_come_to_the_client_that_asks_for_them() {
    struct WithChecksum;
    impl Reply for WithChecksum {
        fn reply(&self, _: &Outcome, _: Parts) -> Response<ReplyBody> {
            let trailers = [("x-checksum".parse().unwrap(), "7".parse().unwrap())];
            let body = ReplyBody::from("bye").with_trailers(trailers.into_iter().collect());
            let mut response = Response::new(body);
            response
                .headers_mut()
                .insert(TRAILER, "x-checksum".parse().unwrap());
            response
        }
    }
    let layer = LogoutLayer::builder(MemoryStore::new())
        .reply(WithChecksum)
        .build()
        .unwrap();
    let inner = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let address = serve(layer.layer(inner)).await;
    for (te, end) in [
        ("", "0\r\n\r\n"),
        ("TE: trailers\r\n", "0\r\nx-checksum: 7\r\n\r\n"),
    ] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             {te}Connection: close\r\nContent-Length: 0\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(!answer.contains("content-length"), "{answer}");
        assert!(
            answer.ends_with(&format!("\r\n\r\n3\r\nbye\r\n{end}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn over_http2_a_cookie_split_over_several_fields_is_found() {
    let (store, token) = store_with_session().await;
    let address = server(store.clone()).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Empty<Bytes>>();
    let request = Request::post(format!("http://{address}/auth/logout"))
        .header(CONTENT_TYPE, "application/json")
        .header(COOKIE, "theme=dark")
        .header(COOKIE, format!("refreshToken={}", token.expose()))
        .header(COOKIE, "lang=en")
        .body(Empty::new())
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_proxys_incoming_bodies_pass_both_ways() {
    let upstream = serve(service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    }))
    .await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Incoming>();
    let proxy = service_fn(move |mut request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        *request.uri_mut() = format!("http://{upstream}{path}").parse().unwrap();
        client.request(request)
    });
    let address = serve(LogoutLayer::new(MemoryStore::new()).layer(proxy)).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let request = Request::post(format!("http://{address}/echo"))
        .body(Full::new(body.clone()))
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        body
    );
}
