//! An access token dies with its session in an existing table.

#![allow(clippy::unwrap_used)]

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tower::{Layer, ServiceExt, service_fn};
use tower_logout::require::{RequireSessionLayer, SessionLookup};
use tower_logout::store::SessionId;
use tower_logout::{BoxError, Token, TokenStore};
use tower_logout_sqlx::{
    Expiry, Live, Mark, TableError, TableSession, TableStore, TableStoreBuilder, TokenDigest,
};

const TABLE: &str = "CREATE TABLE tokens (token TEXT, family INT, owner TEXT, used BOOLEAN, \
                     expires INT, revoked TEXT)";

fn table() -> TableStoreBuilder {
    TableStore::builder("tokens", "token", TokenDigest::clear())
}

async fn database(rows: &str) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
    let insert: std::sync::Arc<str> = format!("INSERT INTO tokens VALUES {rows}").into();
    let insert = sqlx::query(sqlx::AssertSqlSafe(insert));
    insert.execute(&pool).await.unwrap();
    pool
}

async fn find(
    store: &impl SessionLookup<Session = TableSession>,
    id: &str,
) -> Option<TableSession> {
    store.look_up(&SessionId::new(id)).await.unwrap()
}

#[derive(Clone)]
struct Claims {
    sid: &'static str,
}

/// The answer to a request with this access token. The handler shows the session in the extensions.
async fn ask(
    store: impl SessionLookup<Session = TableSession>,
    sid: &'static str,
) -> (StatusCode, String) {
    let handler = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<TableSession>().unwrap();
        let whose = format!("{} of {:?}", session.id, session.subject);
        Ok::<_, BoxError>(Response::new(Full::new(whose.into_bytes().into())))
    });
    let layer = RequireSessionLayer::asking(store, |claims: &Claims| claims.sid);
    let mut request = Request::new(());
    request.extensions_mut().insert(Claims { sid });
    let answer = layer.layer(handler).oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_access_token_works_until_the_logout_and_not_after() {
    let pool =
        database("('old', 7, 'alice', 1, 0, NULL), ('new', 7, 'alice', 0, NULL, NULL)").await;
    let store = table().session_column("family").subject_column("owner");
    let store = store
        .live_while("used", Live::False)
        .connect(pool)
        .await
        .unwrap();

    let live = ask(store.clone(), "7").await;
    assert_eq!(live, (StatusCode::OK, r#"7 of Some("alice")"#.to_owned()));

    store.revoke(&Token::new("old")).await.unwrap();
    assert_eq!(ask(store, "7").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_is_live_while_one_of_its_rows_is() {
    let pool = database(
        "('a', 1, NULL, 1, NULL, NULL), ('b', 1, NULL, 0, NULL, NULL), \
         ('c', 2, NULL, 1, NULL, NULL), \
         ('d', 3, NULL, 0, 1, NULL), \
         ('e', 4, NULL, 0, NULL, '2026-01-02'), \
         ('f', 5, NULL, 0, 32503680000, NULL)",
    )
    .await;
    let store = table()
        .session_column("family")
        .live_while("used", Live::False)
        .live_until("expires", Expiry::UnixSeconds)
        .mark_ended("revoked", Mark::Now)
        .connect(pool)
        .await
        .unwrap();
    for (id, is_live) in [
        ("1", true),
        ("2", false),
        ("3", false),
        ("4", false),
        ("5", true),
        ("6", false),
        ("01", false),
        ("", false),
        ("1\0", false),
        ("' OR '1' = '1", false),
    ] {
        let session = find(&store, id).await;
        assert_eq!(session.is_some(), is_live, "{id:?}");
        assert!(session.is_none_or(|session| session.subject.is_none()));
    }
    store.revoke(&Token::new("f")).await.unwrap();
    assert_eq!(find(&store, "5").await, None);
}

#[tokio::test]
async fn without_a_session_column_nobody_gets_in_and_the_error_says_why() {
    let store = table().connect(database("('a', 1, 'alice', 0, NULL, NULL)").await);
    let store = store.await.unwrap();
    let error = store.look_up(&SessionId::new("1")).await.unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(TableError::NoSessionColumn { table, .. }) if table == "tokens"
    ));
    assert!(error.to_string().contains("session_column"), "{error}");
    assert_eq!(ask(store, "1").await.0, StatusCode::SERVICE_UNAVAILABLE);
}
