//! The recipe of a table of refresh tokens with diesel.

#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "recipes/prove.rs"]
mod prove;
#[path = "recipes/diesel.rs"]
mod recipe;

use axum::routing::get;
use axum::{Extension, Router};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection, Pool};
use prove::{KEEP, KEY, Rows, TABLE, prove, prove_that_a_kept_row_is_no_200, with_logins};
use recipe::refresh_tokens::dsl::{family_id, refresh_tokens, replaced, token_hash};
use recipe::{Claims, app, cookies};

type Connections = Pool<ConnectionManager<SqliteConnection>>;

#[derive(Clone)]
struct Table(Connections);

/// Writers wait for each other.
#[derive(Debug)]
struct Waits;

impl CustomizeConnection<SqliteConnection, r2d2::Error> for Waits {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), r2d2::Error> {
        let waits = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL";
        connection
            .batch_execute(waits)
            .map_err(r2d2::Error::QueryError)
    }
}

impl Rows for Table {
    async fn insert(&self, hash: String, family: String) {
        let connection = &mut *self.0.get().unwrap();
        let row = (token_hash.eq(hash), family_id.eq(family));
        let insert = diesel::insert_into(refresh_tokens).values(row);
        insert.execute(connection).unwrap();
    }

    async fn replace(&self, old: String, new: String) -> Option<String> {
        let connection = &mut *self.0.get().unwrap();
        let family = connection.immediate_transaction(|connection| {
            let row = refresh_tokens
                .filter(token_hash.eq(&old))
                .filter(replaced.eq(false));
            let family = row.select(family_id).first::<String>(connection)?;
            let replace = diesel::update(row).set(replaced.eq(true));
            replace.execute(connection)?;
            let next = (token_hash.eq(&new), family_id.eq(&family));
            let insert = diesel::insert_into(refresh_tokens).values(next);
            insert.execute(connection)?;
            QueryResult::Ok(family)
        });
        family.optional().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_200_nothing_of_the_login_works() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app").display().to_string();
    let db = Pool::builder().connection_customizer(Box::new(Waits));
    let db = db.max_size(4).build(ConnectionManager::new(file)).unwrap();
    db.get().unwrap().batch_execute(TABLE).unwrap();
    let pages = Router::new().route(
        "/me",
        get(|Extension(claims): Extension<Claims>| async { claims.sub }),
    );
    let router = app(pages, db.clone(), KEY.clone()).unwrap();
    let router = with_logins(router, Table(db.clone()), cookies().unwrap());
    prove(&router).await;
    db.get().unwrap().batch_execute(KEEP).unwrap();
    prove_that_a_kept_row_is_no_200(&router).await;
}

#[test]
fn the_page_has_this_code() {
    let page = include_str!("../../../docs/recipes/diesel.md");
    assert!(page.contains(include_str!("recipes/diesel.rs")));
}
