//! A logout on plain hyper, without a framework.
//!
//! ```sh
//! cargo run --example hyper
//!
//! curl -c jar -X POST http://127.0.0.1:3000/auth/login
//! curl -b jar http://127.0.0.1:3000/me
//! curl -b jar -H 'Content-Type: application/json' -X POST http://127.0.0.1:3000/auth/logout
//! curl -b jar -i http://127.0.0.1:3000/me    # 401
//! ```
//!
//! `BIND` sets the address; port 0 picks a free port.

use std::env;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_logout::cookie::Cookie;
use tower_logout::store::SessionStore;
use tower_logout::{AuthCookies, BoxError, LogoutLayer, MemoryStore, Token};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (store, cookies) = (MemoryStore::new(), AuthCookies::default());
    let logout = LogoutLayer::builder(store.clone())
        .cookies(cookies.clone())
        .build()?;
    let app = service_fn(move |request| answer(store.clone(), cookies.clone(), request));
    let service = TowerToHyperService::new(logout.layer(app));

    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            // The client may disconnect.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Answers everything except the logout, which never reaches this function.
async fn answer(
    store: MemoryStore,
    cookies: AuthCookies,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    let response = Response::builder();
    Ok(match (request.method(), request.uri().path()) {
        // Check a password here.
        (&Method::POST, "/auth/login") => {
            let token = Token::generate()?;
            store.open("alice", &token).await?;
            response
                .header(SET_COOKIE, cookies.refresh(token.expose()).to_string())
                .body("logged in\n".into())?
        }
        (&Method::GET, "/me") => match session(&request, &cookies) {
            Some(token) if store.find(&token).await?.is_some() => {
                response.body("alice\n".into())?
            }
            _ => response
                .status(StatusCode::UNAUTHORIZED)
                .body("not logged in\n".into())?,
        },
        _ => response
            .status(StatusCode::NOT_FOUND)
            .body(Full::default())?,
    })
}

fn session(request: &Request<Incoming>, cookies: &AuthCookies) -> Option<Token> {
    let headers = request.headers().get_all(COOKIE);
    headers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == cookies.refresh_name())
        .map(|cookie| Token::new(cookie.value()))
}
