//! What a store adds to its driver: `cargo bench -p tower-logout-e2e --bench stores`.
//!
//! Each revocation through a store stands beside the same statements by hand on the bare driver. Both take
//! turns in one run, so that noise hits both. The benches start their servers as the tests do. The names of
//! sections run these alone: `cargo bench -p tower-logout-e2e --bench stores -- sqlite-at-once postgres`.

#![allow(missing_docs, unreachable_pub, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, stream};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use sha2::{Digest, Sha256};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use tower_logout::store::{SessionPolicy, SessionStore, SubjectStore};
use tower_logout::{Token, TokenStore};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server};
use e2e::ended_log::read_all;

/// Pairs of revocations that are timed.
const PAIRS: usize = 2000;
/// How many revocations are under way at once.
const CONCURRENT: usize = 64;
/// Rounds of concurrent revocations, and how many there are in each.
const ROUNDS: usize = 15;
const PER_ROUND: usize = 6400;
/// How full a table is.
const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;

#[path = "stores/ended_log.rs"]
mod ended_log;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let named: Vec<_> = std::env::args().skip(1).collect();
    let runs = |section: &str| {
        let mut named = named
            .iter()
            .filter(|name| !name.starts_with('-'))
            .peekable();
        named.peek().is_none() || named.any(|name| name == section)
    };
    runtime.block_on(async {
        if runs("sqlite") {
            sqlite().await;
        }
        if runs("sqlite-at-once") {
            sqlite_at_once().await;
        }
        if runs("postgres") {
            postgres().await;
        }
        if runs("redis") {
            redis().await;
        }
        if runs("redis-log") {
            redis_log().await;
        }
        if runs("mariadb") {
            mariadb().await;
        }
        if runs("ended-log") {
            ended_log::run().await;
        }
    });
}

fn row(what: &str, one: &str, other: &str, ratio: f64) {
    println!("{what:<44} {one:>12} {other:>12} {ratio:>7.2}");
}

fn header(server: &str, one: &str, other: &str) {
    println!("\n{server:<44} {one:>12} {other:>12} {:>7}", "ratio");
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    values[values.len() / 2]
}

async fn time<T>(call: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    call.await;
    start.elapsed()
}

/// Times two subjects in turns, and reports the medians of both.
async fn compare<A, B>(
    what: &str,
    pairs: usize,
    one: impl AsyncFn(usize) -> A,
    other: impl AsyncFn(usize) -> B,
) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Neither is always the one that finds the other's caches.
        if pair % 2 == 0 {
            first.push(time(one(pair)).await);
            second.push(time(other(pair)).await);
        } else {
            second.push(time(other(pair)).await);
            first.push(time(one(pair)).await);
        }
    }
    let (first, second) = (median(first), median(second));
    row(
        what,
        &format!("{first:.1?}"),
        &format!("{second:.1?}"),
        first.as_secs_f64() / second.as_secs_f64(),
    );
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

async fn open(store: &impl SessionStore, subject: &str) -> Token {
    let token = Token::generate().unwrap();
    store.open(subject, &token).await.unwrap();
    token
}

async fn open_many(store: &impl SessionStore, number: usize) -> Vec<Token> {
    stream::iter(0..number)
        .map(|user| async move { open(store, &format!("user{user}")).await })
        .buffer_unordered(8)
        .collect()
        .await
}

const REVOKE: &str = "DELETE FROM tower_logout_sessions WHERE id = \
                      (SELECT session_id FROM tower_logout_tokens \
                       WHERE digest = $1 AND expires_at > $2) \
                      RETURNING id, expires_at";

/// A revocation through the store, beside its statement by sqlx.
macro_rules! beside_sqlx {
    ($pool:expr) => {{
        let pool = $pool;
        let store = SqlStore::new(pool.clone()).await.unwrap();
        let through_store = open_many(&store, PAIRS).await;
        let by_hand = open_many(&store, PAIRS).await;
        compare(
            "revoke",
            PAIRS,
            async |pair| store.revoke(&through_store[pair]).await.unwrap(),
            async |pair| {
                let digest = Sha256::digest(by_hand[pair].expose());
                let query = sqlx::query(REVOKE).bind(&digest[..]).bind(now());
                query.fetch_all(&pool).await.unwrap()
            },
        )
        .await;
    }};
}

/// The same revocations in a full table and in a small one.
async fn flat(small: SqlStore, full: SqlStore) {
    let of_small = open_many(&small, PAIRS / 2).await;
    let of_full = open_many(&full, PAIRS / 2).await;
    compare(
        "revoke",
        PAIRS / 2,
        async |pair| full.revoke(&of_full[pair]).await.unwrap(),
        async |pair| small.revoke(&of_small[pair]).await.unwrap(),
    )
    .await;
    open_many(&small, PAIRS / 2).await;
    open_many(&full, PAIRS / 2).await;
    compare(
        "revoke all of a subject",
        PAIRS / 2,
        async |pair| {
            let subject = format!("user{pair}");
            full.revoke_subject(&subject, &[]).await.unwrap()
        },
        async |pair| {
            let subject = format!("user{pair}");
            small.revoke_subject(&subject, &[]).await.unwrap()
        },
    )
    .await;
}

