//! A logout takes as long in an application's full table as in an empty one, whatever the types of its
//! columns: each statement uses an index.
//!
//! What is explained is what the store has sent, as the server has it. SQLite keeps no such record; its
//! statements are explained beside them.

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Row};
use tower_logout::store::SubjectStore;
use tower_logout::{BoxError, Token, TokenStore};
use tower_logout_sqlx::{SqlPool, TableStore, TokenDigest, WithSubjects};

use e2e::database::{Kind, Server, shared};

async fn connect(pool: impl Into<SqlPool>, format: TokenDigest) -> TableStore<WithSubjects> {
    let table = TableStore::builder("tokens", "token", format).session_column("family");
    table.subject_column("owner").connect(pool).await.unwrap()
}

/// A logout of each scope. The tokens are those of rows in sessions of their own.
async fn log_out(
    store: &TableStore<WithSubjects>,
    [one, other]: [&str; 2],
) -> Result<(), BoxError> {
    let [one, other] = [one, other].map(Token::new);
    store.revoke(&one).await?;
    let subject = store.subject(&other).await?.unwrap();
    store
        .revoke_subject(&subject, std::slice::from_ref(&other))
        .await?;
    Ok(())
}

mod postgres {
    use e2e::prepared::postgres::{plan, prepared};

    use super::*;

    const STATEMENTS: &str = "statement LIKE '%\"tokens\"%' \
                              AND cardinality(parameter_types) > 0 \
                              AND statement NOT LIKE '%LIMIT 1'";

    /// The type of the token and how it is made of a number, and the same of the ids.
    const TYPES: [(&str, &str, &str, &str); 8] = [
        ("text", "'t' || i", "uuid", "md5({i}::text)::uuid"),
        ("varchar(20)", "'t' || i", "bigint", "{i}"),
        ("char(64)", "'t' || i", "char(36)", "md5({i}::text)"),
        ("citext", "'t' || i", "citext", "md5({i}::text)"),
        ("plain", "'t' || i", "plain", "md5({i}::text)"),
        (
            "bytea",
            "sha256(('t' || i)::bytea)",
            "bytea",
            "sha256({i}::text::bytea)",
        ),
        ("text", "'t' || i", "timestamptz", "to_timestamp({i})"),
        ("text", "'t' || i", "inet", "'10.0.0.0'::inet + {i}"),
    ];

    #[tokio::test]
    async fn in_postgres() {
        for (token, of_token, id, of_id) in TYPES {
            let Some((_, url)) = shared(Kind::Postgres).await else {
                return;
            };
            let pool = PgPoolOptions::new().max_connections(1).connect(&url);
            let pool = pool.await.unwrap();
            let fill = format!(
                "CREATE EXTENSION citext; CREATE DOMAIN plain AS char(64) CHECK (VALUE <> '');
                 CREATE TABLE tokens (id int PRIMARY KEY, token {token} NOT NULL, family {id},
                     owner {id}, parent_id int REFERENCES tokens (id));
                 INSERT INTO tokens SELECT i, {of_token}, {}, {}, nullif(i - 1, 0)
                     FROM generate_series(1, 10000) AS i;
                 CREATE INDEX by_token ON tokens (token); CREATE INDEX by_family ON tokens (family);
                 CREATE INDEX by_owner ON tokens (owner); CREATE INDEX by_parent ON tokens (parent_id);
                 ANALYZE; SET plan_cache_mode = force_generic_plan;",
                of_id.replace("{i}", "(i / 2)"),
                of_id.replace("{i}", "(i / 4)"),
            );
            sqlx::raw_sql(AssertSqlSafe(fill))
                .execute(&pool)
                .await
                .unwrap();
            let format = match token {
                "bytea" => TokenDigest::sha256(),
                _ => TokenDigest::clear(),
            };
            let store = connect(pool.clone(), format).await;
            log_out(&store, ["t20", "t41"]).await.unwrap();

            let statements = prepared(&pool, STATEMENTS).await;
            // By the token, of the subject, and to lock, look, unlink and end twice.
            assert!(statements.len() >= 11, "{statements:#?}");
            for (name, statement, parameters) in &statements {
                let plan = plan(&pool, name, *parameters).await;
                assert!(
                    plan.contains("Index") && !plan.contains("Seq Scan"),
                    "{token} and {id}: {statement}\n{plan}"
                );
            }

            // Else nothing would be proven.
            let drop = "DROP INDEX by_token, by_family, by_owner";
            sqlx::raw_sql(drop).execute(&pool).await.unwrap();
            for (name, _, parameters) in &statements {
                let plan = plan(&pool, name, *parameters).await;
                assert!(plan.contains("Seq Scan"), "{plan}");
            }
        }
    }
}

mod mariadb {
    use e2e::prepared::mariadb::prepared;

    use super::*;

    const STATEMENTS: &str = "argument LIKE '%`tokens`%'";

