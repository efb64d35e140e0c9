//! A log that cannot be read is an error, and no log that lost commits looks complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor};
use tower_logout::TokenStore;
use tower_logout::ended::{Cursor, EndedLog};
use tower_logout_sqlx::{SqlPool, SqlStore};

use e2e::database::{Kind, Server};
use e2e::ended_log::{Database, Reader, open};
use e2e::proxy::{Fault, Proxy};

async fn end(store: &SqlStore) -> String {
    let (token, session) = open(store, "alice").await;
    store.revoke(&token).await.unwrap();
    session.id.as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_an_error_until_it_is_promoted() {
    let Some(primary) = Server::start(Kind::Postgres).await else {
        return;
    };
    let database = primary.new_database().await;
    let store = SqlStore::connect(&primary.url(&database)).await.unwrap();
    let mut ended = vec![end(&store).await];
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    assert_eq!(reader.read().await, ended);
    let other = Server::standby_of(&primary).await;
    let standby = SqlStore::connect(&other.url(&database)).await.unwrap();
    let log = standby.ended_log().await.unwrap();
    for since in [None, reader.cursor.as_ref()] {
        let error = log.read(since).await.unwrap_err().to_string();
        assert!(error.contains("takes no writes"), "{error}");
    }

    // The commits after the promotion have the numbers of commits that the old primary made and lost.
    for _ in 0..20 {
        end(&store).await;
    }
    reader.read().await;
    let mut admin = sqlx::PgConnection::connect(&other.url("postgres"))
        .await
        .unwrap();
    drop(primary);
    admin.execute("SELECT pg_promote()").await.unwrap();
    let read = log.read(None).await.unwrap().ended;
    let lost_none = read.iter().map(|(id, _)| id.as_str().to_owned());
    ended = lost_none.collect();
    for _ in 0..30 {
        ended.push(end(&standby).await);
    }
    ended.sort();
    let mut after = Reader::new(log);
    after.cursor = reader.cursor;
    let mut read = after.read().await;
    read.sort();
    assert_eq!(read, ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_server_is_an_error() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let database = server.new_database().await;
    let store = SqlStore::connect(&server.url(&database)).await.unwrap();
    let log = store.ended_log().await.unwrap();
    let cursor = log.read(None).await.unwrap().cursor;
    server.make_read_only().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    log.read(Some(&cursor)).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_server_that_is_read_only_is_an_error() {
    let Some(server) = Server::start(Kind::MariaDb).await else {
        return;
    };
    let database = server.new_database().await;
    let store = SqlStore::connect(&server.url(&database)).await.unwrap();
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    let first = end(&store).await;
    assert_eq!(reader.read().await, [first]);
    server.make_read_only().await;
    let error = reader.log.read(reader.cursor.as_ref()).await.unwrap_err();
    assert!(error.to_string().contains("takes no writes"), "{error}");
    reader.log.read(None).await.unwrap_err();
    let mut admin = admin_of(&server).await;
    admin.execute("SET GLOBAL read_only = 0").await.unwrap();
    let second = end(&store).await;
    assert_eq!(reader.read().await, [second]);
}

/// A server, and a replica of that server that is read-only.
async fn mariadb_pair() -> Option<[Server; 2]> {
    let mut primary = Server::start(Kind::MariaDb).await?;
    let log = ["--server-id=1", "--log-bin=commits"];
    primary.restart_with(&log.map(str::to_owned)).await;
    let mut replica = Server::start(Kind::MariaDb).await?;
    let read_only = ["--server-id=2", "--read-only"];
    replica.restart_with(&read_only.map(str::to_owned)).await;
    let follow = format!(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'root', \
         MASTER_USE_GTID = slave_pos; START SLAVE",
        primary.port
    );
    let mut admin = admin_of(&replica).await;
    let follow = sqlx::raw_sql(AssertSqlSafe(follow));
    admin.execute(follow).await.unwrap();
    Some([primary, replica])
}

async fn admin_of(server: &Server) -> sqlx::MySqlConnection {
    sqlx::MySqlConnection::connect(&server.url(""))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_replica_that_lags_is_read_again_once_it_is_promoted() {
    let Some([primary, replica]) = mariadb_pair().await else {
        return;
    };
    let database = primary.new_database().await;
    let store = SqlStore::connect(&primary.url(&database)).await.unwrap();
    let kept = end(&store).await;
    let address = Proxy::start(primary.port).await;
    let follower = SqlStore::connect(&primary.url_at(address.port, &database))
        .await
        .unwrap();
    let mut reader = Reader::new(follower.ended_log().await.unwrap());
    assert_eq!(reader.read().await, std::slice::from_ref(&kept));

    let committed: String = sqlx::query_scalar("SELECT @@global.gtid_binlog_pos")
        .fetch_one(&mut admin_of(&primary).await)
        .await
        .unwrap();
    let mut admin = admin_of(&replica).await;
    let timed_out: i64 = sqlx::query_scalar("SELECT MASTER_GTID_WAIT(?, 60)")
        .bind(committed)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(timed_out, 0, "the replica does not follow");
    admin.execute("STOP SLAVE").await.unwrap();
    let lost = [end(&store).await, end(&store).await];
    assert_eq!(reader.read().await, lost);
    drop(primary);
    address.redirect_to(replica.port);
    // This read finds the connection to the old server.
    reader.log.read(reader.cursor.as_ref()).await.unwrap_err();
    let error = reader.log.read(reader.cursor.as_ref()).await.unwrap_err();
    assert!(error.to_string().contains("takes no writes"), "{error}");

    for sql in ["RESET SLAVE ALL", "SET GLOBAL read_only = 0"] {
        admin.execute(sql).await.unwrap();
    }
    let store = SqlStore::connect(&replica.url(&database)).await.unwrap();
    // They take the positions of the entries that were lost.
    let later = [end(&store).await, end(&store).await];
    assert_eq!(reader.read().await, [[kept].as_slice(), &later].concat());
}

/// Each read would see what the first one has seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_server_that_commits_nothing_by_itself_is_read_again_and_again() {
    let Some(mut server) = Server::start(Kind::MariaDb).await else {
        return;
    };
    let database = server.new_database().await;
    SqlStore::connect(&server.url(&database)).await.unwrap();
    server.restart_with(&["--autocommit=0".to_owned()]).await;
    let store = SqlStore::connect(&server.url(&database)).await.unwrap();
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    for _ in 0..3 {
        let (token, session) = open(&store, "alice").await;
        store.revoke(&token).await.unwrap();
        assert_eq!(reader.read().await, [session.id.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_database_that_lost_commits_is_read_again() {
    let Some(database) = Database::new(Some(Kind::MariaDb)).await else {
        return;
    };
    let kept = end(&database.store).await;
    end(&database.store).await;
    let mut reader = database.reader().await;
    assert_eq!(reader.read().await.len(), 2);
    database
        .execute(
            "DELETE FROM tower_logout_ended WHERE position = 2; \
             UPDATE tower_logout_ended_counter SET position = 1",
        )
        .await;
    let at_the_same_position = end(&database.store).await;
    let later = end(&database.store).await;
    assert_eq!(reader.read().await, [kept, at_the_same_position, later]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_database_that_lost_commits_is_read_again() {
    let Some(database) = Database::new(Some(Kind::Postgres)).await else {
        return;
    };
    let first = end(&database.store).await;
    let mut reader = database.reader().await;
    assert_eq!(reader.read().await, std::slice::from_ref(&first));
    assert_eq!(reader.read().await, [""; 0]);
    let cursor = reader.cursor.clone().unwrap();
    let (server, snapshot) = cursor.as_str().split_once(' ').unwrap();
    let xmax: u64 = snapshot.split(':').nth(1).unwrap().parse().unwrap();
    let ahead = format!("{server} {}:{}:", xmax + 5000, xmax + 5000);
    let of_another = format!("{}1 {snapshot}", server);
    for cursor in [ahead, of_another] {
        reader.cursor = Some(Cursor::new(cursor));
        assert_eq!(reader.read().await, std::slice::from_ref(&first));
        assert_eq!(reader.read().await, [""; 0]);
    }
}

/// The entries of a restored database have the numbers of transactions to come.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_was_restored_is_read_once() {
    let Some(database) = Database::new(Some(Kind::Postgres)).await else {
        return;
    };
    let first = end(&database.store).await;
    database
        .execute("UPDATE tower_logout_ended SET xid = '9000000000'")
        .await;
    let mut reader = database.reader().await;
    assert_eq!(reader.read().await, [first]);
    assert_eq!(reader.read().await, [""; 0]);
    let second = end(&database.store).await;
    assert_eq!(reader.read().await, [second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_that_was_replaced_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite:{}", path(name).display());
    let store = SqlStore::connect(&url("sessions")).await.unwrap();
    let kept = end(&store).await;
    let pool = sqlx::SqlitePool::connect(&url("sessions")).await.unwrap();
    let backup = format!("VACUUM INTO '{}'", path("backup").display());
    sqlx::raw_sql(AssertSqlSafe(backup))
        .execute(&pool)
        .await
        .unwrap();
    end(&store).await;
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    assert_eq!(reader.read().await.len(), 2);

    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(path(&format!("sessions{suffix}")));
    }
    std::fs::rename(path("backup"), path("sessions")).unwrap();
    let restored = SqlStore::connect(&url("sessions")).await.unwrap();
    let later = end(&restored).await;
    assert_eq!(reader.read().await, [kept, later]);

    std::fs::remove_file(path("sessions")).unwrap();
    reader.log.read(reader.cursor.as_ref()).await.unwrap_err();
    assert!(!path("sessions").exists(), "nothing is created");
}

/// A cut is an error, and then the reader goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_or_silent_is_an_error_and_then_opened_again() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let Some(database) = Database::new(Some(kind)).await else {
            continue;
        };
        let port = database.url.rsplit(':').next().unwrap();
        let port = port.split('/').next().unwrap();
        let proxy = Proxy::start(port.parse().unwrap()).await;
        let proxied = database.url.replace(port, &proxy.port.to_string());
        let store = SqlStore::builder().statement_timeout(Duration::from_millis(500));
        let store = store.connect(&proxied).await.unwrap();
        let mut reader = Reader::new(store.ended_log().await.unwrap());
        for fault in [Fault::Cut, Fault::BlackHole, Fault::PowerLoss] {
            let before = end(&database.store).await;
            assert_eq!(reader.read().await, [before]);
            proxy.set_fault(fault);
            reader.log.read(reader.cursor.as_ref()).await.unwrap_err();
            let meanwhile = end(&database.store).await;
            proxy.set_fault(Fault::None);
            let read = reader.read().await;
            assert_eq!(read.last(), Some(&meanwhile), "{kind:?} {fault:?}");
            assert_goes_on(Some(kind), &read, &reader);
        }
    }
}

/// A new connection to Postgres reads everything again, because the server may have crashed meanwhile. The other
/// databases go on from the cursor.
fn assert_goes_on(kind: Option<Kind>, read: &[String], reader: &Reader) {
    if kind == Some(Kind::Postgres) {
        assert!(
            read.len() == 1 || read.len() == reader.seen.len(),
            "{read:?}"
        );
    } else {
        assert_eq!(read.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_nobody_awaits_leaves_no_answer_behind() {
    for database in Database::all().await {
        let mut reader = database.reader().await;
        for _ in 0..20 {
            let ended = end(&database.store).await;
            let read = reader.log.read(reader.cursor.as_ref());
            let _ = tokio::time::timeout(Duration::from_micros(200), read).await;
            let read = reader.read().await;
            assert_eq!(read.last(), Some(&ended));
            assert_goes_on(database.server, &read, &reader);
        }
    }
}

/// The server ends the connection that listens, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_cut_hears_again() {
    const LISTENERS: &str =
        "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    let Some(database) = Database::new(Some(Kind::Postgres)).await else {
        return;
    };
    let log = database.store.ended_log().await.unwrap();
    let listener = async || {
        let find = format!("SELECT pid::BIGINT {LISTENERS}");
        let find = sqlx::query_scalar::<_, i64>(AssertSqlSafe(find));
        find.fetch_optional(&database.by_hand).await.unwrap()
    };
    let hears = async || {
        // A connection that was opened is news as well.
        let quiet = Duration::from_millis(500);
        while tokio::time::timeout(quiet, log.news()).await.is_ok() {}
        end(&database.store).await;
        let news = tokio::time::timeout(Duration::from_secs(20), log.news());
        news.await.expect("no news arrive");
    };
    hears().await;
    let before = listener().await.unwrap();
    let cut = format!("SELECT pg_terminate_backend(pid) {LISTENERS}");
    database.execute(&cut).await;
    while listener().await.is_none_or(|after| after == before) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    hears().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outage_of_a_listener_is_told_once() {
    let Some(mut server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let url = server.url(&server.new_database().await);
    let store = SqlStore::connect(&url).await.unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let log = store.ended_log().await.unwrap().with_on_error({
        let told = Arc::clone(&told);
        move |_error| {
            told.fetch_add(1, Ordering::SeqCst);
        }
    });
    for outage in 1..=2 {
        // An attempt to connect takes 3 seconds and is news, and the next one is a second later.
        let attempts = Duration::from_secs(5);
        while tokio::time::timeout(attempts, log.news()).await.is_ok() {}
        server.kill();
        let is_told = async {
            while told.load(Ordering::SeqCst) < outage {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let is_told = tokio::time::timeout(Duration::from_secs(20), is_told).await;
        is_told.expect("nobody is told");
        tokio::time::sleep(attempts).await;
        assert_eq!(told.load(Ordering::SeqCst), outage);
        server.resume().await;
    }
}

/// Behind `PgBouncer` in transaction mode no notification arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_listener_is_told_once_and_nothing_is_missed() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let Some(bouncer) = Server::pgbouncer_of(&server).await else {
        return;
    };
    let database = server.new_database().await;
    let direct = sqlx::PgPool::connect(&server.url(&database)).await.unwrap();
    let direct = SqlStore::new(direct).await.unwrap();
    let pool = sqlx::PgPool::connect(&bouncer.url(&database))
        .await
        .unwrap();
    let pool = SqlPool::from(pool).without_prepared_statements();
    let store = SqlStore::new(pool).await.unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let log = store.ended_log().await.unwrap();
    let log = log.with_on_error({
        let told = Arc::clone(&told);
        move |error| {
            println!("{error}");
            told.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut reader = Reader::new(log);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let by_bouncer = end(&store).await;
        let by_hand = end(&direct).await;
        let poll = reader.log.poll();
        let _ = tokio::time::timeout(poll, reader.log.news()).await;
        let mut read = reader.read().await;
        let mut ended = [by_bouncer, by_hand];
        read.sort();
        ended.sort();
        assert_eq!(read, ended);
    }
    assert_eq!(told.load(Ordering::SeqCst), 1);
}
