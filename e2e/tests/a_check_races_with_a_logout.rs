//! After the answer to a logout, the node that answered refuses the session, whatever the store.

use e2e::database::{Kind, Server, redis_cluster};
use e2e::node::open;
use support::race::check_and_log_out;

async fn race(kind: &str, url: &str) {
    let (store, log) = open(kind, url).await;
    check_and_log_out(store, log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_000_checks_after_a_logout_none_passes_with_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.sqlite");
    race("sql", &format!("sqlite:{}", file.display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_000_checks_after_a_logout_none_passes_with_a_server() {
    for (name, kind) in [
        ("sql", Kind::Postgres),
        ("sql", Kind::MariaDb),
        ("redis", Kind::Redis),
    ] {
        if let Some(server) = Server::start(kind).await {
            race(name, &server.url(&server.new_database().await)).await;
        }
    }
    if let Some(nodes) = redis_cluster().await {
        race("cluster", &nodes[0].url("")).await;
    }
}