    /// The tables that are read from their beginning to their end, with this value for each parameter.
    async fn scanned(pool: &MySqlPool, statement: &str, value: &str) -> Vec<String> {
        let explain = format!("EXPLAIN {}", statement.replace('?', value));
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(pool).await;
        let rows = rows.unwrap();
        assert!(!rows.is_empty());
        let scanned = rows.iter().filter(|row| {
            let (kind, key): (Option<String>, Option<String>) = (row.get("type"), row.get("key"));
            let is_scan = kind.is_none_or(|kind| kind == "ALL" || kind == "index");
            is_scan || key.is_none()
        });
        let table = |row: &sqlx::mysql::MySqlRow| row.get::<Option<String>, _>("table");
        // What a statement has made of rows that it has found is read as a whole.
        let tables = scanned.map(|row| table(row).unwrap_or_default());
        tables.filter(|table| !table.starts_with('<')).collect()
    }

    /// The type of the token and of the ids, and how both are made of a number: the same text, so that one
    /// value will do for all parameters.
    const TYPES: [(&str, &str, &str, &str); 10] = [
        ("CHAR(64)", "VARCHAR(64)", "MD5({i})", "MD5({i})"),
        (
            "VARCHAR(64) CHARACTER SET latin1",
            "UUID",
            "CONCAT('00000000-0000-4000-8000-', LPAD({i}, 12, '0'))",
            "CONCAT('00000000-0000-4000-8000-', LPAD({i}, 12, '0'))",
        ),
        (
            "VARCHAR(64) CHARACTER SET utf16",
            "VARCHAR(64) CHARACTER SET utf16",
            "MD5({i})",
            "MD5({i})",
        ),
        (
            "VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_bin",
            "CHAR(32) CHARACTER SET ucs2",
            "MD5({i})",
            "MD5({i})",
        ),
        ("VARCHAR(64) COLLATE utf8mb4_bin", "BIGINT", "{i}", "{i}"),
        (
            "VARCHAR(64) COLLATE utf8mb4_uca1400_ai_ci",
            "BINARY(16)",
            "UPPER(MD5({i}))",
            "UNHEX(MD5({i}))",
        ),
        ("VARBINARY(64)", "VARBINARY(64)", "MD5({i})", "MD5({i})"),
        ("VARCHAR(64)", "BIT(64)", "{i}", "{i}"),
        ("VARCHAR(64)", "DECIMAL(10, 2)", "CONCAT({i}, '.00')", "{i}"),
        (
            "VARCHAR(64)",
            "INET6",
            "CONCAT('2001:db8::', LOWER(HEX({i})))",
            "CONCAT('2001:db8::', HEX({i}))",
        ),
    ];

    #[tokio::test]
    async fn in_mariadb() {
        // Of its own, since all of a server's statements are logged.
        let Some(server) = Server::start(Kind::MariaDb).await else {
            return;
        };
        for (token, id, of_token, of_id) in TYPES {
            let url = server.url(&server.new_database().await);
            let pool = MySqlPoolOptions::new().max_connections(1).connect(&url);
            let pool = pool.await.unwrap();
            let of = |sql: &str, number: &str| sql.replace("{i}", number);
            let fill = format!(
                "CREATE TABLE tokens (id INT PRIMARY KEY, token {token} NOT NULL, family {id}, owner {id}, \
                     parent_id INT, KEY by_token (token), KEY by_family (family), KEY by_owner (owner), \
                     FOREIGN KEY (parent_id) REFERENCES tokens (id)) DEFAULT CHARACTER SET utf8mb4;
                 SET foreign_key_checks = 0;
                 INSERT INTO tokens SELECT seq, {}, {}, {}, NULLIF(seq - 1, 0) FROM seq_1_to_5000;
                 SET foreign_key_checks = 1;
                 ANALYZE TABLE tokens;",
                of(of_token, "seq"),
                of(of_id, "(seq DIV 2)"),
                of(of_id, "(seq DIV 4)"),
            );
            sqlx::raw_sql(AssertSqlSafe(fill))
                .execute(&pool)
                .await
                .unwrap();
            let store = connect(pool.clone(), TokenDigest::clear()).await;
            let log = "TRUNCATE mysql.general_log; SET GLOBAL log_output = 'TABLE'; \
                       SET GLOBAL general_log = ON";
            sqlx::raw_sql(log).execute(&pool).await.unwrap();
            let token_of = |number: &str| {
                let select = format!("SELECT CAST({} AS CHAR)", of(of_token, number));
                sqlx::query_scalar::<_, String>(AssertSqlSafe(select)).fetch_one(&pool)
            };
            let (one, other) = (token_of("20").await.unwrap(), token_of("41").await.unwrap());
            log_out(&store, [&one, &other]).await.unwrap();

            let value = format!("'{}'", token_of("400").await.unwrap());
            let statements = prepared(&pool, STATEMENTS).await;
            assert!(statements.len() >= 11, "{statements:#?}");
            for statement in &statements {
                let scanned = scanned(&pool, statement, &value).await;
                assert!(
                    scanned.is_empty(),
                    "{token} and {id}: {statement}\n{scanned:?}"
                );
            }

            // Else nothing would be proven.
            let drop =
                "ALTER TABLE tokens DROP KEY by_token, DROP KEY by_family, DROP KEY by_owner";
            sqlx::raw_sql(drop).execute(&pool).await.unwrap();
            for statement in &statements {
                assert!(
                    !scanned(&pool, statement, &value).await.is_empty(),
                    "{statement}"
                );
            }
        }
    }
}
