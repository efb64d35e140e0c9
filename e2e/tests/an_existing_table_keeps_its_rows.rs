//! A table that has to keep its rows has them marked, and says which of them are live.

use sqlx::AssertSqlSafe;
use tower_logout::store::{SessionId, SubjectStore};
use tower_logout::{BoxError, Revocation, Token, TokenStore};
use tower_logout_sqlx::{
    Expiry, Live, Mark, TableStore, TableStoreBuilder, TokenDigest, WithSubjects,
};

use e2e::on_each_database;
use e2e::own_table::{Database, run};

on_each_database! {
    each_mark_ends_a_session_once,
    a_token_that_was_used_leads_to_its_session_and_keeps_none,
    a_token_that_the_application_marks_as_it_replaces_it_leads_to_its_session,
    a_mark_that_the_column_cannot_hold_is_refused,
}

fn table() -> TableStoreBuilder {
    TableStore::builder("tokens", "token", TokenDigest::clear()).session_column("family")
}

async fn connect(
    table: TableStoreBuilder,
    database: &Database,
) -> Result<TableStore<WithSubjects>, BoxError> {
    table
        .subject_column("owner")
        .connect(database.sql.clone())
        .await
}

fn session(id: &str) -> Revocation {
    Revocation::from_iter([SessionId::new(id)])
}

async fn revoke(store: &TableStore<WithSubjects>, token: &str) -> Revocation {
    store.revoke(&Token::new(token)).await.unwrap()
}

async fn tokens(database: &Database, which: &str) -> Vec<String> {
    let select = format!("SELECT token FROM tokens WHERE {which} ORDER BY token");
    let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(select))
        .fetch_all(&database.pool)
        .await
        .unwrap();
    rows.into_iter().map(|(token,)| token).collect()
}

/// The columns of a mark, what is in a row that is not marked, and the condition of one that is.
fn marks(database: &Database) -> Vec<(&'static str, &'static str, Mark, &'static str)> {
    let time = match database.kind {
        "sqlite" => "TEXT",
        "postgres" => "TIMESTAMPTZ",
        _ => "DATETIME",
    };
    let boolean = "BOOLEAN";
    let status = match database.kind {
        "postgres" => "status",
        "sqlite" => "VARCHAR(16)",
        _ => "ENUM('active', 'revoked')",
    };
    vec![
        (time, "NULL", Mark::Now, "ended IS NOT NULL"),
        (
            "BIGINT",
            "NULL",
            Mark::UnixSeconds,
            "ended BETWEEN 1700000000 AND 9000000000",
        ),
        (
            "BIGINT",
            "0",
            Mark::UnixMillis,
            "ended BETWEEN 1700000000000 AND 9000000000000",
        ),
        (boolean, "FALSE", Mark::True, "ended"),
        (
            status,
            "'active'",
            Mark::Text("revoked".into()),
            "ended = 'revoked'",
        ),
        ("INT", "1", Mark::Text("0".into()), "ended = 0"),
    ]
}

async fn each_mark_ends_a_session_once(database: Database) {
    if database.kind == "postgres" {
        database
            .run("CREATE TYPE status AS ENUM ('active', 'revoked')")
            .await;
    }
    for (column, open, mark, is_marked) in marks(&database) {
        run(&database.pool, "DROP TABLE IF EXISTS tokens")
            .await
            .unwrap();
        database
            .run(&format!(
                "CREATE TABLE tokens (token VARCHAR(64), family INT, owner VARCHAR(64), ended {column})"
            ))
            .await;
        for (token, family) in [
            ("a1", "1"),
            ("a2", "1"),
            ("b", "2"),
            ("c", "3"),
            ("alone", "NULL"),
        ] {
            let insert =
                format!("INSERT INTO tokens VALUES ('{token}', {family}, 'alice', {open})");
            database.run(&insert).await;
        }
        let table = table().mark_ended("ended", mark.clone());
        let store = connect(table, &database).await.unwrap();
        assert_eq!(revoke(&store, "a1").await, session("1"), "{mark:?}");
        assert_eq!(tokens(&database, is_marked).await, ["a1", "a2"], "{mark:?}");
        for token in ["a1", "a2"] {
            assert_eq!(
                revoke(&store, token).await,
                Revocation::NotFound,
                "{mark:?}"
            );
            assert_eq!(store.subject(&Token::new(token)).await.unwrap(), None);
        }
        assert_eq!(revoke(&store, "alone").await, Revocation::Revoked);
        assert_eq!(revoke(&store, "alone").await, Revocation::NotFound);
        // One that is marked keeps nothing.
        let keep = ["a1", "c"].map(Token::new);
        let others = store.revoke_subject("alice", &keep).await.unwrap();
        assert_eq!(others, session("2"), "{mark:?}");
        let all = store.revoke_subject("alice", &[]).await.unwrap();
        assert_eq!(all, session("3"), "{mark:?}");
        assert_eq!(tokens(&database, is_marked).await.len(), 5);
    }
}

