//! A store remembers a rotated token until the token would have expired. That takes few bytes, and a
//! rotation does not become slower with their number.

use std::time::{Duration, Instant};

use tower_logout::store::SessionStore;
use tower_logout::{MemoryStore, Token};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server};
use support::*;

/// So many that the size of one database page does not matter.
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

/// How many bytes a rotation adds, on average.
async fn bytes_of_a_rotation(store: &impl SessionStore, size: impl AsyncFn() -> i64) -> i64 {
    let token = open(store, "alice").await;
    // The first rotations allocate what does not grow with their number.
    let token = rotate(store, token, 150).await;
    let before = size().await;
    rotate(store, token, ROTATIONS).await;
    (size().await - before) / i64::from(ROTATIONS)
}

#[tokio::test]
async fn a_rotation_takes_less_than_400_bytes_in_sqlite() {
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
async fn a_rotation_takes_less_than_600_bytes_in_postgres() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let url = server.url(&server.new_database().await);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let size = async || {
        // The table of the sessions does not count: a vacuum makes room for its next updates.
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
async fn a_rotation_takes_less_than_600_bytes_in_mariadb() {
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
async fn a_rotation_takes_less_than_600_bytes_in_redis() {
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
async fn a_rotation_is_as_fast_after_ten_thousand_others() {
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
    // Ten times as long would mean that a rotation walks through all tokens.
    assert!(
        last < 4 * first + Duration::from_millis(20),
        "{first:?}, then {last:?}"
    );
}
