//! A database that isolates transactions more strictly than most by default makes no logout fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection};
use tower_logout::store::{Rotation, SessionStore, SubjectStore};
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server};

const CLIENTS: usize = 8;
const LOGOUTS: usize = 40;

/// Clients of one subject log in, refresh and log out, while the subject logs out everywhere.
async fn churn(store: &SqlStore) {
    let over = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|number| {
        let (store, over, failed) = (store.clone(), Arc::clone(&over), Arc::clone(&failed));
        tokio::spawn(async move {
            let mut token = Token::generate().unwrap();
            let fails = |what: &str, error: tower_logout::BoxError| {
                println!("{what}: {error}");
                failed.fetch_add(1, Ordering::Relaxed);
            };
            while !over.load(Ordering::Relaxed) {
                if let Err(error) = store.open("alice", &token).await {
                    fails("open", error);
                    continue;
                }
                for _ in 0..3 {
                    let next = Token::generate().unwrap();
                    match store.rotate(&token, &next).await {
                        Ok(Rotation::Rotated(_)) => token = next,
                        Ok(_) => break,
                        Err(error) => fails("rotate", error),
                    }
                }
                if number % 2 == 0
                    && let Err(error) = store.revoke(&token).await
                {
                    fails("revoke", error);
                }
                token = Token::generate().unwrap();
            }
        })
    });
    let clients = clients.collect::<Vec<_>>();
    for _ in 0..LOGOUTS {
        if let Err(error) = store.revoke_subject("alice", &[]).await {
            println!("revoke_subject: {error}");
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    over.store(true, Ordering::Relaxed);
    for client in join_all(clients).await {
        client.unwrap();
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0);
}

async fn run(server: &Server, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    if server.kind == Kind::Postgres {
        let mut connection = sqlx::PgConnection::connect(&server.url("postgres"))
            .await
            .unwrap();
        sql.execute(&mut connection).await.unwrap();
    } else {
        let mut connection = sqlx::MySqlConnection::connect(&server.url(""))
            .await
            .unwrap();
        sql.execute(&mut connection).await.unwrap();
    }
}

async fn no_logout_fails(kind: Kind, levels: &[&str], set: impl Fn(&str, &str) -> String) {
    let Some(server) = Server::start(kind).await else {
        return;
    };
    for level in levels {
        println!("{kind:?}: {level}");
        let database = server.new_database().await;
        run(&server, &set(&database, level)).await;
        let store = SqlStore::connect(&server.url(&database)).await.unwrap();
        churn(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let levels = ["read committed", "repeatable read", "serializable"];
    no_logout_fails(Kind::Postgres, &levels, |database, level| {
        format!("ALTER DATABASE {database} SET default_transaction_isolation = '{level}'")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    let levels = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
    no_logout_fails(Kind::MariaDb, &levels, |_, level| {
        format!("SET GLOBAL TRANSACTION ISOLATION LEVEL {level}")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_whose_log_is_one_of_statements() {
    let Some(mut server) = Server::start(Kind::MariaDb).await else {
        return;
    };
    let settings = ["--log-bin", "--server-id=1", "--binlog-format=STATEMENT"];
    server.restart_with(&settings.map(str::to_owned)).await;
    let database = server.new_database().await;
    let store = SqlStore::connect(&server.url(&database)).await.unwrap();
    let (first, second) = (Token::generate().unwrap(), Token::generate().unwrap());
    store.open("alice", &first).await.unwrap();
    let rotated = store.rotate(&first, &second).await.unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
    store.revoke_subject("alice", &[]).await.unwrap();
    assert!(store.find(&second).await.unwrap().is_none());
}
