//! After the answer to a logout, the node that answered refuses the session, whatever the store.

use e2e::node::{open, with_each_server, with_sqlite};
use support::race::check_and_log_out;

async fn race(kind: &str, url: &str) {
    let (store, log) = open(kind, url).await;
    check_and_log_out(store, log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_000_checks_after_a_logout_none_passes_with_sqlite() {
    with_sqlite(race).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_000_checks_after_a_logout_none_passes_with_a_server() {
    with_each_server(race).await;
}
