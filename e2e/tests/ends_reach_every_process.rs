//! A session that ends on one node is refused by every other process that follows the log.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use e2e::database::{Kind, Server};
use e2e::ended_log::read_all;
use e2e::node::{Node, open, with_each_server, with_sqlite};
use e2e::proxy::{Fault, Proxy};
use futures::StreamExt;
use futures::future::join_all;
use tower_logout::Token;
use tower_logout::ended::EndedLog;
use tower_logout::store::SessionId;

const PROGRAM: &str = env!("CARGO_BIN_EXE_node");

const NODES: usize = 8;
/// How many sessions end at once.
const CLIENTS: usize = 8;

/// How many sessions end in each database, and 10,000 in all five. More with `ENDS`.
fn ends() -> usize {
    let ends = std::env::var("ENDS").ok();
    ends.map_or(2_000, |ends| ends.parse().unwrap())
}

const STALENESS: Duration = Duration::from_secs(30);

fn micros() -> u128 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_micros()
}

/// How many sessions end in a second. As many as can with `RATE` unset.
fn pause() -> Duration {
    let rate = std::env::var("RATE").ok();
    rate.map_or(Duration::ZERO, |rate| {
        Duration::from_secs(1) / rate.parse::<u32>().unwrap()
    })
}

/// Ends sessions, and returns when each revocation had returned.
async fn end_all(kind: &str, url: &str, ids: Vec<(Token, SessionId)>) -> HashMap<String, u128> {
    let (store, _) = open(kind, url).await;
    let begun = tokio::time::Instant::now();
    let ends = (0..).zip(ids).map(|(index, (token, id))| {
        let store = store.clone();
        async move {
            tokio::time::sleep_until(begun + index * pause()).await;
            store.revoke(&token).await.unwrap();
            (id.to_string(), micros())
        }
    });
    let ends = futures::stream::iter(ends);
    ends.buffer_unordered(CLIENTS).collect().await
}

/// The time at which a node knew each end.
async fn watch_all(
    mut node: Node,
    ids: Vec<SessionId>,
    started: tokio::sync::oneshot::Sender<()>,
) -> HashMap<String, u128> {
    for id in &ids {
        node.send(&format!("watch {id}")).await;
        assert_eq!(node.line().await, format!("watching {id}"));
    }
    started.send(()).unwrap();
    let mut ended = HashMap::new();
    while ended.len() < ids.len() {
        let line = tokio::time::timeout(Duration::from_secs(60), node.line());
        let Ok(line) = line.await else { break };
        let mut words = line.split(' ').skip(1);
        let (id, at) = (words.next().unwrap(), words.next().unwrap());
        ended.insert(id.to_owned(), at.parse().unwrap());
    }
    ended
}

async fn no_end_is_missing(kind: &str, url: &str) {
    let (store, log) = open(kind, url).await;
    let opened = futures::stream::iter(0..ends()).map(|_| async {
        let token = Token::generate().unwrap();
        let id = store.open("alice", &token).await.unwrap().id;
        (token, id)
    });
    let sessions: Vec<_> = opened.buffer_unordered(CLIENTS).collect().await;
    let ids: Vec<_> = sessions.iter().map(|(_, id)| id.clone()).collect();
    let (mut watching, mut started) = (Vec::new(), Vec::new());
    for _ in 0..NODES {
        let node = Node::start(PROGRAM, kind, url, STALENESS).await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        started.push(receiver);
        watching.push(tokio::spawn(watch_all(node, ids.clone(), sender)));
    }
    join_all(started).await;
    let begun = micros();
    let ends = end_all(kind, url, sessions).await;
    let took = micros() - begun;
    let mut lags = Vec::new();
    for known in join_all(watching).await {
        let known = known.unwrap();
        assert_eq!(known.len(), ids.len(), "{kind}: ends are missing on a node");
        lags.extend(known.iter().map(|(id, at)| at.saturating_sub(ends[id])));
    }
    lags.sort_unstable();
    let at = |share: usize| lags[(lags.len() - 1) * share / 1000];
    eprintln!(
        "{kind} {NODES} processes: {} ends/s, lag p50 {} p99 {} max {} µs, a read of nothing takes {} µs",
        ids.len() as u128 * 1_000_000 / took.max(1),
        at(500),
        at(990),
        at(1000),
        read_of_nothing(&*log).await
    );
}

/// How long a read of no entries takes in the median.
async fn read_of_nothing(log: &dyn EndedLog) -> u128 {
    let mut cursor = read_all(log).await;
    let mut reads = Vec::new();
    for _ in 0..101 {
        let begun = micros();
        cursor = log.read(Some(&cursor)).await.unwrap().cursor;
        reads.push(micros() - begun);
    }
    reads.sort_unstable();
    reads[reads.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_end_is_missing_on_8_processes_with_sqlite() {
    with_sqlite(no_end_is_missing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_end_is_missing_on_8_processes_with_a_server() {
    with_each_server(no_end_is_missing).await;
}

/// The node stands still, and its server too, so that the node cannot read before the first check.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_stopped_for_too_long_is_stale_at_its_first_check() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let database = server.new_database().await;
    let proxy = Proxy::start(server.port).await;
    let staleness = Duration::from_secs(1);
    let url = server.url_at(proxy.port, &database);
    let mut node = Node::start(PROGRAM, "sql", &url, staleness).await;
    assert_eq!(node.ask("check a").await, "live");

    node.signal("STOP").await;
    proxy.set_fault(Fault::BlackHole);
    tokio::time::sleep(2 * staleness).await;
    node.send("check a").await;
    node.signal("CONT").await;
    assert_eq!(node.line().await, "check a stale");

    proxy.set_fault(Fault::None);
    let fresh = async {
        while node.ask("check a").await != "live" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), fresh)
        .await
        .expect("the node stays stale");
}

/// The first node is killed around its commit. The client tries again on the second node.
async fn a_crash_leaves_no_accepted_token(kind: &str, url: &str) {
    let (store, _) = open(kind, url).await;
    let mut other = Node::start(PROGRAM, kind, url, STALENESS).await;
    let mut ended_by_the_first = 0;
    for round in 0..crashes() {
        let token = Token::generate().unwrap();
        let id = store.open("alice", &token).await.unwrap().id;
        let mut first = Node::start(PROGRAM, kind, url, STALENESS).await;
        let logout = format!("logout {}", token.expose());
        first.send(&logout).await;
        // From before the commit to after the answer.
        tokio::time::sleep(Duration::from_micros(round % 40 * 100)).await;
        first.kill().await;
        ended_by_the_first += u32::from(store.find(&token).await.unwrap().is_none());

        assert_eq!(other.ask(&logout).await, "200");
        assert_eq!(other.ask(&format!("check {id}")).await, "ended");
    }
    eprintln!(
        "{ended_by_the_first} of {} ended before the crash",
        crashes()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_on_another_node_after_a_crash_leaves_no_accepted_token_there() {
    with_sqlite(a_crash_leaves_no_accepted_token).await;
    if let Some(server) = Server::start(Kind::Postgres).await {
        a_crash_leaves_no_accepted_token("sql", &server.url(&server.new_database().await)).await;
    }
}

/// How often a node is killed. More with `CRASHES`.
fn crashes() -> u64 {
    let crashes = std::env::var("CRASHES").ok();
    crashes.map_or(40, |crashes| crashes.parse().unwrap())
}