/// A pool of ten connections to a file.
async fn sqlite_pool(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    SqlitePool::connect_with(options).await.unwrap()
}

/// How long each of the revocations took, with so many under way at once.
async fn latencies<F>(
    tokens: Vec<Token>,
    at_once: usize,
    revoke: impl Fn(Token) -> F,
) -> Vec<Duration>
where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks = tokens
        .into_iter()
        .map(|token| tokio::spawn(time(revoke(token))));
    let taken = stream::iter(tasks).buffer_unordered(at_once);
    taken.map(Result::unwrap).collect().await
}

/// The store's writers take turns, those by hand wait for SQLite's own lock.
async fn sqlite_at_once() {
    const TOKENS: usize = 800;
    let folder = tempfile::tempdir().unwrap();
    for at_once in [16, 64] {
        let pool = sqlite_pool(&folder.path().join(at_once.to_string())).await;
        let store = SqlStore::new(pool.clone()).await.unwrap();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut our_time, mut their_time) = (Duration::ZERO, Duration::ZERO);
        for round in 0..10 {
            for turn in 0..2 {
                let tokens = open_many(&store, TOKENS).await;
                let start = Instant::now();
                if (round + turn) % 2 == 0 {
                    let revoke = |token| {
                        let store = store.clone();
                        async move { store.revoke(&token).await.map(drop).unwrap() }
                    };
                    ours.extend(latencies(tokens, at_once, revoke).await);
                    our_time += start.elapsed();
                } else {
                    let revoke = |token: Token| {
                        let pool = pool.clone();
                        async move {
                            let digest = Sha256::digest(token.expose());
                            let query = sqlx::query(REVOKE).bind(&digest[..]).bind(now());
                            query.fetch_all(&pool).await.map(drop).unwrap();
                        }
                    };
                    theirs.extend(latencies(tokens, at_once, revoke).await);
                    their_time += start.elapsed();
                }
            }
        }
        ours.sort();
        theirs.sort();
        header(
            &format!("SQLite, {at_once} revocations at once"),
            "store",
            "sqlx",
        );
        let compared = |what: &str, ours: Duration, theirs: Duration| {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            row(
                what,
                &format!("{ours:.1?}"),
                &format!("{theirs:.1?}"),
                ratio,
            );
        };
        let last = ours.len() - 1;
        for (what, at) in [
            ("median", last / 2),
            ("99 of 100", last * 99 / 100),
            ("longest", last),
        ] {
            compared(what, ours[at], theirs[at]);
        }
        let count = u32::try_from(ours.len()).unwrap();
        compared("time per revocation", our_time / count, their_time / count);
    }
}

async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let pool = async |name: &str| sqlite_pool(&folder.path().join(name)).await;
    header("SQLite, a file", "store", "sqlx");
    beside_sqlx!(pool("beside").await);
    let filled = async |name: &str, rows: u32| {
        let pool = pool(name).await;
        let store = SqlStore::new(pool.clone()).await.unwrap();
        let fill = format!(
            "PRAGMA cache_size = -400000; -- for filling it alone
             INSERT INTO tower_logout_sessions
                (id, subject, generation, rotated_at, tokens, expires_at)
                WITH RECURSIVE number(i) AS
                    (SELECT 1 UNION ALL SELECT i + 1 FROM number LIMIT {rows})
                SELECT hex(randomblob(16)), 'other' || i, 0, 0, 1, 4102444800000 FROM number;
             INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
                SELECT randomblob(32), id, 0, expires_at FROM tower_logout_sessions;
             ANALYZE;
             PRAGMA wal_checkpoint(TRUNCATE);
             PRAGMA cache_size = -2000;"
        );
        let fill = sqlx::raw_sql(sqlx::AssertSqlSafe(fill));
        fill.execute(&pool).await.unwrap();
        store
    };
    header("SQLite, rows in the table", "1,000,000", "1,000");
    flat(filled("small", FEW).await, filled("full", MANY).await).await;
}

