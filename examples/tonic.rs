//! A gRPC logout on tonic, in front of the standard health service. In this example, the health service
//! requires a login.
//!
//! ```sh
//! cargo run --example tonic
//! ```
//!
//! Generate a client from this definition:
//!
//! ```proto
//! package auth.v1;
//! service Auth {
//!   rpc Login(google.protobuf.Empty) returns (google.protobuf.StringValue);
//!   rpc Logout(google.protobuf.Empty) returns (google.protobuf.Empty);
//! }
//! ```
//!
//! The client logs in and out:
//!
//! ```ignore
//! let mut auth = AuthClient::connect("http://127.0.0.1:3000").await?;
//! let token = auth.login(()).await?.into_inner();
//! let mut logout = tonic::Request::new(());
//! logout.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
//! auth.logout(logout).await?;    // now the token is UNAUTHENTICATED, and so is each open stream of the login
//! ```
//!
//! `BIND` sets the address; port 0 picks a free port.

use std::env;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::AUTHORIZATION;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::service::Routes;
use tonic_prost::ProstCodec;
use tower::service_fn;
use tower_logout::ended::EndedSessions;
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::{SessionId, SessionStore};
use tower_logout::{BoxError, LogoutLayer, MemoryStore, Token, TokenSource};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let store = MemoryStore::new();
    let (ended, following) = EndedSessions::builder().follow(store.ended_log());
    tokio::spawn(following);
    let logout = LogoutLayer::builder(store.clone())
        .path("/auth.v1.Auth/Logout")
        .grpc()
        .token_source(TokenSource::bearer())
        .ended(&ended)
        .build()?;
    let (_, health) = tonic_health::server::health_reporter();
    let app = Routes::new(health)
        .into_axum_router()
        .layer(RequireSessionLayer::new(&ended, SessionId::as_str).end_streams())
        .layer(from_fn_with_state(store.clone(), authenticate))
        .route("/auth.v1.Auth/Login", post(log_in).with_state(store))
        .layer(logout);

    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// The equivalent of the code that tonic-build generates.
async fn log_in(State(store): State<MemoryStore>, request: Request) -> Response {
    let method = service_fn(move |_: tonic::Request<()>| {
        let store = store.clone();
        async move {
            // Check a password here.
            let token = Token::generate().map_err(internal)?;
            store.open("alice", &token).await.map_err(internal)?;
            Ok(tonic::Response::new(token.expose().to_owned()))
        }
    });
    let mut server = tonic::server::Grpc::new(ProstCodec::<String, ()>::default());
    server
        .unary(method, request)
        .await
        .map(axum::body::Body::new)
}

/// Adds the session of the token to the request.
async fn authenticate(
    State(store): State<MemoryStore>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(AUTHORIZATION);
    let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let session = match token {
        Some(token) => store.find(&Token::new(token)).await,
        None => Ok(None),
    };
    match session {
        Ok(Some(session)) => {
            request.extensions_mut().insert(session.id);
            next.run(request).await
        }
        Ok(None) => reject(&Status::unauthenticated("not logged in")),
        Err(error) => reject(&internal(error)),
    }
}

fn reject(status: &Status) -> Response {
    let response: http::Response<axum::body::Body> = status.clone().into_http();
    response.into_response()
}

fn internal(error: impl Into<BoxError>) -> Status {
    eprintln!("{}", error.into());
    Status::internal("internal error")
}
