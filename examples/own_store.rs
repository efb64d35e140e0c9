//! A logout that uses your own table: a `TokenStore` is one method.
//!
//! ```sh
//! cargo run --example own_store
//!
//! curl -c jar -X POST http://127.0.0.1:3000/auth/login
//! curl -b jar http://127.0.0.1:3000/me
//! curl -b jar -H 'Content-Type: application/json' -X POST http://127.0.0.1:3000/auth/logout
//! curl -b jar -i http://127.0.0.1:3000/me    # 401
//! ```
//!
//! `BIND` sets the address; port 0 picks a free port.

use std::env;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use sha2::{Digest, Sha256};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tokio::net::TcpListener;
use tower_logout::{
    AuthCookies, BoxError, LogoutLayer, Revocation, Token, TokenStore, async_trait,
};

/// The table of the application.
#[derive(Clone)]
struct Logins(SqlitePool);

#[async_trait]
impl TokenStore for Logins {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let deleted = sqlx::query("DELETE FROM logins WHERE digest = ?")
            .bind(digest(token))
            .execute(&self.0)
            .await?;
        Ok(Revocation::from_rows(deleted.rows_affected()))
    }
}

/// The table holds digests only, so that nobody who reads the table can use its tokens.
fn digest(token: &Token) -> Vec<u8> {
    Sha256::digest(token.expose()).to_vec()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // The database lives in memory, so its only connection must never close.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect("sqlite::memory:")
        .await?;
    sqlx::query("CREATE TABLE logins (digest BLOB PRIMARY KEY, username TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    let logins = Logins(pool);
    let app = Router::new()
        .route("/auth/login", post(log_in))
        .route("/me", get(me))
        .with_state(logins.clone())
        .layer(LogoutLayer::new(logins));

    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn log_in(State(logins): State<Logins>, jar: CookieJar) -> Result<CookieJar, StatusCode> {
    // Check a password here.
    let token = Token::generate().map_err(internal)?;
    sqlx::query("INSERT INTO logins (digest, username) VALUES (?, 'alice')")
        .bind(digest(&token))
        .execute(&logins.0)
        .await
        .map_err(internal)?;
    Ok(jar.add(AuthCookies::default().refresh(token.expose())))
}

async fn me(State(logins): State<Logins>, jar: CookieJar) -> Result<String, StatusCode> {
    let cookie = jar.get(AuthCookies::default().refresh_name()).cloned();
    let token = Token::new(cookie.ok_or(StatusCode::UNAUTHORIZED)?.value());
    sqlx::query_scalar("SELECT username FROM logins WHERE digest = ?")
        .bind(digest(&token))
        .fetch_optional(&logins.0)
        .await
        .map_err(internal)?
        .ok_or(StatusCode::UNAUTHORIZED)
}

fn internal(error: impl Into<BoxError>) -> StatusCode {
    eprintln!("{}", error.into());
    StatusCode::INTERNAL_SERVER_ERROR
}