async fn postgres() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let pool = async || {
        let url = server.url(&server.new_database().await);
        PgPool::connect(&url).await.unwrap()
    };
    header("Postgres", "store", "sqlx");
    beside_sqlx!(pool().await);
    let filled = async |rows: u32| {
        let pool = pool().await;
        let store = SqlStore::new(pool.clone()).await.unwrap();
        let fill = format!(
            "INSERT INTO tower_logout_sessions
                (id, subject, generation, rotated_at, tokens, expires_at)
                SELECT md5(i::text), 'other' || i, 0, 0, 1, 4102444800000
                FROM generate_series(1, {rows}) AS i;
             INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
                SELECT sha256(i::text::bytea), md5(i::text), 0, 4102444800000
                FROM generate_series(1, {rows}) AS i;"
        );
        let fill = sqlx::raw_sql(sqlx::AssertSqlSafe(fill));
        fill.execute(&pool).await.unwrap();
        let tidy = sqlx::raw_sql("VACUUM ANALYZE");
        tidy.execute(&pool).await.unwrap();
        store
    };
    header("Postgres, rows in the table", "1,000,000", "1,000");
    flat(filled(FEW).await, filled(MANY).await).await;
}

async fn mariadb() {
    let Some(server) = Server::start(Kind::MariaDb).await else {
        return;
    };
    // As a server would be set up that holds so many: by default a table of this size is read from
    // the disk, past the caches of the operating system.
    let admin = MySqlPool::connect(&server.url("")).await.unwrap();
    let memory = "SET GLOBAL innodb_buffer_pool_size = 1073741824";
    sqlx::raw_sql(memory).execute(&admin).await.unwrap();
    let filled = async |rows: u32| {
        let url = server.url(&server.new_database().await);
        let pool = MySqlPool::connect(&url).await.unwrap();
        let store = SqlStore::new(pool.clone()).await.unwrap();
        let fill = format!(
            "INSERT INTO tower_logout_sessions
                (id, subject, generation, rotated_at, tokens, expires_at)
                SELECT MD5(seq), CONCAT('other', seq), 0, 0, 1, 4102444800000
                FROM seq_1_to_{rows} ORDER BY 1;
             INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
                SELECT UNHEX(SHA2(seq, 256)), MD5(seq), 0, 4102444800000
                FROM seq_1_to_{rows} ORDER BY 1;
             ANALYZE TABLE tower_logout_sessions, tower_logout_tokens;"
        );
        let fill = sqlx::raw_sql(sqlx::AssertSqlSafe(fill));
        fill.execute(&pool).await.unwrap();
        store
    };
    header("MariaDB, rows in the table", "1,000,000", "1,000");
    flat(filled(FEW).await, filled(MANY).await).await;
}

/// A revocation by hand, with the commands of the store.
#[derive(Clone)]
struct ByHand {
    connection: MultiplexedConnection,
    script: Arc<redis::Script>,
    cleans_up: bool,
}

impl ByHand {
    async fn revoke(&self, token: &Token) {
        let mut connection = self.connection.clone();
        let mut pointer = "tower-logout:token:".to_owned();
        for byte in Sha256::digest(token.expose()) {
            write!(pointer, "{byte:02x}").unwrap();
        }
        let id: String = connection.get(&pointer).await.unwrap();
        let bucket = u8::from_str_radix(&id[..2], 16).unwrap() >> 2;
        let tag = format!("{{tower-logout:{bucket:02x}}}");
        let mut revoke = self.script.key(format!("{tag}:session:{id}"));
        revoke.key(format!("{tag}:rotated:{id}"));
        revoke.key(format!("{tag}:ended"));
        let raw: Vec<u8> = (0..id.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap())
            .collect();
        let retention = SessionPolicy::new().ended_retention().as_millis();
        revoke.arg(retention.to_string()).arg("id").arg(raw).arg(0);
        let ended: Vec<String> = revoke.invoke_async(&mut connection).await.unwrap();
        if !self.cleans_up {
            return;
        }
        // The session has ended. The keys that name it are deleted after the answer.
        tokio::spawn(async move {
            let list = format!("tower-logout:subject:{}", ended[0]);
            let _: () = connection.zrem(list, id).await.unwrap();
            let _: () = connection.unlink(pointer).await.unwrap();
        });
    }
}

/// Revocations in a second, so many of them at once.
async fn throughput<T>(tokens: &[Token], at_once: usize, revoke: impl AsyncFn(Token) -> T) -> f64 {
    let start = Instant::now();
    stream::iter(tokens.iter().cloned())
        .map(|token| revoke(token))
        .buffer_unordered(at_once)
        .for_each(async |_| ())
        .await;
    let second = start.elapsed().as_secs_f64();
    // What either leaves to do is not to burden the other.
    tokio::time::sleep(Duration::from_millis(200)).await;
    f64::from(u32::try_from(tokens.len()).unwrap()) / second
}

