//! A rotated token is remembered until it would have expired: what that takes in each store, and that
//! a rotation takes no longer the more of them there are.

use std::time::{Duration, Instant};

use tower_logout::store::SessionStore;
use tower_logout::{MemoryStore, Token};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server};
use support::*;

/// Enough that the pages a database takes at once are of no account.
const ROTATIONS: u32 = 1000;

async fn rotate(store: &impl SessionStore, mut token: Token, times: u32) -> Token {
    for _ in 0..times {
        let next = Token::generate().unwrap();
        store.rotate(&token, &next).await.unwrap();
        token = next;
    }
    assert!(is_live(store, &token).await);
    token
}

/// What so many rotations add, for each of them.
async fn bytes_of_a_rotation(store: &impl SessionStore, size: impl AsyncFn() -> i64) -> i64 {
    let token = open(store, "alice").await;
    // What is there once, whatever the number.
    let token = rotate(store, token, 150).await;
    let before = size().await;
    rotate(store, token, ROTATIONS).await;
    (size().await - before) / i64::from(ROTATIONS)
}

#[tokio::test]
async fn in_sqlite_it_is_less_than_400_bytes() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let size = async || {
        let pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        sqlx::query_scalar(pages).fetch_one(&pool).await.unwrap()
    };
    let bytes = bytes_of_a_rotation(&store, size).await;
    assert!(bytes < 400, "{bytes}");
}

#[tokio::test]
async fn in_postgres_it_is_less_than_600_bytes() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let url = server.url(&server.new_database().await);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let size = async || {
        // Of the sessions, what the updates leave behind is used again.
        sqlx::raw_sql("VACUUM tower_logout_tokens, tower_logout_sessions")
            .execute(&pool)
            .await
            .unwrap();
        let size = "SELECT pg_total_relation_size('tower_logout_tokens')";
        sqlx::query_scalar(size).fetch_one(&pool).await.unwrap()
    };
    let bytes = bytes_of_a_rotation(&store, size).await;
    assert!(bytes < 600, "{bytes}");
}

#[tokio::test]
async fn in_mariadb_it_is_less_than_600_bytes() {
    let Some(server) = Server::start(Kind::MariaDb).await else {
        return;
    };
    let url = server.url(&server.new_database().await);
    let pool = sqlx::MySqlPool::connect(&url).await.unwrap();
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let size = async || {
        sqlx::raw_sql("ANALYZE TABLE tower_logout_tokens")
            .execute(&pool)
            .await
            .unwrap();
        let size = "SELECT CAST(data_length + index_length AS SIGNED) \
                    FROM information_schema.tables WHERE table_name = 'tower_logout_tokens'";
        sqlx::query_scalar(size).fetch_one(&pool).await.unwrap()
    };
    let bytes = bytes_of_a_rotation(&store, size).await;
    assert!(bytes < 600, "{bytes}");
}

#[tokio::test]
async fn in_redis_it_is_less_than_600_bytes() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = RedisStore::connect(&server.url("")).await.unwrap();
    let client = redis::Client::open(server.url("")).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let size = async || {
        let (mut connection, mut bytes) = (connection.clone(), 0);
        let keys = redis::cmd("KEYS").arg("*").to_owned();
        let keys: Vec<String> = keys.query_async(&mut connection).await.unwrap();
        for key in keys {
            let mut usage = redis::cmd("MEMORY");
            usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
            let usage: i64 = usage.query_async(&mut connection).await.unwrap();
            bytes += usage;
        }
        bytes
    };
    let bytes = bytes_of_a_rotation(&store, size).await;
    assert!(bytes < 600, "{bytes}");
}

#[tokio::test]
async fn a_rotation_takes_as_long_after_ten_thousand_others() {
    let store = MemoryStore::new();
    let time = async |token, times| {
        let start = Instant::now();
        let token = rotate(&store, token, times).await;
        (token, start.elapsed())
    };
    let token = open(&store, "alice").await;
    let (token, _) = time(token, ROTATIONS).await;
    let (token, first) = time(token, ROTATIONS).await;
    let (token, _) = time(token, 15 * ROTATIONS).await;
    let (_, last) = time(token, ROTATIONS).await;
    // Ten times as much would be an index that is walked through.
    assert!(
        last < 4 * first + Duration::from_millis(20),
        "{first:?}, then {last:?}"
    );
}
