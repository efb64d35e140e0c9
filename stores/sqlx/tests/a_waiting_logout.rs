//! The memory that a logout holds while it waits for the database.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Waker};

use allocation_counter::measure;
use http::{Request, Response};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tower::{Layer, Service, service_fn};
use tower_logout::{LogoutLayer, TokenStore};
use tower_logout_sqlx::{SqlStore, TableStore, TokenDigest};

const AT_MOST: i64 = 8 * 1024;

fn inner(_: Request<String>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new("inner".to_owned())))
}

/// Cookies of 64 KiB, and the token.
fn logout() -> Request<String> {
    let cookie = format!("theme={}; refreshToken=abc", "x".repeat(64 * 1024));
    Request::post("/auth/logout")
        .header("content-type", "application/json")
        .header("cookie", cookie)
        .body(String::new())
        .unwrap()
}

/// The bytes that each of two logouts holds. The first one waits for a connection, the second one waits for
/// the first.
fn held(store: impl TokenStore) -> [i64; 2] {
    let mut service = LogoutLayer::new(store).layer(service_fn(inner));
    let mut waiting = Vec::new();
    [(); 2].map(|()| {
        let mut future: Option<Pin<Box<dyn Future<Output = _>>>> = None;
        let counted = measure(|| {
            let mut logout = Box::pin(service.call(logout()));
            let polled = logout
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            future = Some(logout);
        });
        waiting.push(future);
        counted.bytes_current
    })
}

async fn pool() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect("sqlite::memory:").await.unwrap()
}

#[tokio::test]
async fn a_logout_that_waits_holds_at_most_8_kb() {
    let pool = pool().await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE tokens (token TEXT, owner TEXT)")
        .execute(&pool)
        .await
        .unwrap();
    let table = TableStore::builder("tokens", "token", TokenDigest::sha256().hex());
    let table = table.connect(pool.clone()).await.unwrap();
    let _only_connection = pool.acquire().await.unwrap();
    for held in [held(store), held(table)] {
        println!("{held:?} bytes");
        assert!(held.iter().all(|bytes| *bytes <= AT_MOST), "{held:?}");
    }
}
