//! What the log of ended sessions adds to a revocation, and how long its first read takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyPool, AssertSqlSafe};
use tower_logout::ended::{Cursor, EndedLog, EndedSessions};
use tower_logout::store::{SessionPolicy, SessionStore};
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server};
use e2e::ended_log::read_all;
use e2e::own_table::any_pool;

use super::{PAIRS, compare, header, median, open_many, row, throughput, time};

const AT_ONCE: usize = 32;
const ROUNDS: usize = 7;
const PER_ROUND: usize = 1600;
pub(super) const MILLION: usize = 1_000_000;
pub(super) const READS: u32 = 1_000;

async fn execute(pool: &AnyPool, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    sql.execute(pool).await.unwrap();
}

pub(super) async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    beside(
        "SQLite",
        [url("with"), url("without")],
        "DROP TRIGGER tower_logout_sessions_ended",
    )
    .await;
    first_read(
        &url("full"),
        &format!(
            "INSERT INTO tower_logout_ended (session_id, ended_at) \
             WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number LIMIT {MILLION}) \
             SELECT lower(hex(randomblob(16))), unixepoch() * 1000 FROM number"
        ),
    )
    .await;

    if let Some(server) = Server::start(Kind::Postgres).await {
        let names = [server.new_database().await, server.new_database().await];
        beside(
            "Postgres",
            names.map(|name| server.url(&name)),
            "DROP TRIGGER tower_logout_sessions_ended ON tower_logout_sessions",
        )
        .await;
        first_read(
            &server.url(&server.new_database().await),
            &format!(
                "INSERT INTO tower_logout_ended (session_id, ended_at) \
                 SELECT md5(i::text), extract(epoch FROM now()) * 1000 \
                 FROM generate_series(1, {MILLION}) AS i"
            ),
        )
        .await;
    }

    if let Some(server) = Server::start(Kind::MariaDb).await {
        let names = [server.new_database().await, server.new_database().await];
        beside("MariaDB", names.map(|name| server.url(&name)), "SELECT 1").await;
        first_read(
            &server.url(&server.new_database().await),
            &format!(
                "INSERT INTO tower_logout_ended (position, session_id, ended_at) \
                 SELECT seq, MD5(seq), UNIX_TIMESTAMP() * 1000 FROM seq_1_to_{MILLION}; \
                 UPDATE tower_logout_ended_counter SET position = {MILLION}"
            ),
        )
        .await;
    }
}

/// Revocations with the log and without. Without access tokens, the store neither logs nor notifies.
async fn beside(server: &str, [with, without]: [String; 2], drop_trigger: &str) {
    let with = SqlStore::connect(&with).await.unwrap();
    let policy = SessionPolicy::new().with_access_lifetime(Duration::ZERO);
    let url = without;
    let without = SqlStore::connect(&url).await.unwrap();
    let without = without.with_policy(policy);
    execute(&any_pool(&url).await, drop_trigger).await;
    header(
        &format!("{server}, the log of ended sessions"),
        "with",
        "without",
    );
    let (ours, theirs) = (
        open_many(&with, PAIRS).await,
        open_many(&without, PAIRS).await,
    );
    compare(
        "revoke",
        PAIRS,
        async |pair| with.revoke(&ours[pair]).await.unwrap(),
        async |pair| without.revoke(&theirs[pair]).await.unwrap(),
    )
    .await;

    let mut measured = [const { Vec::new() }; 2];
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let subject = (round + turn) % 2;
            let store = [&with, &without][subject];
            let tokens = open_many(store, PER_ROUND).await;
            let revoke = async |token| store.revoke(&token).await.map(drop);
            measured[subject].push(throughput(&tokens, AT_ONCE, revoke).await);
        }
    }
    let [revoked, alone] = measured.map(median);
    row(
        &format!("revocations a second, {AT_ONCE} at once"),
        &format!("{revoked:.0}"),
        &format!("{alone:.0}"),
        revoked / alone,
    );
    time_look_ups(&with).await;
}

/// Times the look-up of a live session, which `RequireSessionLayer::asking` makes for each request.
pub(super) async fn time_look_ups(store: &impl SessionStore) {
    let token = Token::generate().unwrap();
    let id = store.open("alice", &token).await.unwrap().id;
    let mut took = Vec::new();
    for _ in 0..PAIRS {
        took.push(time(store.find_session(&id)).await);
    }
    println!("the look-up of a live session takes {:.1?}", median(took));
}

async fn first_read(url: &str, fill: &str) {
    let store = SqlStore::connect(url).await.unwrap();
    execute(&any_pool(url).await, fill).await;
    let log = Arc::new(store.ended_log().await.unwrap());
    time_first_read(&log).await;
    let cursor = read_all(&*log).await;
    time_reads_of_nothing(&*log, &cursor).await;
}

/// Times how long a node is not ready whose log has a million entries.
pub(super) async fn time_first_read(log: &Arc<impl EndedLog>) {
    let begun = Instant::now();
    let (ended, following) = EndedSessions::builder().follow(Arc::clone(log));
    let following = tokio::spawn(following);
    ended.ready().await;
    let took = begun.elapsed();
    following.abort();
    let read = ended.len();
    assert!(read >= MILLION);
    println!("a node that reads {read} entries is ready after {took:.1?}");
}

pub(super) async fn time_reads_of_nothing(log: &impl EndedLog, cursor: &Cursor) {
    let begun = Instant::now();
    for _ in 0..READS {
        log.read(Some(cursor)).await.unwrap();
    }
    println!("a read of nothing takes {:.1?}", begun.elapsed() / READS);
}
