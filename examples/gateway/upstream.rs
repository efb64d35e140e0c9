//! The app that answers everything except the logout.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, try_join};
use http::header::{ALLOW, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::copy_bidirectional;
use tower::Service;
use tower_logout::BoxError;
use tower_logout::ended::SessionEnded;

use crate::hop::{end_of_hop, is_websocket};
use crate::{BUFFER, LOGOUT};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A body from the upstream, or from the gateway.
pub(crate) type Body = Either<Incoming, Full<Bytes>>;

/// An app at an address. Its requests have no headers that end at this hop.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, Incoming>,
    authority: String,
    prefix: String,
    http2: bool,
}

impl Upstream {
    pub(crate) fn at(url: &str) -> Result<Self, BoxError> {
        let url: Uri = url.parse()?;
        let http2 = match url.scheme_str() {
            Some("http") => false,
            Some("h2c") => true,
            _ => return Err("an upstream begins with http:// or h2c://".into()),
        };
        let authority = url.authority().ok_or("an upstream needs a host")?.as_str();
        if authority.contains('@') {
            return Err(
                "an upstream has no user: the gateway forwards the browser's own credentials"
                    .into(),
            );
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .http2_only(http2)
                .http1_max_buf_size(BUFFER)
                .build(connector),
            authority: authority.to_owned(),
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
        let websocket = is_websocket(request.headers());
        let session = request.extensions_mut().remove::<SessionEnded>();
        let client = hyper::upgrade::on(&mut request);
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
                let ended = async {
                    match session {
                        Some(session) => session.ended().await,
                        None => std::future::pending().await,
                    }
                };
                // Both connections close with the session.
                tokio::select! {
                    copied = copy_bidirectional(&mut client, &mut upstream) => { copied?; }
                    _ = ended => {}
                }
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
            // The layer has answered each `POST`.
            if request.uri().path() == LOGOUT {
                let mut response = empty(StatusCode::METHOD_NOT_ALLOWED).map(Either::Right);
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
                return Ok(response);
            }
            let response = upstream.forward(request).await;
            Ok(response.unwrap_or_else(|error| {
                eprintln!("no answer from the upstream: {error}");
                empty(StatusCode::BAD_GATEWAY).map(Either::Right)
            }))
        })
    }
}

pub(crate) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
