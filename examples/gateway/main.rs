//! A reverse proxy that logs out for an app that knows nothing of it.
//!
//! ```sh
//! cargo run --example axum --features sqlite                                  # an app, on port 3000
//! BIND=127.0.0.1:8000 \
//!     cargo run --example gateway --features sqlite -- http://127.0.0.1:3000  # in front of it
//!
//! curl -c jar -H 'Content-Type: application/json' \
//!     -d '{"username":"alice","password":"wonderland"}' http://127.0.0.1:8000/auth/login
//! curl -b jar http://127.0.0.1:8000/me
//! curl -b jar -H 'Content-Type: application/json' -X POST http://127.0.0.1:8000/auth/logout
//! curl -b jar http://127.0.0.1:8000/me    # 401, as the gateway ended the session
//! ```
//!
//! Each argument is a tenant, `[HOST=]UPSTREAM[,STORE]`. `HOST` is the name that browsers ask for;
//! the tenant without one has all other names. `STORE` is where the tenant's sessions are:
//!
//! - `sqlite:FILE`, the tables of `SqlStore`; `sqlite:tower-logout.sqlite` by default,
//! - `http://…`, the revocation endpoint of an authorization server (RFC 7009).
//!
//! # What the upstream sees
//!
//! - Clients may speak HTTP/1 or HTTP/2 with prior knowledge. The upstream is asked in HTTP/1, or in
//!   HTTP/2 where it is given as `h2c://…`. Bodies are streamed, and upgrades to
//!   WebSocket pass.
//! - `Host` is the one that the browser asked for, over HTTP/2 that of the upstream.
//! - `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` are this gateway's own; what the
//!   client says in them is dropped. Behind another proxy, which has to be trusted, keep them.
//! - A path in `UPSTREAM` is put before that of the request. The layer sees the path as the browser
//!   does, so `/auth/logout` and the cookies' `Path` are those of the browser.
//! - `/auth/logout` of the upstream is reached by no method.

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, try_join};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderName, TE, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};
use tower_logout::{
    BoxError, Logout, LogoutLayer, ResponseBody, Revocation, SqlStore, Token, TokenStore, store_fn,
};

const LOGOUT: &str = "/auth/logout";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection over HTTP/1 reads ahead at most.
const BUFFER: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut tenants = HashMap::new();
    for argument in env::args().skip(1) {
        // Only a host has no slash before the first `=`.
        let (host, rest) = match argument.split_once('=') {
            Some((host, rest)) if !host.contains('/') => (host, rest),
            _ => ("", &*argument),
        };
        let (upstream, store) = rest
            .split_once(',')
            .unwrap_or((rest, "sqlite:tower-logout.sqlite"));
        let logout = LogoutLayer::builder(open(store).await?)
            .path(LOGOUT)
            .build()?;
        tenants.insert(
            host.to_ascii_lowercase(),
            logout.layer(Upstream::at(upstream)?),
        );
    }
    if tenants.is_empty() {
        return Err("which upstream? give it as http://127.0.0.1:8080".into());
    }
    let tenants = Arc::new(tenants);

    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:8000".into());
    let listener = TcpListener::bind(&bind).await?;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(BUFFER);
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept().await?;
        let tenants = Arc::clone(&tenants);
        let service = service_fn(move |request| answer(Arc::clone(&tenants), client.ip(), request));
        let server = server.clone();
        tokio::spawn(async move {
            // A client that hangs up is its own affair.
            let _ = server
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An app behind its logout: one type, whatever the store.
type Tenant = Logout<Upstream, Arc<dyn TokenStore>>;

/// The upstream's body, or one of ours.
type Body = Either<Incoming, Full<Bytes>>;

async fn open(store: &str) -> Result<Arc<dyn TokenStore>, BoxError> {
    if !store.starts_with("http://") {
        return Ok(Arc::new(SqlStore::connect(store).await?));
    }
    let endpoint: Uri = store.parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let revoke = move |token| revoke_at(endpoint.clone(), client.clone(), token);
    Ok(Arc::new(store_fn(revoke)))
}

/// RFC 7009 §2.1. The answer does not say whether the token was alive.
async fn revoke_at(
    endpoint: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    token: Token,
) -> Result<Revocation, BoxError> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token.expose())
        .append_pair("token_type_hint", "refresh_token")
        .finish();
    let request = Request::post(endpoint)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form))?;
    match client.request(request).await?.status() {
        StatusCode::OK => Ok(Revocation::Revoked),
        status => Err(format!("the revocation endpoint answered {status}").into()),
    }
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
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", client.to_string().parse()?);
    headers.insert("x-forwarded-host", host.clone());
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.insert(HOST, host);
    // Boxed, since a future that awaits a `dyn TokenStore` is not seen to be `Send` from here.
    let answer = tenant.clone().oneshot(request).boxed();
    Ok(answer.await?.map(Either::Left))
}

/// The app that is asked for all but the logout.
#[derive(Clone)]
struct Upstream {
    client: Client<HttpConnector, Incoming>,
    authority: String,
    prefix: String,
    http2: bool,
}

impl Upstream {
    fn at(url: &str) -> Result<Self, BoxError> {
        let url: Uri = url.parse()?;
        let http2 = url.scheme_str() == Some("h2c");
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .http2_only(http2)
                .http1_max_buf_size(BUFFER)
                .build(connector),
            authority: url.authority().ok_or("an upstream has a host")?.to_string(),
            prefix: url.path().trim_end_matches('/').to_owned(),
            http2,
        })
    }

    async fn forward(self, mut request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority(self.authority)
            .path_and_query(format!("{}{path}", self.prefix))
            .build()?;
        *request.version_mut() = Version::HTTP_11;
        // Not `h2c`: what is said in it would pass by the layer.
        let websocket = is_websocket(request.headers());
        let client = hyper::upgrade::on(&mut request);
        end_of_hop(request.headers_mut(), websocket);
        if self.http2 {
            request.headers_mut().remove(HOST);
        }
        let mut response = self.client.request(request).await?;
        let upgraded = websocket && response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if upgraded {
            let upstream = hyper::upgrade::on(&mut response);
            tokio::spawn(async move {
                let (client, upstream) = try_join(client, upstream).await?;
                let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
                copy_bidirectional(&mut client, &mut upstream).await?;
                Ok::<_, BoxError>(())
            });
        }
        end_of_hop(response.headers_mut(), upgraded);
        Ok(response.map(Either::Left))
    }
}

impl Service<Request<Incoming>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let upstream = self.clone();
        Box::pin(async move {
            // A `POST` has gone to the layer.
            if request.uri().path() == LOGOUT {
                let mut response = empty(StatusCode::METHOD_NOT_ALLOWED).map(Either::Right);
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
                return Ok(response);
            }
            let response = upstream.forward(request).await;
            Ok(response.unwrap_or_else(|error| {
                eprintln!("no answer from upstream: {error}");
                empty(StatusCode::BAD_GATEWAY).map(Either::Right)
            }))
        })
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).map_or(&b""[..], HeaderValue::as_bytes);
    upgrade.eq_ignore_ascii_case(b"websocket")
}

/// Drops what is meant for this connection alone (RFC 9110 §7.6.1).
fn end_of_hop(headers: &mut HeaderMap, websocket: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "connection",
    ] {
        headers.remove(name);
    }
    // gRPC asks for trailers by it, and so may every hop.
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}
