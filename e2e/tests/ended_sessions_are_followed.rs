//! A reader that follows the log misses no end, however long the transactions of others take, and learns of an end
//! long before its next read is due.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::{AnyPool, AssertSqlSafe, Row};
use tower_logout::TokenStore;
use tower_logout::ended::EndedLog;
use tower_logout::store::SessionId;
use tower_logout_sqlx::SqlStore;

use e2e::database::Kind;
use e2e::ended_log::{Database, Reader, open};

const ENDS: usize = 10_000;
const WRITERS: usize = 16;
/// Of so many ends, one is rolled back.
const ROLLED_BACK: u64 = 20;

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

/// Inserts sessions, and returns their ids.
async fn fill(database: &Database) -> Vec<String> {
    let ids: Vec<_> = (0..ENDS)
        .map(|_| SessionId::generate().unwrap().as_str().to_owned())
        .collect();
    for chunk in ids.chunks(1000) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|id| format!("('{id}', 'alice', 0, 0, 1, 4102444800000)"))
            .collect();
        let insert = format!(
            "INSERT INTO tower_logout_sessions \
             (id, subject, generation, rotated_at, tokens, expires_at) VALUES {}",
            rows.join(", ")
        );
        database.execute(&insert).await;
    }
    ids
}

/// Ends sessions in a transaction that takes a while, and returns whether it committed.
async fn end(pool: &AnyPool, begin: &str, ids: &[String], at_most: Duration) -> bool {
    let mut connection = pool.acquire().await.unwrap();
    let mut run = async |sql: String| {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        sql.execute(&mut *connection).await.unwrap();
    };
    run(begin.to_owned()).await;
    for id in ids {
        run(format!(
            "DELETE FROM tower_logout_sessions WHERE id = '{id}'"
        ))
        .await;
    }
    let millis = u64::try_from(at_most.as_millis()).unwrap();
    tokio::time::sleep(Duration::from_millis(random(millis + 1))).await;
    let commits = random(ROLLED_BACK) != 0;
    run(if commits { "COMMIT" } else { "ROLLBACK" }.to_owned()).await;
    commits
}

/// Reads until the writers are done, and once more.
fn follow(mut reader: Reader, done: &Arc<AtomicBool>) -> tokio::task::JoinHandle<HashSet<String>> {
    let done = Arc::clone(done);
    tokio::spawn(async move {
        loop {
            let is_last = done.load(Ordering::SeqCst);
            reader.read().await;
            if is_last {
                return reader.seen;
            }
        }
    })
}

/// Each writer ends its part, by a closure that returns whether that was committed. Returns what was committed.
async fn write<E>(ids: &[String], batch: usize, end: E) -> HashSet<String>
where
    E: AsyncFn(&[String]) -> bool,
{
    let parts = ids.chunks(ids.len().div_ceil(WRITERS)).map(async |part| {
        let mut committed = Vec::new();
        for batch in part.chunks(batch) {
            if end(batch).await {
                committed.extend_from_slice(batch);
            }
        }
        committed
    });
    join_all(parts).await.into_iter().flatten().collect()
}

