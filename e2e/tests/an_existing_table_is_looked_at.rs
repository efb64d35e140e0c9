//! No row of an application's table that is still there is taken for one that is gone.

use sqlx::AssertSqlSafe;
use tower_logout::store::{SessionId, SubjectStore};
use tower_logout::{LogoutLayer, Revocation, Scope, Token, TokenStore};
use tower_logout_sqlx::TableError;
use tower_logout_sqlx::{TableStore, TableStoreBuilder, TokenDigest, WithSubjects};

use e2e::on_each_database;
use e2e::own_table::{Database, run};
use support::*;

on_each_database! {
    rows_that_refer_to_each_other_end_together,
    rows_that_each_have_to_refer_to_one_end_together,
    a_refresh_in_flight_of_rows_that_refer_to_each_other_is_waited_for,
    a_digest_in_another_format_is_refused_and_not_shown,
    a_digest_in_another_format_is_no_unknown_token,
    the_sessions_of_several_live_tokens_are_kept,
    tokens_without_a_session_are_kept_one_by_one,
    tokens_beyond_ascii_end,
}

async fn tokens(database: &Database) -> Vec<String> {
    let select = sqlx::query_as("SELECT token FROM tokens ORDER BY token");
    let rows: Vec<(String,)> = select.fetch_all(&database.pool).await.unwrap();
    rows.into_iter().map(|(token,)| token).collect()
}

fn table() -> TableStoreBuilder {
    TableStore::builder("tokens", "token", TokenDigest::clear())
}

/// What a logout of each scope answers, and the tokens that it leaves.
async fn answers(
    store: TableStore<WithSubjects>,
    database: &Database,
    token: &str,
) -> [(u16, usize); 3] {
    let layer = LogoutLayer::builder(store)
        .scoped_path("/auth/logout-all", Scope::All)
        .scoped_path("/auth/logout-others", Scope::Others)
        .build()
        .unwrap();
    let mut answers = [(0, 0); 3];
    let paths = ["/auth/logout-others", "/auth/logout-all", "/auth/logout"];
    for (answer, path) in answers.iter_mut().zip(paths) {
        let mut request = logout_with(&Token::new(token));
        *request.uri_mut() = path.parse().unwrap();
        let status = through(&layer, request).await.status.as_u16();
        *answer = (status, tokens(database).await.len());
    }
    answers
}

async fn rows_that_refer_to_each_other_end_together(database: Database) {
    for action in [
        "",
        "ON DELETE RESTRICT",
        "ON DELETE CASCADE",
        "ON DELETE SET NULL",
    ] {
        run(&database.pool, "DROP TABLE IF EXISTS tokens")
            .await
            .unwrap();
        let create = format!(
            "CREATE TABLE tokens (id INTEGER PRIMARY KEY, token VARCHAR(64) NOT NULL, family INT, \
             owner VARCHAR(64), parent_id INT NULL, \
             FOREIGN KEY (parent_id) REFERENCES tokens (id) {action})"
        );
        database.run(&create).await;
        // A family of twenty, and one row of another session that refers to it.
        for id in 1..=20 {
            let parent = if id == 1 {
                "NULL".to_owned()
            } else {
                (id - 1).to_string()
            };
            let insert =
                format!("INSERT INTO tokens VALUES ({id}, 'token{id:02}', 7, 'alice', {parent})");
            database.run(&insert).await;
        }
        database
            .run("INSERT INTO tokens VALUES (21, 'phone', 8, 'alice', 20)")
            .await;
        database
            .run("INSERT INTO tokens VALUES (22, 'laptop', 9, 'alice', NULL)")
            .await;
        let store = table().session_column("family");
        let store = store.subject_column("owner").connect(database.sql.clone());
        let store = store.await.unwrap();
        let revoked = store.revoke(&Token::new("token07")).await.unwrap();
        assert_eq!(
            revoked,
            Revocation::from_iter([SessionId::new("7")]),
            "{action}"
        );
        if action == "ON DELETE CASCADE" && database.kind != "mariadb" {
            // As the application has it.
            assert_eq!(tokens(&database).await, ["laptop"]);
        } else {
            assert!(tokens(&database).await.contains(&"laptop".to_owned()));
        }
        database.run("UPDATE tokens SET parent_id = NULL").await;
        let all = store.revoke_subject("alice", &[]).await.unwrap();
        assert!(matches!(all, Revocation::Sessions(_)), "{all:?}");
        assert_eq!(tokens(&database).await.len(), 0, "{action}");
    }
}

