//! A reverse proxy that logs out for an app that knows nothing of it.
//!
//! ```sh
//! cargo run --example axum                                  # an app, on port 3000
//! BIND=127.0.0.1:8000 \
//!     cargo run --example gateway -- http://127.0.0.1:3000  # in front of it
//!
//! curl -c jar -H 'Content-Type: application/json' \
//!     -d '{"username":"alice","password":"wonderland"}' http://127.0.0.1:8000/auth/login
//! curl -b jar http://127.0.0.1:8000/me
//! curl -b jar -H 'Content-Type: application/json' -X POST http://127.0.0.1:8000/auth/logout
//! curl -b jar http://127.0.0.1:8000/me    # 401, as the gateway ended the session
//! ```
//!
//! Each argument is a tenant, `[HOST=]UPSTREAM[,STORE]`, and so is each word of `TENANTS` in the
//! environment, where no other user of the machine reads a secret. `HOST` is the name that browsers
//! ask for; the tenant without one has all other names. `STORE` is where the tenant's sessions are:
//!
//! - `sqlite:FILE`, the tables of `SqlStore`; `sqlite:tower-logout.sqlite` by default,
//! - `http://CLIENT_ID:SECRET@HOST/PATH`, the revocation endpoint of an authorization server
//!   (RFC 7009), and the client that the gateway is to it. A client without a secret is
//!   `CLIENT_ID@HOST`. The token goes there in clear: let it be a network of your own.
//!
//! # What the upstream sees
//!
//! - Clients may speak HTTP/1 or HTTP/2 with prior knowledge. The upstream is asked in HTTP/1, or in
//!   HTTP/2 where it is given as `h2c://…`. Bodies are streamed, and upgrades to
//!   WebSocket pass.
//! - `Host` is the one that the browser asked for, over HTTP/2 that of the upstream.
//! - `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` are this gateway's own; what the
//!   client says in them, in others of that kind and in `Forwarded` is dropped. Behind another proxy,
//!   which has to be trusted, keep them.
//! - A path in `UPSTREAM` is put before that of the request. The layer sees the path as the browser
//!   does, so `/auth/logout` and the cookies' `Path` are those of the browser.
//! - `/auth/logout` of the upstream is reached by no method.

mod authority;
mod hop;
mod shutdown;
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
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Layer, ServiceExt};
use tower_logout::body::ResponseBody;
use tower_logout::{BoxError, Logout, LogoutLayer, TokenStore, store_fn};
use tower_logout_sqlx::SqlStore;

use authority::AuthorizationServer;
use hop::{end_of_hop, forwarded, is_websocket};
use upstream::{Body, Upstream, empty};

const LOGOUT: &str = "/auth/logout";
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection over HTTP/1 reads ahead at most.
const BUFFER: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (mut tenants, mut layers) = (HashMap::new(), Vec::new());
    let environment = env::var("TENANTS").unwrap_or_default();
    let environment = environment.split_whitespace().map(str::to_owned);
    for argument in env::args().skip(1).chain(environment) {
        // Only a host has no slash before the first `=`.
        let (host, rest) = match argument.split_once('=') {
            Some((host, rest)) if !host.contains('/') => (host, rest),
            _ => ("", &*argument),
        };
        let (upstream, store) = rest
            .split_once(',')
            .unwrap_or((rest, "sqlite:tower-logout.sqlite"));
        let layer = LogoutLayer::builder(open(store).await?)
            .path(LOGOUT)
            .build()?;
        tenants.insert(
            host.to_ascii_lowercase(),
            layer.layer(Upstream::at(upstream)?),
        );
        layers.push(layer);
    }
    if tenants.is_empty() {
        return Err("which upstream? give it as http://127.0.0.1:8080".into());
    }

    serve(Arc::new(tenants)).await?;
    // Revocations whose client hung up are still on their way.
    let drained = join_all(layers.iter().map(LogoutLayer::drain));
    tokio::time::timeout(DRAIN_TIMEOUT, drained).await?;
    Ok(())
}

/// An app behind its logout: one type, whatever the store.
type Tenant = Logout<Upstream, Arc<dyn TokenStore>>;

async fn open(store: &str) -> Result<Arc<dyn TokenStore>, BoxError> {
    if store.starts_with("https:") {
        return Err("for https, give the HttpConnector of authority.rs a TLS one around it".into());
    }
    if !store.starts_with("http:") {
        return Ok(Arc::new(SqlStore::connect(store).await?));
    }
    let server = AuthorizationServer::at(store)?;
    Ok(Arc::new(store_fn(move |token| {
        server.clone().revoke(token)
    })))
}

/// Serves until it is told to stop, and until what was asked by then is answered.
async fn serve(tenants: Arc<HashMap<String, Tenant>>) -> Result<(), BoxError> {
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
            // A client that hangs up is its own affair.
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
    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
        .await
        .is_err()
    {
        eprintln!(
            "{} connections are not done, and are closed",
            connections.len()
        );
    }
    Ok(())
}

async fn answer(
    tenants: Arc<HashMap<String, Tenant>>,
    client: IpAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Either<ResponseBody<Body>, Full<Bytes>>>, BoxError> {
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
    // Theirs go before ours come, which a client would else have dropped.
    let headers = request.headers_mut();
    let websocket = is_websocket(headers);
    end_of_hop(headers, websocket);
    forwarded(headers, client, host)?;
    // Boxed, since a future that awaits a `dyn TokenStore` is not seen to be `Send` from here.
    let answer = tenant.clone().oneshot(request).boxed();
    Ok(answer.await?.map(Either::Left))
}