fn assert_followed(seen: &HashSet<String>, committed: &HashSet<String>) {
    let missed = committed.difference(seen).count();
    let wrong = seen.difference(committed).count();
    println!(
        "{} ends, {missed} missed, {wrong} rolled back and read",
        committed.len()
    );
    assert_eq!((missed, wrong), (0, 0));
    assert!(committed.len() > ENDS / 2 && committed.len() < ENDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_none_is_missed_and_a_cursor_over_a_sequence_misses_some() {
    let Some(database) = Database::new(Some(Kind::Postgres)).await else {
        return;
    };
    // What a log by hand would be.
    database
        .execute(
            "CREATE TABLE naive (position BIGSERIAL PRIMARY KEY, id TEXT NOT NULL);
             CREATE FUNCTION log_naively() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO naive (id) VALUES (OLD.id); RETURN NULL; END $$;
             CREATE TRIGGER naive AFTER DELETE ON tower_logout_sessions
                 FOR EACH ROW EXECUTE FUNCTION log_naively();",
        )
        .await;
    let ids = fill(&database).await;
    let done = Arc::new(AtomicBool::new(false));
    let following = follow(database.reader().await, &done);
    let naive = tokio::spawn({
        let (pool, done) = (
            sqlx::PgPool::connect(&database.url).await.unwrap(),
            Arc::clone(&done),
        );
        async move {
            let (mut last, mut seen) = (0i64, 0usize);
            loop {
                let is_last = done.load(Ordering::SeqCst);
                let rows =
                    sqlx::query("SELECT position FROM naive WHERE position > $1 ORDER BY position")
                        .bind(last)
                        .fetch_all(&pool)
                        .await
                        .unwrap();
                seen += rows.len();
                last = rows.last().map_or(last, |row| row.get(0));
                if is_last {
                    return seen;
                }
            }
        }
    });
    let pool = &database.by_hand;
    let committed = write(&ids, 1, async |ids| {
        end(pool, "BEGIN", ids, Duration::from_millis(10)).await
    })
    .await;
    done.store(true, Ordering::SeqCst);
    assert_followed(&following.await.unwrap(), &committed);
    let seen_naively = naive.await.unwrap();
    println!(
        "a cursor over a sequence misses {}",
        committed.len() - seen_naively
    );
    assert!(seen_naively < committed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_none_is_missed() {
    let database = Database::new(None).await.unwrap();
    let ids = fill(&database).await;
    let done = Arc::new(AtomicBool::new(false));
    let following = follow(database.reader().await, &done);
    // One connection writes at a time. Each of them waits for the others.
    let pool = &database.by_hand;
    let committed = write(&ids, 5, async |ids| {
        end(pool, "BEGIN IMMEDIATE", ids, Duration::from_millis(2)).await
    })
    .await;
    done.store(true, Ordering::SeqCst);
    assert_followed(&following.await.unwrap(), &committed);
}

/// The store itself writes the log. A trigger lets its transactions take long, and another makes some fail after they
/// have taken a position.
#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb_none_is_missed() {
    let Some(database) = Database::new(Some(Kind::MariaDb)).await else {
        return;
    };
    let ids = fill(&database).await;
    database
        .execute(
            "INSERT INTO tower_logout_tokens SELECT UNHEX(SHA2(id, 256)), id, 0, 4102444800000 \
             FROM tower_logout_sessions",
        )
        .await;
    for trigger in [
        "CREATE TRIGGER slow BEFORE DELETE ON tower_logout_sessions FOR EACH ROW \
         DO SLEEP(RAND() * 0.01)",
        "CREATE TRIGGER fails AFTER INSERT ON tower_logout_ended FOR EACH ROW \
         BEGIN IF RAND() < 0.05 THEN SIGNAL SQLSTATE '45000'; END IF; END",
    ] {
        database.execute(trigger).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let following = follow(database.reader().await, &done);
    let store = &database.store;
    let committed = write(&ids, 1, async |ids| {
        let token = tower_logout::Token::new(ids[0].clone());
        store.revoke(&token).await.is_ok()
    })
    .await;
    done.store(true, Ordering::SeqCst);
    assert_followed(&following.await.unwrap(), &committed);
}

/// How long the end of a session takes to be read by somebody who waits for news, in another pool.
async fn lags(database: &Database, ends: usize) -> Vec<Duration> {
    let other = SqlStore::connect(&database.url).await.unwrap();
    let mut reader = Reader::new(other.ended_log().await.unwrap());
    let mut lags = Vec::new();
    reader.read().await;
    // The listener starts with the first wait.
    let _ = tokio::time::timeout(Duration::from_secs(5), reader.log.news()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    reader.read().await;
    for _ in 0..ends {
        let (token, session) = open(&database.store, "alice").await;
        reader.read().await;
        database.store.revoke(&token).await.unwrap();
        let ended = Instant::now();
        loop {
            let _ = tokio::time::timeout(Duration::from_secs(5), reader.log.news()).await;
            reader.read().await;
            if reader.seen.contains(session.id.as_str()) {
                break;
            }
        }
        lags.push(ended.elapsed());
    }
    lags.sort();
    lags
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_an_end_arrive_long_before_the_next_read_is_due() {
    for server in [None, Some(Kind::Postgres)] {
        let Some(database) = Database::new(server).await else {
            continue;
        };
        let lags = lags(&database, 100).await;
        println!("{server:?}: median {:?}, longest {:?}", lags[50], lags[99]);
        assert!(lags[50] < Duration::from_millis(250), "{:?}", lags[50]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_news_the_next_read_is_due_soon() {
    for database in Database::all().await {
        let log = database.store.ended_log().await.unwrap();
        let millis = if database.has_trigger() { 1000 } else { 50 };
        assert_eq!(log.poll(), Duration::from_millis(millis));
    }
}
