//! A reverse proxy that adds the logout to an app that has none.
//!
//! ```sh
//! cargo run --example axum                                  # an app, on port 3000
//! BIND=127.0.0.1:8000 \
//!     cargo run --example gateway -- http://127.0.0.1:3000  # the gateway
//!
//! curl -c jar -H 'Content-Type: application/json' \
//!     -d '{"username":"alice","password":"wonderland"}' http://127.0.0.1:8000/auth/login
//! curl -b jar http://127.0.0.1:8000/me
//! curl -b jar -H 'Content-Type: application/json' -X POST http://127.0.0.1:8000/auth/logout
//! curl -b jar http://127.0.0.1:8000/me    # 401: the gateway ended the session
//! ```
//!
//! Each argument is a tenant: `[HOST=]UPSTREAM[,STORE]`. The words of the environment variable `TENANTS`
//! are tenants too; use it for secrets, because other users of the machine cannot read it. `HOST` is the
//! name in the browser's URL. The tenant without a `HOST` serves all other names. `STORE` has the
//! tenant's sessions:
//!
//! - `sqlite:FILE`: the tables of `SqlStore`. Default: `sqlite:tower-logout.sqlite`.
//! - `http://CLIENT_ID:SECRET@HOST/PATH`: the revocation endpoint of an authorization server (RFC 7009),
//!   with the credentials of the gateway as its client. A client without a secret is `CLIENT_ID@HOST`. The
//!   token is sent unencrypted, so use a network of your own.
//!
//! # What ends with a session
//!
//! The gateway looks up the session of each request by its refresh cookie, if that is a live one. It closes a
//! WebSocket and ends a response without a known size as soon as the session ends, on this gateway or
//! elsewhere. An authorization server does not name the session of a token, so that the streams of its tenants
//! go on. A gateway that cannot read its database for 30 seconds answers such a request with `503`.
//!
//! # What the upstream sees
//!
//! - Clients use HTTP/1, or HTTP/2 with prior knowledge. The gateway uses HTTP/1 to the upstream, or
//!   HTTP/2 if the URL is `h2c://…`. Bodies are streamed, and upgrades to WebSocket pass through.
//! - Over HTTP/1, `Host` is the host of the browser's request. Over HTTP/2, it is the host of the upstream.
//! - The gateway sets `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`. It removes those of
//!   the client, all other `X-Forwarded-*` headers, and `Forwarded`. Behind another proxy that you trust,
//!   keep them.
//! - A path in `UPSTREAM` is a prefix of the request's path. The layer sees the path of the browser, so
//!   `/auth/logout` and the `Path` of the cookies are paths of the browser.
//! - No method reaches the upstream's own `/auth/logout`.

mod authority;
mod hop;
mod shutdown;
mod tenant;
mod upstream;

use std::collections::HashMap;
use std::env;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{FutureExt, join_all};
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tower_logout::{BoxError, LogoutLayer, body, require};

use hop::{end_of_hop, forwarded, is_websocket};
use tenant::Tenant;
use upstream::{Body, Upstream, empty};

const LOGOUT: &str = "/auth/logout";
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes an HTTP/1 connection buffers at most.
const BUFFER: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (mut tenants, mut layers, mut followed) = (HashMap::new(), Vec::new(), Vec::new());
    let environment = env::var("TENANTS").unwrap_or_default();
    let environment = environment.split_whitespace().map(str::to_owned);
    for argument in env::args().skip(1).chain(environment) {
        // A host has no slash. A URL has one before its first `=`.
        let (host, rest) = match argument.split_once('=') {
            Some((host, rest)) if !host.contains('/') => (host, rest),
            _ => ("", &*argument),
        };
        let (upstream, store) = rest
            .split_once(',')
            .unwrap_or((rest, "sqlite:tower-logout.sqlite"));
        let (tenant, following) = Tenant::open(Upstream::at(upstream)?, store).await?;
        layers.push(tenant.layer.clone());
        followed.push(tokio::spawn(following));
        tenants.insert(host.to_ascii_lowercase(), tenant);
    }
    if tenants.is_empty() {
        return Err("give an upstream as an argument, for example http://127.0.0.1:8080".into());
    }

    serve(Arc::new(tenants), &followed).await?;
    // Revocations of disconnected clients may still run.
    let drained = join_all(layers.iter().map(LogoutLayer::drain));
    tokio::time::timeout(DRAIN_TIMEOUT, drained).await?;
    Ok(())
}

/// Serves until a signal arrives, and then finishes the requests in flight.
async fn serve(
    tenants: Arc<HashMap<String, Tenant>>,
    followed: &[JoinHandle<()>],
) -> Result<(), BoxError> {
    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:8000".into());
    let listener = TcpListener::bind(&bind).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(BUFFER);
    let (connections, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut stop = std::pin::pin!(shutdown::signal());
    loop {
        let (stream, client) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = &mut stop => break,
        };
        let tenants = Arc::clone(&tenants);
        let service = service_fn(move |request| answer(Arc::clone(&tenants), client.ip(), request));
        let (server, stopping) = (server.clone(), stopping.clone());
        connections.spawn(async move {
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            // The client may disconnect.
            let _ = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
        });
    }
    drop(listener);
    stopping.cancel();
    // Ends the streams of sessions.
    followed.iter().for_each(JoinHandle::abort);
    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
        .await
        .is_err()
    {
        eprintln!(
            "{} connections are still busy, and are closed",
            connections.len()
        );
    }
    Ok(())
}

/// The answer of a tenant, or of the gateway.
type Answer = Response<Either<body::ResponseBody<require::ResponseBody<Body>>, Full<Bytes>>>;

async fn answer(
    tenants: Arc<HashMap<String, Tenant>>,
    client: IpAddr,
    mut request: Request<Incoming>,
) -> Result<Answer, BoxError> {
    let host = match (request.uri().authority(), request.headers().get(HOST)) {
        (Some(authority), _) => HeaderValue::from_str(authority.as_str())?,
        (None, Some(host)) => host.clone(),
        (None, None) => HeaderValue::from_static(""),
    };
    let name = Authority::try_from(host.as_bytes()).map_or(String::new(), |authority| {
        authority.host().to_ascii_lowercase()
    });
    let Some(tenant) = tenants.get(&name).or_else(|| tenants.get("")) else {
        return Ok(empty(StatusCode::MISDIRECTED_REQUEST).map(Either::Right));
    };
    // The headers of the client are removed first. Otherwise the client could remove the headers of the
    // gateway by naming them in `Connection`.
    let headers = request.headers_mut();
    let websocket = is_websocket(headers);
    end_of_hop(headers, websocket);
    forwarded(headers, client, host)?;
    if request.uri().path() != LOGOUT {
        match tenant.session_of(&request).await {
            Ok(Some(session)) => {
                request.extensions_mut().insert(session);
            }
            Ok(None) => {}
            Err(error) => {
                eprintln!("cannot look up a session: {error}");
                return Ok(empty(StatusCode::SERVICE_UNAVAILABLE).map(Either::Right));
            }
        }
    }
    // Boxed, because the compiler cannot prove here that a future over `dyn TokenStore` is `Send`.
    let answer = tenant.service.clone().oneshot(request).boxed();
    Ok(answer.await?.map(Either::Left))
}