async fn a_token_that_was_used_leads_to_its_session_and_keeps_none(database: Database) {
    let time = if database.kind == "postgres" {
        "TIMESTAMP"
    } else {
        "DATETIME"
    };
    database
        .run(&format!(
            "CREATE TABLE tokens (token VARCHAR(64), family INT, owner VARCHAR(64), \
             used_at {time}, status VARCHAR(16), expires_at {time}, ended_at {time})"
        ))
        .await;
    let fill = "INSERT INTO tokens VALUES \
         ('used', 1, 'alice', '2026-01-02 03:04:05', 'active', NULL, NULL), \
         ('live', 1, 'alice', NULL, 'active', '2999-01-02 03:04:05', NULL), \
         ('phone', 2, 'alice', NULL, 'active', NULL, NULL), \
         ('expired', 3, 'alice', NULL, 'active', '2001-01-02 03:04:05', NULL), \
         ('locked', 4, 'alice', NULL, 'locked', NULL, NULL)";
    database.run(fill).await;
    let table = table()
        .live_while("used_at", Live::Null)
        .live_while("status", Live::Text("active".into()))
        .live_until("expires_at", Expiry::Time);
    let deleting = connect(table.clone(), &database).await.unwrap();
    let marking = table.mark_ended("ended_at", Mark::Now);
    let marking = connect(marking, &database).await.unwrap();
    for (token, of) in [
        ("used", Some("alice")),
        ("live", Some("alice")),
        ("expired", None),
        ("locked", None),
    ] {
        let subject = marking.subject(&Token::new(token)).await.unwrap();
        assert_eq!(subject.as_deref(), of, "{token}");
    }
    // What is not live is ended, and not named.
    let keep = [
        Token::new("used"),
        Token::new("phone"),
        Token::new("expired"),
    ];
    let others = marking.revoke_subject("alice", &keep).await.unwrap();
    assert_eq!(others, session("1"));
    assert_eq!(tokens(&database, "ended_at IS NULL").await, ["phone"]);

    for store in [marking, deleting] {
        database.run("DELETE FROM tokens").await;
        database.run(fill).await;
        assert_eq!(revoke(&store, "expired").await, Revocation::NotFound);
        assert_eq!(revoke(&store, "used").await, session("1"));
        assert_eq!(revoke(&store, "live").await, Revocation::NotFound);
        let left = tokens(&database, "ended_at IS NULL").await;
        assert_eq!(left, ["locked", "phone"]);
    }
}

async fn a_token_that_the_application_marks_as_it_replaces_it_leads_to_its_session(
    database: Database,
) {
    database
        .run("CREATE TABLE tokens (token VARCHAR(64), family INT, owner VARCHAR(64), revoked BOOLEAN)")
        .await;
    database
        .run(
            "INSERT INTO tokens VALUES ('old', 1, 'alice', TRUE), ('live', 1, 'alice', FALSE), \
             ('gone', 2, 'alice', TRUE), ('phone', 3, 'alice', FALSE)",
        )
        .await;
    let table = table().mark_ended("revoked", Mark::True);
    let store = connect(table, &database).await.unwrap();
    assert_eq!(revoke(&store, "gone").await, Revocation::NotFound);
    let subject = store.subject(&Token::new("old")).await.unwrap();
    assert_eq!(subject.as_deref(), Some("alice"));
    let old = [Token::new("old")];
    let others = store.revoke_subject("alice", &old).await.unwrap();
    let both = ["1", "3"].map(SessionId::new);
    assert_eq!(others, Revocation::from_iter(both));
    assert_eq!(revoke(&store, "old").await, Revocation::NotFound);

    database
        .run("UPDATE tokens SET revoked = FALSE WHERE token = 'live'")
        .await;
    assert_eq!(revoke(&store, "old").await, session("1"));
    assert_eq!(tokens(&database, "revoked").await.len(), 4);
}

async fn a_mark_that_the_column_cannot_hold_is_refused(database: Database) {
    database
        .run("CREATE TABLE tokens (token VARCHAR(64), family INT, owner VARCHAR(64), ended INT)")
        .await;
    let missing = table().mark_ended("revoked_at", Mark::Now);
    let missing = connect(missing, &database).await.unwrap_err();
    assert!(
        missing.to_string().contains("no column \"revoked_at\""),
        "{missing}"
    );
    if database.kind == "postgres" {
        let time = table().mark_ended("ended", Mark::Now);
        assert!(connect(time, &database).await.is_err());
    }
}
