//! The statements that `docs/stores.md` and `TableStore::statements` have, run by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Executor, Row};
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::{TableStore, TokenDigest};

use e2e::database::{Kind, shared};
use e2e::on_each_database;
use e2e::own_table::Database;
use e2e::prepared::postgres::prepared;

on_each_database! {
    the_documented_statements_wait_for_a_refresh_in_flight,
    the_documented_statements_win_each_race,
    the_returned_statements_end_the_session,
}

const TABLE: &str =
    "CREATE TABLE refresh_tokens (token_hash VARCHAR(64) NOT NULL, family_id VARCHAR(64))";
const ROUNDS: usize = 8;

/// The statements of a database in the documentation.
fn documented(kind: &str) -> Vec<String> {
    let heading = match kind {
        "postgres" => "In Postgres:",
        "mariadb" => "In MySQL and MariaDB:",
        _ => "In SQLite:",
    };
    let page = include_str!("../../docs/stores.md");
    let (_, from) = page.split_once(&format!("{heading}\n\n```sql\n")).unwrap();
    let (block, _) = from.split_once("```").unwrap();
    let lines = block.lines().filter(|line| !line.starts_with("--"));
    lines
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

async fn texts(on: &mut AnyConnection, sql: &str, value: &str) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(value)
        .fetch_all(on)
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Of two transactions that wait for each other, the database ends one. The other goes on.
fn done<T>(attempt: Result<T, sqlx::Error>) -> Option<T> {
    match attempt {
        Err(error) if error.to_string().to_lowercase().contains("deadlock") => None,
        done => Some(done.unwrap()),
    }
}

/// A logout as the documentation says. Whether the session was found.
async fn log_out(pool: &AnyPool, kind: &str, hash: &str) -> bool {
    loop {
        if let Some(found) = done(log_out_once(pool, kind, hash).await) {
            return found;
        }
    }
}

async fn log_out_once(pool: &AnyPool, kind: &str, hash: &str) -> Result<bool, sqlx::Error> {
    let statements = documented(kind);
    let begun = statements
        .iter()
        .position(|sql| sql.starts_with("SELECT"))
        .unwrap();
    let (begin, statements) = statements.split_at(begun);
    let [find, pass @ .., look, commit] = statements else {
        panic!("{statements:?}")
    };
    let mut connection = pool.acquire().await?;
    for sql in begin {
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(&**sql)))
            .await?;
    }
    let family = texts(&mut connection, find, hash).await?;
    if let Some(family) = family.first() {
        for round in 0.. {
            for sql in pass {
                texts(&mut connection, sql, family).await?;
            }
            if texts(&mut connection, look, family).await?.is_empty() {
                break;
            }
            assert!(round < ROUNDS && kind != "sqlite");
        }
    }
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(&**commit)))
        .await?;
    Ok(!family.is_empty())
}

async fn count(database: &Database) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM refresh_tokens");
    count.fetch_one(&database.pool).await.unwrap()
}

/// Replaces a token.
async fn refresh(pool: &AnyPool, wait: Duration, old: &str, new: &str) {
    while done(refresh_once(pool, wait, old, new).await).is_none() {}
}

async fn refresh_once(
    pool: &AnyPool,
    wait: Duration,
    old: &str,
    new: &str,
) -> Result<(), sqlx::Error> {
    let delete = format!("DELETE FROM refresh_tokens WHERE token_hash = '{old}'");
    let insert = format!("INSERT INTO refresh_tokens VALUES ('{new}', 'a')");
    let mut transaction = pool.begin().await?;
    let deleted = transaction.execute(AssertSqlSafe(delete)).await?;
    if deleted.rows_affected() == 1 {
        transaction.execute(AssertSqlSafe(insert)).await?;
    }
    tokio::time::sleep(wait).await;
    transaction.commit().await
}

async fn prepare(database: &Database) {
    database.run(TABLE).await;
    database
        .run("CREATE INDEX families ON refresh_tokens (family_id)")
        .await;
    database
        .run("CREATE INDEX hashes ON refresh_tokens (token_hash)")
        .await;
}

async fn the_documented_statements_wait_for_a_refresh_in_flight(database: Database) {
    prepare(&database).await;
    database
        .run("INSERT INTO refresh_tokens VALUES ('old', 'a'), ('older', 'a'), ('b', 'b')")
        .await;
    let pool = database.pool.clone();
    let refresh =
        tokio::spawn(
            async move { refresh(&pool, Duration::from_millis(300), "older", "new").await },
        );
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(log_out(&database.pool, database.kind, "old").await);
    refresh.await.unwrap();
    assert_eq!(count(&database).await, 1);
    assert!(!log_out(&database.pool, database.kind, "old").await);
}

async fn the_documented_statements_win_each_race(database: Database) {
    prepare(&database).await;
    for _ in 0..50 {
        database
            .run("INSERT INTO refresh_tokens VALUES ('old', 'a'), ('next', 'a')")
            .await;
        let pool = database.pool.clone();
        let refresh =
            tokio::spawn(async move { refresh(&pool, Duration::ZERO, "next", "new").await });
        assert!(log_out(&database.pool, database.kind, "old").await);
        refresh.await.unwrap();
        assert_eq!(count(&database).await, 0);
    }
}

async fn the_returned_statements_end_the_session(database: Database) {
    prepare(&database).await;
    database
        .run("INSERT INTO refresh_tokens VALUES ('old', 'a'), ('other', 'a'), ('b', 'b')")
        .await;
    let store = TableStore::builder("refresh_tokens", "token_hash", TokenDigest::clear())
        .session_column("family_id")
        .connect(database.sql.clone())
        .await
        .unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    for statement in store.statements() {
        if statement.parameters.is_empty() {
            let sql = sqlx::raw_sql(AssertSqlSafe(statement.sql));
            connection.execute(sql).await.unwrap();
            continue;
        }
        let mut query = sqlx::query(AssertSqlSafe(statement.sql));
        for parameter in &statement.parameters {
            query = query.bind(if parameter == "token" { "old" } else { "a" });
        }
        query.execute(&mut *connection).await.unwrap();
    }
    drop(connection);
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn the_returned_statements_are_those_that_run() {
    let Some((_, url)) = shared(Kind::Postgres).await else {
        return;
    };
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&url).await.unwrap();
    pool.execute(TABLE).await.unwrap();
    let rows = "INSERT INTO refresh_tokens VALUES ('old', 'a'), ('old', NULL)";
    pool.execute(rows).await.unwrap();
    let store = TableStore::builder("refresh_tokens", "token_hash", TokenDigest::clear())
        .session_column("family_id")
        .connect(pool.clone())
        .await
        .unwrap();
    let prepared = async || {
        let prepared = prepared(&pool, "statement LIKE '%refresh_tokens%'").await;
        let texts = prepared.into_iter().map(|(_, sql, _)| sql);
        texts.collect::<BTreeSet<_>>()
    };
    let before = prepared().await;
    store.revoke(&Token::new("old")).await.unwrap();
    let run: Vec<_> = prepared().await.difference(&before).cloned().collect();
    let statements = store.statements().into_iter();
    let statements = statements.filter(|statement| !statement.parameters.is_empty());
    let returned: BTreeSet<_> = statements.map(|statement| statement.sql).collect();
    assert_eq!(run, Vec::from_iter(returned));
}