async fn rows_that_each_have_to_refer_to_one_end_together(database: Database) {
    database
        .run(
            "CREATE TABLE tokens (id INTEGER PRIMARY KEY, token VARCHAR(64) NOT NULL, family INT, \
             parent_id INT NOT NULL, FOREIGN KEY (parent_id) REFERENCES tokens (id) ON DELETE RESTRICT)",
        )
        .await;
    for (id, parent) in [(1, 1), (2, 1), (3, 2), (4, 3), (9, 9)] {
        let family = if id == 9 { 9 } else { 7 };
        let insert = format!("INSERT INTO tokens VALUES ({id}, 'token{id}', {family}, {parent})");
        database.run(&insert).await;
    }
    let table = table().session_column("family");
    let store = table.connect(database.sql.clone()).await;
    if database.kind == "mariadb" {
        // It deletes no row that refers to itself.
        let refused = store.unwrap_err();
        assert!(refused.to_string().contains("mark_ended"), "{refused}");
        return;
    }
    let revoked = store.unwrap().revoke(&Token::new("token2")).await.unwrap();
    assert_eq!(revoked, Revocation::from_iter([SessionId::new("7")]));
    assert_eq!(tokens(&database).await, ["token9"]);
}

async fn a_refresh_in_flight_of_rows_that_refer_to_each_other_is_waited_for(database: Database) {
    database
        .run(
            "CREATE TABLE tokens (id INTEGER PRIMARY KEY, token VARCHAR(64) NOT NULL, family INT, \
             parent_id INT NULL, FOREIGN KEY (parent_id) REFERENCES tokens (id) ON DELETE RESTRICT)",
        )
        .await;
    database
        .run("CREATE INDEX families ON tokens (family)")
        .await;
    database
        .run("INSERT INTO tokens VALUES (1, 'first', 7, NULL), (2, 'second', 7, 1)")
        .await;
    let store = table()
        .session_column("family")
        .connect(database.sql.clone());
    let store = store.await.unwrap();
    let mut refresh = database.pool.begin().await.unwrap();
    run(
        &mut *refresh,
        "INSERT INTO tokens VALUES (3, 'third', 7, 2)",
    )
    .await
    .unwrap();
    let logout = tokio::spawn(async move { store.revoke(&Token::new("second")).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    refresh.commit().await.unwrap();
    let revoked = logout.await.unwrap().unwrap();
    assert_eq!(revoked, Revocation::from_iter([SessionId::new("7")]));
    assert_eq!(tokens(&database).await.len(), 0);
}

async fn a_digest_in_another_format_is_refused_and_not_shown(database: Database) {
    database
        .run("CREATE TABLE tokens (token VARCHAR(80))")
        .await;
    let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    database
        .run(&format!("INSERT INTO tokens VALUES ('{digest}')"))
        .await;
    let with = |format| {
        let table = TableStore::builder("tokens", "token", format);
        table.connect(database.sql.clone())
    };
    let refused = with(TokenDigest::sha256().hex()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the column \"token\" of the table \"tokens\" has to hold 64 lower-case hexadecimal digits, \
         and holds 64 upper-case hexadecimal digits: give the TokenDigest that the application writes"
    );
    assert!(matches!(
        refused.downcast_ref(),
        Some(TableError::OtherDigest { .. })
    ));
    let refused = with(TokenDigest::sha256().base64_url()).await.unwrap_err();
    assert!(refused.to_string().contains("64 upper-case"), "{refused}");
    let store = with(TokenDigest::sha256().upper_hex()).await.unwrap();
    let revoked = store.revoke(&Token::new("abc")).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);

    database.run("INSERT INTO tokens VALUES ('a secret')").await;
    let refused = with(TokenDigest::sha256().hex()).await.unwrap_err();
    assert!(refused.to_string().contains("8 characters"), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("secret"));
}

/// A digest in lower case among others, or none at all yet.
async fn a_digest_in_another_format_is_no_unknown_token(database: Database) {
    database
        .run("CREATE TABLE tokens (token VARCHAR(80))")
        .await;
    let table = TableStore::builder("tokens", "token", TokenDigest::sha256().hex());
    let store = table.clone().connect(database.sql.clone()).await.unwrap();
    let abc = Token::new("abc");
    assert_eq!(store.revoke(&abc).await.unwrap(), Revocation::NotFound);
    let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    database
        .run(&format!("INSERT INTO tokens VALUES ('{digest}')"))
        .await;
    let revoked = store.revoke(&abc).await;
    assert!(matches!(
        revoked.unwrap_err().downcast_ref(),
        Some(TableError::OtherDigest { .. })
    ));
    let other = "a".repeat(64);
    database
        .run(&format!("INSERT INTO tokens VALUES ('{other}')"))
        .await;
    assert!(table.connect(database.sql.clone()).await.is_err());
}

async fn the_sessions_of_several_live_tokens_are_kept(database: Database) {
    database
        .run("CREATE TABLE tokens (token VARCHAR(64), family INT NULL, owner VARCHAR(64))")
        .await;
    database
        .run(
            "INSERT INTO tokens VALUES ('a1', 1, 'alice'), ('a2', 1, 'alice'), ('b1', 2, 'alice'), \
             ('b2', 2, 'alice'), ('c', 3, 'alice'), ('alone', NULL, 'alice'), \
             ('lost', NULL, 'alice'), ('bob', 4, 'bob')",
        )
        .await;
    let store = table().session_column("family");
    let store = store.subject_column("owner").connect(database.sql.clone());
    let store = store.await.unwrap();
    let keep = ["a1", "b2", "alone", "unknown", "bob"].map(Token::new);
    let revoked = store.revoke_subject("alice", &keep).await.unwrap();
    assert_eq!(revoked, Revocation::from_iter([SessionId::new("3")]));
    let kept = ["a1", "a2", "alone", "b1", "b2", "bob"];
    assert_eq!(tokens(&database).await, kept);
    assert_eq!(
        store.revoke_subject("alice", &keep).await.unwrap(),
        Revocation::NotFound
    );
}

async fn tokens_without_a_session_are_kept_one_by_one(database: Database) {
    database
        .run("CREATE TABLE tokens (token VARCHAR(64), owner VARCHAR(64))")
        .await;
    for number in 0..40 {
        database
            .run(&format!(
                "INSERT INTO tokens VALUES ('t{number:02}', 'alice')"
            ))
            .await;
    }
    let store = table()
        .subject_column("owner")
        .connect(database.sql.clone());
    let store = store.await.unwrap();
    let keep = ["t00", "t20", "t39"].map(Token::new);
    let revoked = store.revoke_subject("alice", &keep).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);
    assert_eq!(tokens(&database).await, ["t00", "t20", "t39"]);
}

