//! Each session that ends is in the log, whatever ended it, and nothing else is.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use tower_logout::ended::{Cursor, EndedLog};
use tower_logout::store::{Rotation, SessionPolicy, SessionStore, SubjectStore};
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::SqlStore;

use e2e::database::Kind;
use e2e::ended_log::{Database, Reader, open};

#[tokio::test(flavor = "multi_thread")]
async fn each_path_that_ends_a_session_is_logged() {
    for database in Database::all().await {
        let store = &database.store;
        let mut reader = database.reader().await;
        assert_eq!(reader.read().await, [""; 0], "{:?}", database.server);

        let (token, session) = open(store, "alice").await;
        store.revoke(&token).await.unwrap();
        assert_eq!(reader.read().await, [session.id.as_str()], "logout");
        assert_eq!(reader.read().await, [""; 0], "once");
        store.revoke(&token).await.unwrap();
        assert_eq!(reader.read().await, [""; 0], "nothing ended");

        let mut ids = Vec::new();
        for _ in 0..120 {
            ids.push(open(store, "alice").await.1.id.as_str().to_owned());
        }
        let (kept, _) = open(store, "alice").await;
        store
            .revoke_subject("alice", std::slice::from_ref(&kept))
            .await
            .unwrap();
        let mut others = reader.read().await;
        others.sort();
        ids.sort();
        assert_eq!(others, ids, "all others");
        store.revoke_subject("alice", &[]).await.unwrap();
        assert_eq!(reader.read().await.len(), 1, "all");

        let strict = SessionPolicy::new().with_reuse_leeway(Duration::ZERO);
        let (token, session) = open(store, "alice").await;
        let strict = store.clone().with_policy(strict.with_max_rotations(1));
        let [next, last] = [(); 2].map(|()| Token::generate().unwrap());
        strict.rotate(&token, &next).await.unwrap();
        let reused = strict.rotate(&token, &last).await.unwrap();
        assert_eq!(reused, Rotation::Reused(session.id.clone()));
        assert_eq!(reader.read().await, [session.id.as_str()], "reuse");

        let (mut token, session) = open(store, "alice").await;
        let exhausted = loop {
            let next = Token::generate().unwrap();
            match strict.rotate(&token, &next).await.unwrap() {
                Rotation::Rotated(_) => token = next,
                other => break other,
            }
        };
        assert_eq!(exhausted, Rotation::Exhausted(session.id.clone()));
        assert_eq!(reader.read().await, [session.id.as_str()], "exhaustion");

        if database.has_trigger() {
            let ids = [open(store, "bob").await, open(store, "bob").await];
            let mut ids = ids.map(|(_, session)| session.id.as_str().to_owned());
            database
                .execute("DELETE FROM tower_logout_sessions WHERE subject = 'bob'")
                .await;
            let mut by_hand = reader.read().await;
            by_hand.sort();
            ids.sort();
            assert_eq!(by_hand, ids, "by hand");
        }

        // Another reader finds all of them.
        let mut late = database.reader().await;
        late.read().await;
        assert_eq!(late.seen, reader.seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_rolled_back_is_not_logged() {
    for database in Database::all().await {
        let mut reader = database.reader().await;
        let (token, session) = open(&database.store, "alice").await;
        if database.has_trigger() {
            let mut transaction = database.by_hand.begin().await.unwrap();
            let deleted = sqlx::raw_sql("DELETE FROM tower_logout_sessions")
                .execute(&mut *transaction)
                .await
                .unwrap();
            assert_eq!(deleted.rows_affected(), 1);
            transaction.rollback().await.unwrap();
        } else {
            // Fails after the entry, so that the database rolls back.
            database
                .execute(
                    "CREATE TRIGGER fails AFTER INSERT ON tower_logout_ended FOR EACH ROW \
                     SIGNAL SQLSTATE '45000'",
                )
                .await;
            database.store.revoke(&token).await.unwrap_err();
            database.execute("DROP TRIGGER fails").await;
        }
        assert_eq!(reader.read().await, [""; 0]);
        assert_eq!(database.store.find(&token).await.unwrap(), Some(session));
        database.store.revoke(&token).await.unwrap();
        assert_eq!(reader.read().await.len(), 1);
    }
}

/// A log that cannot be written is no reason to forget the entry.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_ends_without_its_entry() {
    for database in Database::all().await {
        let (token, session) = open(&database.store, "alice").await;
        let lost = match database.server {
            Some(Kind::MariaDb) => "DELETE FROM tower_logout_ended_counter",
            _ => "DROP TABLE tower_logout_ended",
        };
        database.execute(lost).await;
        database.store.revoke(&token).await.unwrap_err();
        let subject = database.store.revoke_subject("alice", &[]).await;
        subject.unwrap_err();
        assert_eq!(database.store.find(&token).await.unwrap(), Some(session));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_that_is_deleted_is_not_logged() {
    for database in Database::all().await {
        let mut reader = database.reader().await;
        let ended_at_once = SessionPolicy::new().with_lifetime(Duration::ZERO);
        let expiring = database.store.clone().with_policy(ended_at_once);
        for _ in 0..5 {
            open(&expiring, "alice").await;
        }
        assert_eq!(expiring.delete_expired(3).await.unwrap(), 3);
        assert_eq!(expiring.delete_expired(3).await.unwrap(), 2);
        assert_eq!(reader.read().await, [""; 0], "{:?}", database.server);
        if database.has_trigger() {
            // A session that had expired for long, and that somebody deletes by hand.
            open(&expiring, "alice").await;
            let by_hand = "UPDATE tower_logout_sessions SET expires_at = expires_at - 180000; \
                           DELETE FROM tower_logout_sessions";
            database.execute(by_hand).await;
            assert_eq!(reader.read().await, [""; 0]);
        }
    }
}

/// The clocks of the application and of the database differ.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expires_at_the_moment_is_logged() {
    for database in Database::all().await {
        let mut reader = database.reader().await;
        let (_, session) = open(&database.store, "alice").await;
        database
            .execute("UPDATE tower_logout_sessions SET expires_at = expires_at - 2592060000")
            .await;
        database.store.revoke_subject("alice", &[]).await.unwrap();
        assert_eq!(reader.read().await, [session.id.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_counts_by_the_clock_of_the_database_and_is_deleted_later() {
    for database in Database::all().await {
        let policy = SessionPolicy::new().with_access_lifetime(Duration::from_secs(60));
        let store = database.store.clone().with_policy(policy);
        let ids = [open(&store, "alice").await, open(&store, "alice").await];
        let [(first, _), (second, session)] = ids;
        store.revoke(&first).await.unwrap();
        database
            .execute("UPDATE tower_logout_ended SET ended_at = ended_at - 181000")
            .await;
        store.revoke(&second).await.unwrap();
        let log = store.ended_log().await.unwrap();
        assert_eq!(log.retention(), Duration::from_secs(180));
        let page = log.read(None).await.unwrap();
        let [(id, left)] = &*page.ended else {
            panic!("{page:?}");
        };
        assert_eq!(*id, session.id);
        let left = left.as_secs();
        assert!((150..=180).contains(&left), "{left}");

        let count = async || -> i64 {
            let count = sqlx::query_scalar("SELECT count(*) FROM tower_logout_ended");
            count.fetch_one(&database.by_hand).await.unwrap()
        };
        assert_eq!(count().await, 2);
        assert_eq!(store.delete_expired(1000).await.unwrap(), 0);
        assert_eq!(count().await, 1);

        // More than a batch, of which the caller learns.
        for _ in 0..5 {
            let (token, _) = open(&store, "alice").await;
            store.revoke(&token).await.unwrap();
        }
        database
            .execute("UPDATE tower_logout_ended SET ended_at = ended_at - 181000")
            .await;
        assert_eq!(store.delete_expired(4).await.unwrap(), 4);
        assert_eq!(store.delete_expired(4).await.unwrap(), 0);
        assert_eq!(count().await, 0);

        // The reader goes on, also if the entry that it has read last is gone.
        let mut reader = Reader::new(log);
        reader.cursor = Some(page.cursor);
        assert_eq!(reader.read().await, [""; 0]);
        let (token, session) = open(&store, "alice").await;
        store.revoke(&token).await.unwrap();
        assert_eq!(reader.read().await, [session.id.as_str()]);
    }
}

/// Entries of sessions that ended a second ago.
fn fill(server: Option<Kind>, rows: usize) -> String {
    match server {
        None => format!(
            "INSERT INTO tower_logout_ended (session_id, ended_at) \
             WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number LIMIT {rows}) \
             SELECT 'session ' || i, unixepoch() * 1000 - 1000 FROM number"
        ),
        Some(Kind::Postgres) => format!(
            "INSERT INTO tower_logout_ended (session_id, ended_at) \
             SELECT 'session ' || i, extract(epoch FROM now()) * 1000 - 1000 \
             FROM generate_series(1, {rows}) AS i"
        ),
        _ => format!(
            "INSERT INTO tower_logout_ended (position, session_id, ended_at) \
             SELECT seq, CONCAT('session ', seq), UNIX_TIMESTAMP() * 1000 - 1000 FROM seq_1_to_{rows}; \
             UPDATE tower_logout_ended_counter SET position = {rows}"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_read_in_pages_while_sessions_end() {
    const ROWS: usize = 100_000;
    for database in Database::all().await {
        database.execute(&fill(database.server, ROWS)).await;
        let mut reader = database.reader().await;
        let (mut pages, mut ended, mut read) = (0, Vec::new(), Vec::new());
        loop {
            let (token, session) = open(&database.store, "alice").await;
            database.store.revoke(&token).await.unwrap();
            ended.push(session.id.as_str().to_owned());
            let page = reader.log.read(reader.cursor.as_ref()).await.unwrap();
            assert!(page.ended.len() <= 10_001, "{}", page.ended.len());
            pages += 1;
            read.extend(page.ended.into_iter().map(|(id, _)| id.as_str().to_owned()));
            reader.cursor = Some(page.cursor);
            if page.is_complete {
                break;
            }
        }
        assert!(pages >= ROWS / 10_000, "{pages}");
        read.extend(reader.read().await);
        let filled = (1..=ROWS).map(|number| format!("session {number}"));
        let mut all: Vec<_> = filled.chain(ended).collect();
        all.sort();
        read.sort();
        read.dedup();
        assert!(read == all, "{} of {}", read.len(), all.len());
    }
}

/// The read that follows takes as long however long the log is.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_of_postgres_uses_an_index() {
    let Some(database) = Database::new(Some(Kind::Postgres)).await else {
        return;
    };
    database.execute(&fill(database.server, 100_000)).await;
    let mut reader = database.reader().await;
    reader.read().await;
    // A connection reports all its scans at once, a second or more after they were made.
    let scans_after = async |reported: i64| -> (i64, i64) {
        for _ in 0..600 {
            reader.log.read(reader.cursor.as_ref()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let scans = sqlx::query_as(
                "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'tower_logout_ended'",
            );
            let (table, index) = scans.fetch_one(&database.by_hand).await.unwrap();
            if index > reported {
                return (table, index);
            }
        }
        panic!("no index is scanned");
    };
    // The first report may have been made before the end of the first read.
    let (_, first) = scans_after(0).await;
    let (table, second) = scans_after(first).await;
    let (table_later, _) = scans_after(second).await;
    assert_eq!(table_later, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_something_else_reads_everything() {
    for database in Database::all().await {
        let (token, session) = open(&database.store, "alice").await;
        database.store.revoke(&token).await.unwrap();
        let mut reader = database.reader().await;
        for cursor in [
            "", "x", "9 other", "1 other", "1 5:3:", "1 1:9:x", "1 2:9: 3", "-1 0",
        ] {
            reader.cursor = Some(Cursor::new(cursor));
            assert_eq!(reader.read().await, [session.id.as_str()], "{cursor}");
        }
    }
}

/// The only connection of the pool is in a transaction that writes.
macro_rules! delays_no_read {
    ($pool:expr) => {{
        let pool = $pool;
        let store = SqlStore::new(pool.clone()).await.unwrap();
        let mut reader = Reader::new(store.ended_log().await.unwrap());
        let (_, session) = open(&store, "alice").await;
        let mut transaction = pool.begin().await.unwrap();
        let delete = sqlx::raw_sql("DELETE FROM tower_logout_sessions");
        delete.execute(&mut *transaction).await.unwrap();
        assert_eq!(reader.read().await, [""; 0]);
        transaction.commit().await.unwrap();
        assert_eq!(reader.read().await, [session.id.as_str()]);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_a_free_connection_delays_no_read() {
    if let Some(database) = Database::new(Some(Kind::Postgres)).await {
        let pool = PgPoolOptions::new().max_connections(1);
        delays_no_read!(pool.connect(&database.url).await.unwrap());
    }
    let database = Database::new(None).await.unwrap();
    let pool = SqlitePoolOptions::new().max_connections(1);
    delays_no_read!(pool.connect(&database.url).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_memory_has_a_log_too() {
    let store = SqlStore::connect("sqlite::memory:").await.unwrap();
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    assert_eq!(reader.read().await, [""; 0]);
    let news = reader.log.news();
    let (token, session) = open(&store, "alice").await;
    let (_, revoked) = tokio::join!(news, store.revoke(&token));
    revoked.unwrap();
    assert_eq!(reader.read().await, [session.id.as_str()]);
}