async fn redis() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let url = server.url("");
    let store = RedisStore::connect(&url).await.unwrap();
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // Lest the disk hides what differs.
    let mut lazily = redis::cmd("CONFIG");
    lazily.arg("SET").arg("appendfsync").arg("everysec");
    let () = lazily.query_async(&mut connection).await.unwrap();
    let by_hand = ByHand {
        connection,
        script: Arc::new(redis::Script::new(concat!(
            include_str!("../../stores/redis/src/scripts/session.lua"),
            include_str!("../../stores/redis/src/scripts/revoke.lua")
        ))),
        cleans_up: true,
    };
    header("Redis", "store", "redis");
    let (ours, theirs) = (
        open_many(&store, PAIRS).await,
        open_many(&store, PAIRS).await,
    );
    compare(
        "revoke",
        PAIRS,
        async |pair| store.revoke(&ours[pair]).await.unwrap(),
        async |pair| by_hand.revoke(&theirs[pair]).await,
    )
    .await;

    // The least work that ends a session. The keys that name the session stay until they expire.
    let without_cleanup = ByHand {
        cleans_up: false,
        ..by_hand.clone()
    };
    let mut measured = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for turn in 0..3 {
            let subject = (round + turn) % 3;
            let tokens = open_many(&store, PER_ROUND).await;
            measured[subject].push(match subject {
                0 => {
                    throughput(&tokens, CONCURRENT, async |token| {
                        store.revoke(&token).await.map(drop)
                    })
                    .await
                }
                1 => {
                    throughput(&tokens, CONCURRENT, async |token| {
                        by_hand.revoke(&token).await
                    })
                    .await
                }
                _ => {
                    throughput(&tokens, CONCURRENT, async |token| {
                        without_cleanup.revoke(&token).await
                    })
                    .await
                }
            });
        }
    }
    let [ours, same, least] = measured.map(median);
    for (what, theirs) in [
        ("revocations a second, 64 at once", same),
        ("the same beside a client without cleanup", least),
    ] {
        row(
            what,
            &format!("{ours:.0}"),
            &format!("{theirs:.0}"),
            ours / theirs,
        );
    }
}

/// A revocation that writes the log of ended sessions beside one that does not.
async fn redis_log() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let client = redis::Client::open(server.url("")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // The disk would hide the difference.
    let mut lazily = redis::cmd("CONFIG");
    lazily.arg("SET").arg("appendfsync").arg("everysec");
    let () = lazily.query_async(&mut connection).await.unwrap();
    let store = |access_lifetime, prefix| {
        let policy = SessionPolicy::new().with_access_lifetime(access_lifetime);
        let store = RedisStore::new(client.clone());
        store.with_policy(policy).with_prefix(prefix)
    };
    let logs = store(Duration::from_hours(1), "logs");
    let bare = store(Duration::ZERO, "bare");
    header("Redis, the log of ended sessions", "with", "without");
    let (ours, theirs) = (open_many(&logs, PAIRS).await, open_many(&bare, PAIRS).await);
    compare(
        "revoke",
        PAIRS,
        async |pair| logs.revoke(&ours[pair]).await.unwrap(),
        async |pair| bare.revoke(&theirs[pair]).await.unwrap(),
    )
    .await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let (store, measured) = match (round + turn) % 2 {
                0 => (&logs, &mut with),
                _ => (&bare, &mut without),
            };
            let tokens = open_many(store, PER_ROUND).await;
            let revoke = async |token: Token| store.revoke(&token).await.map(drop);
            measured.push(throughput(&tokens, CONCURRENT, revoke).await);
        }
    }
    let (with, without) = (median(with), median(without));
    row(
        "revocations a second, 64 at once",
        &format!("{with:.0}"),
        &format!("{without:.0}"),
        with / without,
    );
    ended_log::time_look_ups(&logs).await;
    let fill = redis::Script::new(
        "for i = 1, ARGV[1] do \
         redis.call('XADD', KEYS[1], '*', 'id', string.sub(redis.sha1hex(KEYS[1] .. i), 1, 16)) end",
    );
    for bucket in 0..64 {
        let mut fill = fill.key(format!("{{logs:{bucket:02x}}}:ended"));
        fill.arg(ended_log::MILLION / 64);
        let () = fill.invoke_async(&mut connection).await.unwrap();
    }
    let log = Arc::new(logs.ended_log().unwrap());
    ended_log::time_first_read(&log).await;
    let cursor = read_all(&*log).await;
    let before = cpu(&mut connection).await;
    ended_log::time_reads_of_nothing(&*log, &cursor).await;
    let busy = (cpu(&mut connection).await - before) / f64::from(ended_log::READS);
    println!("and keeps the server busy for {:.0} µs", busy * 1e6);
}

/// The seconds that a server was busy.
async fn cpu(connection: &mut MultiplexedConnection) -> f64 {
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("cpu").query_async(connection).await.unwrap();
    let used = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.starts_with("used_cpu_") && name.ends_with("_main_thread"));
    used.map(|(_, seconds)| seconds.parse::<f64>().unwrap())
        .sum()
}
