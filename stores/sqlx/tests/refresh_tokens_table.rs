//! The recipe of a table of refresh tokens, in each version of sqlx.

#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "recipes/prove.rs"]
mod prove;
#[path = "recipes/refresh_tokens_table.rs"]
mod recipe;

use axum::routing::get;
use axum::{Extension, Router};
use prove::{KEEP, KEY, Rows, TABLE, prove, prove_that_a_kept_row_is_no_200, with_logins};
use recipe::{Claims, app, cookies};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

#[derive(Clone)]
struct Table(SqlitePool);

impl Rows for Table {
    async fn insert(&self, hash: String, family: String) {
        sqlx::query("INSERT INTO refresh_tokens (token_hash, family_id) VALUES (?, ?)")
            .bind(hash)
            .bind(family)
            .execute(&self.0)
            .await
            .unwrap();
    }

    async fn replace(&self, old: String, new: String) -> Option<String> {
        let mut transaction = self.0.begin().await.unwrap();
        let replace = "UPDATE refresh_tokens SET replaced = TRUE \
                       WHERE token_hash = ? AND NOT replaced RETURNING family_id";
        let family: String = sqlx::query_scalar(replace)
            .bind(old)
            .fetch_optional(&mut *transaction)
            .await
            .unwrap()?;
        sqlx::query("INSERT INTO refresh_tokens (token_hash, family_id) VALUES (?, ?)")
            .bind(new)
            .bind(&family)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        Some(family)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_200_nothing_of_the_login_works() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let db = SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&db).await.unwrap();
    let pages = Router::new().route(
        "/me",
        get(|Extension(claims): Extension<Claims>| async { claims.sub }),
    );
    let router = app(pages, db.clone(), KEY.clone()).await.unwrap();
    let router = with_logins(router, Table(db.clone()), cookies().unwrap());
    prove(&router).await;
    sqlx::raw_sql(KEEP).execute(&db).await.unwrap();
    prove_that_a_kept_row_is_no_200(&router).await;
}

#[test]
fn the_page_has_this_code() {
    let page = include_str!("../../../docs/recipes/refresh-tokens-table.md");
    assert!(page.contains(include_str!("recipes/refresh_tokens_table.rs")));
    assert!(page.contains(TABLE));
}
