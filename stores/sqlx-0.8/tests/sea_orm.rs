//! The recipe of a table of refresh tokens with sea-orm 1, whose pool is sqlx 0.8's.

#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "recipes/prove.rs"]
mod prove;
#[path = "recipes/sea_orm.rs"]
mod recipe;

use axum::routing::get;
use axum::{Extension, Router};
use prove::{KEEP, KEY, Rows, TABLE, prove, prove_that_a_kept_row_is_no_200, with_logins};
use recipe::{Claims, app, cookies};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, EntityTrait};
use sea_orm::{ColumnTrait, QueryFilter, Set, TransactionTrait};

mod refresh_token {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_hash: String,
        pub family_id: String,
        pub replaced: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone)]
struct Table(DatabaseConnection);

fn row(token_hash: String, family_id: String) -> refresh_token::ActiveModel {
    refresh_token::ActiveModel {
        token_hash: Set(token_hash),
        family_id: Set(family_id),
        replaced: Set(false),
    }
}

impl Rows for Table {
    async fn insert(&self, hash: String, family: String) {
        row(hash, family).insert(&self.0).await.unwrap();
    }

    async fn replace(&self, old: String, new: String) -> Option<String> {
        let model = refresh_token::Entity::find_by_id(&old);
        let model = model.one(&self.0).await.unwrap()?;
        let transaction = self.0.begin().await.unwrap();
        let replace = refresh_token::Entity::update_many()
            .col_expr(refresh_token::Column::Replaced, Expr::value(true))
            .filter(refresh_token::Column::TokenHash.eq(&old))
            .filter(refresh_token::Column::Replaced.eq(false));
        if replace.exec(&transaction).await.unwrap().rows_affected == 0 {
            return None;
        }
        let next = row(new, model.family_id.clone());
        next.insert(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
        Some(model.family_id)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_200_nothing_of_the_login_works() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app");
    let db = Database::connect(format!("sqlite:{}?mode=rwc", file.display()));
    let db = db.await.unwrap();
    db.execute_unprepared("PRAGMA journal_mode = WAL")
        .await
        .unwrap();
    db.execute_unprepared(TABLE).await.unwrap();
    let pages = Router::new().route(
        "/me",
        get(|Extension(claims): Extension<Claims>| async { claims.sub }),
    );
    let router = app(pages, &db, KEY.clone()).await.unwrap();
    let router = with_logins(router, Table(db.clone()), cookies().unwrap());
    prove(&router).await;
    db.execute_unprepared(KEEP).await.unwrap();
    prove_that_a_kept_row_is_no_200(&router).await;
}

#[test]
fn the_page_has_this_code() {
    let page = include_str!("../../../docs/recipes/sea-orm.md");
    assert!(page.contains(include_str!("recipes/sea_orm.rs")));
}
