//! Postgres behind `PgBouncer`, which gives a connection to another client after each transaction.

use std::time::Duration;

use tower_logout::store::SessionPolicy;
use tower_logout::testing::Conformance;
use tower_logout_sqlx::{SqlPool, SqlStore};

use e2e::database::{Kind, PATIENCE, Server};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_its_promises_without_prepared_statements() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let Some(bouncer) = Server::pgbouncer_of(&server).await else {
        return;
    };
    let database = server.new_database().await;
    let direct = sqlx::PgPool::connect(&server.url(&database)).await.unwrap();
    SqlStore::builder().migrate(direct).await.unwrap();
    let pool = sqlx::PgPool::connect(&bouncer.url(&database))
        .await
        .unwrap();
    let pool = SqlPool::from(pool)
        .without_prepared_statements()
        .with_statement_timeout(PATIENCE);
    let store = SqlStore::new(pool).await.unwrap();
    let expiring = store
        .clone()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    let suite = Conformance::new(store).with_subjects();
    suite.with_expiring(expiring).run().await.unwrap();
}