async fn tokens_beyond_ascii_end(database: Database) {
    let set = if database.kind == "mariadb" {
        "CHARACTER SET utf8mb4"
    } else {
        ""
    };
    let create = format!("CREATE TABLE tokens (token VARCHAR(64) {set})");
    database.run(&create).await;
    database
        .run("INSERT INTO tokens VALUES ('tëst 😀'), ('tëst')")
        .await;
    let store = table().connect(database.sql.clone()).await.unwrap();
    let revoked = store.revoke(&Token::new("tëst 😀")).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);
    assert_eq!(tokens(&database).await, ["tëst"]);
    for odd in ["TËST", "tëst ", "tëst\0", "\0", ""] {
        let revoked = store.revoke(&Token::new(odd)).await.unwrap();
        assert_eq!(revoked, Revocation::NotFound, "{odd:?}");
    }
}

/// Two sessions of alice's, in a table of its own for what the database does with them.
async fn alices(database: &Database) -> TableStoreBuilder {
    database
        .run("CREATE TABLE tokens (token VARCHAR(64) PRIMARY KEY, owner VARCHAR(64), ended INT)")
        .await;
    database
        .run("INSERT INTO tokens VALUES ('one', 'alice', 0), ('two', 'alice', 0)")
        .await;
    table()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_of_postgres_that_keeps_rows_is_no_success() {
    for (when, body) in [
        ("BEFORE DELETE", "RETURN NULL;"),
        (
            "BEFORE DELETE",
            "UPDATE tokens SET ended = 1 WHERE token = OLD.token; RETURN NULL;",
        ),
        (
            "AFTER DELETE",
            "INSERT INTO tokens VALUES (OLD.token, OLD.owner, 1); RETURN NULL;",
        ),
    ] {
        let Some(database) = Database::postgres().await else {
            return;
        };
        let table = alices(&database).await;
        database
            .run(&format!(
                "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$"
            ))
            .await;
        database
            .run(&format!(
                "CREATE TRIGGER keep {when} ON tokens FOR EACH ROW EXECUTE FUNCTION keep()"
            ))
            .await;
        let store = table.subject_column("owner").connect(database.sql.clone());
        let store = store.await.unwrap();
        assert_eq!(
            answers(store, &database, "one").await,
            [(500, 2); 3],
            "{body}"
        );
        let marked = run(&database.pool, "DELETE FROM tokens WHERE ended = 1");
        assert_eq!(marked.await.unwrap(), 0, "not rolled back: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_of_sqlite_that_keeps_rows_is_no_success() {
    for (when, body) in [
        ("BEFORE", "SELECT RAISE(IGNORE);"),
        (
            "BEFORE",
            "UPDATE tokens SET ended = 1 WHERE token = OLD.token; SELECT RAISE(IGNORE);",
        ),
        (
            "AFTER",
            "INSERT INTO tokens VALUES (OLD.token, OLD.owner, 1);",
        ),
    ] {
        let database = Database::sqlite().await.unwrap();
        let table = alices(&database).await;
        database
            .run(&format!(
                "CREATE TRIGGER keep {when} DELETE ON tokens BEGIN {body} END"
            ))
            .await;
        let store = table.subject_column("owner").connect(database.sql.clone());
        let store = store.await.unwrap();
        assert_eq!(
            answers(store, &database, "one").await,
            [(500, 2); 3],
            "{body}"
        );
        let marked = run(&database.pool, "DELETE FROM tokens WHERE ended = 1");
        assert_eq!(marked.await.unwrap(), 0, "not rolled back: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_level_security_is_refused_unless_its_policies_are_said_to_allow_all() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let table = alices(&database).await;
    let role = format!("app_{}", Token::generate().unwrap().expose());
    for sql in [
        &*format!("CREATE ROLE {role} LOGIN"),
        &*format!("GRANT SELECT, INSERT, UPDATE, DELETE ON tokens TO {role}"),
        "ALTER TABLE tokens ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY can_read ON tokens FOR SELECT USING (true)",
    ] {
        database.run(sql).await;
    }
    let (current,): (String,) = sqlx::query_as("SELECT CAST(current_database() AS TEXT)")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let options = database
        .options
        .clone()
        .unwrap()
        .username(&role)
        .database(&current);
    let app = sqlx::PgPool::connect_with(options).await.unwrap();
    let refused = table.clone().connect(app.clone()).await.unwrap_err();
    assert!(matches!(
        refused.downcast_ref(),
        Some(TableError::RowSecurity { table, .. }) if table == "tokens"
    ));
    let trusted = table.policies_allow_all();
    let store = trusted.clone().subject_column("owner").connect(app.clone());
    let store = store.await.unwrap();
    assert_eq!(answers(store, &database, "one").await, [(500, 2); 3]);

    database
        .run("CREATE POLICY can_all ON tokens USING (true)")
        .await;
    let store = trusted.subject_column("owner").connect(app).await.unwrap();
    let ended = [(200, 1), (200, 0), (200, 0)];
    assert_eq!(answers(store, &database, "one").await, ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_equal_to_itself_is_no_success() {
    let Some(database) = Database::mariadb().await else {
        return;
    };
    database
        .run(
            "CREATE TABLE tokens (token VARCHAR(64), family VARCHAR(8) CHARACTER SET cp932, \
             owner VARCHAR(8) CHARACTER SET cp932)",
        )
        .await;
    let connect = || {
        let table = table().session_column("family");
        table.subject_column("owner").connect(database.sql.clone())
    };
    let store = connect().await.unwrap();
    // Of the two codes that stand for this character, text goes back to the other.
    database
        .run("INSERT INTO tokens VALUES ('one', '1', _cp932 X'EEEF'), ('two', '2', _cp932 X'EEEF')")
        .await;
    let [others, all, this] = answers(store, &database, "one").await;
    assert_eq!((others, all, this), ((500, 2), (500, 2), (200, 1)));
    let refused = connect().await.unwrap_err();
    assert!(
        matches!(refused.downcast_ref(), Some(TableError::UnequalColumn { column, .. }) if column == "owner"),
        "{refused}"
    );
    database
        .run("UPDATE tokens SET owner = 'alice', family = _cp932 X'EEEF'")
        .await;
    let refused = connect().await.unwrap_err();
    assert!(matches!(
        refused.downcast_ref(),
        Some(TableError::UnequalColumn { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_postgres_may_hide_policies() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let table = alices(&database).await;
    database
        .run("CREATE VIEW shown AS SELECT * FROM tokens")
        .await;
    let view = TableStore::builder("shown", "token", TokenDigest::clear());
    let refused = view.clone().connect(database.sql.clone()).await;
    assert!(matches!(
        refused.unwrap_err().downcast_ref(),
        Some(TableError::View { table, .. }) if table == "shown"
    ));
    let trusted = view.policies_allow_all().subject_column("owner");
    let store = trusted.connect(database.sql.clone()).await.unwrap();
    assert_eq!(
        store.revoke(&Token::new("one")).await.unwrap(),
        Revocation::Revoked
    );
    assert_eq!(tokens(&database).await, ["two"]);
    table.connect(database.sql.clone()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_triggers_aside_a_table_that_only_deletes_needs_no_right_to_change_it() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let table = alices(&database).await;
    let role = format!("app_{}", Token::generate().unwrap().expose());
    database.run(&format!("CREATE ROLE {role} LOGIN")).await;
    database
        .run(&format!("GRANT SELECT, DELETE ON tokens TO {role}"))
        .await;
    let (current,): (String,) = sqlx::query_as("SELECT CAST(current_database() AS TEXT)")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let options = database
        .options
        .clone()
        .unwrap()
        .username(&role)
        .database(&current);
    let app = sqlx::PgPool::connect_with(options).await.unwrap();
    let store = table.connect(app).await.unwrap();
    let revoked = store.revoke(&Token::new("one")).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);
    let statement = AssertSqlSafe("DELETE FROM tokens WHERE token = 'two'");
    sqlx::query(statement)
        .execute(&database.pool)
        .await
        .unwrap();
}
