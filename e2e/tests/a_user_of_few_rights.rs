//! A server needs rights on rows alone, once somebody else has made the tables.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor};
use tower_logout::BoxError;
use tower_logout::ended::EndedLog;
use tower_logout::store::SessionPolicy;
use tower_logout::testing::Conformance;
use tower_logout_sqlx::{SqlPool, SqlStore, SqlStoreBuilder};

use e2e::database::{Kind, PATIENCE, Server, shared};

/// Runs statements as the owner of a database.
async fn run_as_owner(kind: Kind, url: &str, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    if kind == Kind::Postgres {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        connection.execute(sql).await.unwrap();
    } else {
        let mut connection = sqlx::MySqlConnection::connect(url).await.unwrap();
        connection.execute(sql).await.unwrap();
    }
}

async fn pool(kind: Kind, url: &str) -> SqlPool {
    if kind == Kind::Postgres {
        sqlx::PgPool::connect(url).await.unwrap().into()
    } else {
        sqlx::MySqlPool::connect(url).await.unwrap().into()
    }
}

async fn serves(store: SqlStore) {
    let expiring = store
        .clone()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    let suite = Conformance::new(store.clone()).with_subjects();
    suite.with_expiring(expiring).run().await.unwrap();
    let log = store.ended_log().await.unwrap();
    assert!(!log.read(None).await.unwrap().ended.is_empty());
}

/// The tables made by their owner, and a URL by which somebody else may work on their rows.
async fn a_user_may_work_on_rows(
    kind: Kind,
    server: &Server,
    owner: &str,
    builder: SqlStoreBuilder,
    [sessions, tokens, ended, migrations]: [&str; 4],
) {
    let builder = builder.statement_timeout(PATIENCE);
    let database = owner.rsplit('/').next().unwrap();
    let user = format!("app_of_{database}");
    let (as_user, grantee) = if kind == Kind::Postgres {
        let role = format!("CREATE ROLE {user} LOGIN");
        run_as_owner(kind, owner, &role).await;
        (owner.replace("postgres@", &format!("{user}@")), user)
    } else {
        let role = format!("CREATE USER {user}@'127.0.0.1'");
        run_as_owner(kind, owner, &role).await;
        let usage = format!("GRANT USAGE ON {database}.* TO {user}@'127.0.0.1'");
        run_as_owner(kind, owner, &usage).await;
        // Without a right on any table of it MariaDB does not let the user into the database.
        let outside = server.url("").replace("root@", &format!("{user}@"));
        (outside, format!("{user}@'127.0.0.1'"))
    };

    // Nobody has made the tables.
    let refused = match builder.clone().connect(&as_user).await {
        Ok(_) => panic!("it may not create tables"),
        Err(error) => error.to_string(),
    };
    if kind == Kind::Postgres {
        assert!(refused.contains("SqlStoreBuilder::migrate"), "{refused}");
    }

    builder
        .clone()
        .migrate(pool(kind, owner).await)
        .await
        .unwrap();
    let mut grants = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON {sessions} TO {grantee}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {tokens} TO {grantee}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {ended} TO {grantee}; \
         GRANT SELECT ON {migrations} TO {grantee}"
    );
    if kind == Kind::MariaDb {
        grants += &format!("; GRANT SELECT, UPDATE ON {ended}_counter TO {grantee}");
    }
    run_as_owner(kind, owner, &grants).await;
    // It may be let into the database by the tables that are there.
    let as_user = if kind == Kind::Postgres || sessions.contains('.') {
        as_user
    } else {
        format!("{as_user}{database}")
    };
    serves(builder.clone().connect(&as_user).await.unwrap()).await;
    serves(builder.build(pool(kind, &as_user).await).await.unwrap()).await;
}

const TABLES: [&str; 4] = [
    "tower_logout_sessions",
    "tower_logout_tokens",
    "tower_logout_ended",
    "tower_logout_migrations",
];

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let Some((server, owner)) = shared(Kind::Postgres).await else {
        return;
    };
    a_user_may_work_on_rows(Kind::Postgres, server, &owner, SqlStore::builder(), TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_in_a_schema_under_another_prefix() {
    let Some((server, owner)) = shared(Kind::Postgres).await else {
        return;
    };
    run_as_owner(Kind::Postgres, &owner, "CREATE SCHEMA \"my auth\"").await;
    let builder = SqlStore::builder().schema("my auth").table_prefix("out_");
    let usage = "GRANT USAGE ON SCHEMA \"my auth\" TO PUBLIC";
    run_as_owner(Kind::Postgres, &owner, usage).await;
    let tables = [
        "\"my auth\".out_sessions",
        "\"my auth\".out_tokens",
        "\"my auth\".out_ended",
        "\"my auth\".out_migrations",
    ];
    a_user_may_work_on_rows(Kind::Postgres, server, &owner, builder, tables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb() {
    let Some((server, owner)) = shared(Kind::MariaDb).await else {
        return;
    };
    a_user_may_work_on_rows(Kind::MariaDb, server, &owner, SqlStore::builder(), TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb_in_another_database_under_another_prefix() {
    let Some((server, owner)) = shared(Kind::MariaDb).await else {
        return;
    };
    let other = server.new_database().await;
    let builder = SqlStore::builder().schema(&other).table_prefix("out_");
    let tables = ["sessions", "tokens", "ended", "migrations"];
    let tables = tables.map(|table| format!("{other}.out_{table}"));
    let tables = tables.each_ref().map(String::as_str);
    a_user_may_work_on_rows(Kind::MariaDb, server, &owner, builder, tables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sqlite_file_that_is_up_to_date_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions").display());
    let builder = SqlStore::builder()
        .table_prefix("out_")
        .statement_timeout(PATIENCE);
    serves(builder.clone().connect(&url).await.unwrap()).await;

    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let version = async || -> i64 {
        let version = sqlx::query_scalar("PRAGMA schema_version");
        version.fetch_one(&pool).await.unwrap()
    };
    let before = version().await;
    assert!(before > 0);
    builder.clone().migrate(pool.clone()).await.unwrap();
    serves(builder.build(pool.clone()).await.unwrap()).await;
    assert_eq!(version().await, before);
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(
        tables,
        ["out_ended", "out_migrations", "out_sessions", "out_tokens"]
    );
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let connect = async |builder: SqlStoreBuilder| -> BoxError {
        builder.connect("sqlite::memory:").await.unwrap_err()
    };
    let prefix = connect(SqlStore::builder().table_prefix("a; DROP TABLE b")).await;
    assert!(prefix.to_string().contains("letters"), "{prefix}");
    let schema = connect(SqlStore::builder().schema("auth")).await;
    assert!(schema.to_string().contains("no schemas"), "{schema}");
}
