//! A table of refresh tokens that an application has already is taken as it is.

use std::sync::Arc;

use sqlx::AssertSqlSafe;
use tower_logout::store::{RetryStore, SessionId, SubjectStore};
use tower_logout::testing::{Application, Conformance};
use tower_logout::{BoxError, LogoutLayer, Revocation, Scope, Token, TokenStore, async_trait};
use tower_logout_sqlx::TableError;
use tower_logout_sqlx::{Live, TableStore, TokenDigest};

use e2e::on_each_database;
use e2e::own_table::{Database, run};
use support::*;

on_each_database! {
    a_table_of_families_keeps_the_promises,
    a_table_that_can_only_delete_loses_exactly_the_presented_token,
    the_sessions_of_a_subject_with_a_number_end,
    a_refresh_in_flight_that_replaces_the_row_is_waited_for,
    a_column_that_can_never_be_equal_is_refused,
    what_the_table_lacks_is_named,
    no_name_is_more_than_a_name,
}

/// What an application with a table of families does. Its tokens are hexadecimal, and may stand in a
/// statement.
struct App(Arc<Database>);

#[async_trait]
impl Application for App {
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
        let token = Token::generate()?;
        let family = Token::generate()?;
        let insert = format!(
            "INSERT INTO tokens (token, family, owner, live) VALUES ('{}', '{}', '{subject}', 1)",
            token.expose(),
            &family.expose()[..32],
        );
        run(&self.0.pool, &insert).await?;
        Ok(token)
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        // What the suite makes up is no token of ours.
        if token.expose().len() != 64 {
            return Ok(false);
        }
        let select = format!(
            "SELECT count(*) FROM tokens WHERE token = '{}' AND live = 1",
            token.expose()
        );
        let (count,): (i64,) = sqlx::query_as(AssertSqlSafe(select))
            .fetch_one(&self.0.pool)
            .await?;
        Ok(count == 1)
    }

    async fn refresh(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        loop {
            match self.refresh_once(token).await {
                // Of two that wait for each other, the database ends one.
                Err(error) if error.to_string().to_lowercase().contains("deadlock") => {}
                done => return done,
            }
        }
    }
}

impl App {
    async fn refresh_once(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        let next = Token::generate()?;
        let (token, new) = (token.expose(), next.expose());
        let mut transaction = self.0.pool.begin().await?;
        let retire = format!("UPDATE tokens SET live = 0 WHERE token = '{token}' AND live = 1");
        if run(&mut *transaction, &retire).await? == 0 {
            let select = format!("SELECT family FROM tokens WHERE token = '{token}'");
            let family: Option<(String,)> = sqlx::query_as(AssertSqlSafe(select))
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some((family,)) = family {
                let end = format!("DELETE FROM tokens WHERE family = '{family}'");
                while run(&mut *transaction, &end).await? > 0 {}
            }
            transaction.commit().await?;
            return Ok(None);
        }
        let insert = format!(
            "INSERT INTO tokens (token, family, owner, live) \
             SELECT '{new}', family, owner, 1 FROM tokens WHERE token = '{token}'"
        );
        run(&mut *transaction, &insert).await?;
        transaction.commit().await?;
        Ok(Some(next))
    }
}

async fn a_table_of_families_keeps_the_promises(database: Database) {
    let binary = if database.quote == '`' {
        "VARBINARY(255)"
    } else {
        "TEXT"
    };
    database
        .run(&format!(
            "CREATE TABLE tokens (token CHAR(64) PRIMARY KEY, family VARCHAR(32) NOT NULL, \
             owner {binary} NOT NULL, live INT NOT NULL)"
        ))
        .await;
    database
        .run("CREATE INDEX families ON tokens (family)")
        .await;
    let database = Arc::new(database);
    let store = TableStore::builder("tokens", "token", TokenDigest::clear())
        .session_column("family")
        .live_while("live", Live::Text("1".into()))
        .subject_column("owner")
        .connect(database.sql.clone())
        .await
        .unwrap();
    Conformance::for_application(RetryStore::new(store).with_max_retries(10), App(database))
        .with_subjects()
        .run()
        .await
        .unwrap();
}

/// SHA-256 of "one", "two" and "three", as `sha256sum` has them.
const DIGESTS: [(&str, &str); 3] = [
    (
        "one",
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    ),
    (
        "two",
        "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
    ),
    (
        "three",
        "8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f",
    ),
];

async fn count(database: &Database, table: &str) -> i64 {
    let select = format!("SELECT count(*) FROM {table}").replace('"', &database.quote.to_string());
    let (count,): (i64,) = sqlx::query_as(AssertSqlSafe(select))
        .fetch_one(&database.pool)
        .await
        .unwrap();
    count
}

async fn a_table_that_can_only_delete_loses_exactly_the_presented_token(database: Database) {
    database
        .run("CREATE TABLE tokens (hash CHAR(64) NOT NULL)")
        .await;
    for (_, digest) in DIGESTS {
        database
            .run(&format!("INSERT INTO tokens (hash) VALUES ('{digest}')"))
            .await;
    }
    let store = TableStore::builder("tokens", "hash", TokenDigest::sha256().hex())
        .connect(database.sql.clone())
        .await
        .unwrap();
    let layer = LogoutLayer::new(store.clone());
    through(&layer, logout_with(&Token::new("two")))
        .await
        .assert_is_logged_out();
    assert_eq!(count(&database, "tokens").await, 2);
    assert_eq!(
        store.revoke(&Token::new("two")).await.unwrap(),
        Revocation::NotFound
    );
    assert_eq!(
        store.revoke(&Token::new("one")).await.unwrap(),
        Revocation::Revoked
    );
    // The digest in place of the token is no token.
    let digest = Token::new(DIGESTS[2].1);
    assert_eq!(store.revoke(&digest).await.unwrap(), Revocation::NotFound);
    assert_eq!(count(&database, "tokens").await, 1);
}

async fn the_sessions_of_a_subject_with_a_number_end(database: Database) {
    database
        .run("CREATE TABLE tokens (hash CHAR(64) NOT NULL, user_id BIGINT)")
        .await;
    for (index, (_, digest)) in DIGESTS.iter().enumerate() {
        let user = if index == 2 { "NULL" } else { "7" };
        database
            .run(&format!(
                "INSERT INTO tokens (hash, user_id) VALUES ('{digest}', {user})"
            ))
            .await;
    }
    let store = TableStore::builder("tokens", "hash", TokenDigest::sha256().hex())
        .subject_column("user_id")
        .connect(database.sql.clone())
        .await
        .unwrap();
    assert_eq!(
        store.subject(&Token::new("one")).await.unwrap().as_deref(),
        Some("7")
    );
    let layer = LogoutLayer::builder(store)
        .scoped_path("/auth/logout-all", Scope::All)
        .build()
        .unwrap();
    let all = |token| {
        let mut request = logout_with(&Token::new(token));
        *request.uri_mut() = "/auth/logout-all".parse().unwrap();
        request
    };
    through(&layer, all("one")).await.assert_is_logged_out();
    assert_eq!(count(&database, "tokens").await, 1);
    // A session of nobody names no subject whose sessions could end, and ends alone.
    assert_eq!(through(&layer, all("three")).await.status, 401);
    assert_eq!(count(&database, "tokens").await, 1);
    through(&layer, logout_with(&Token::new("three")))
        .await
        .assert_is_logged_out();
    assert_eq!(count(&database, "tokens").await, 0);
}

async fn a_refresh_in_flight_that_replaces_the_row_is_waited_for(database: Database) {
    database
        .run("CREATE TABLE tokens (token CHAR(9) PRIMARY KEY, family INT NOT NULL)")
        .await;
    database
        .run("CREATE INDEX families ON tokens (family)")
        .await;
    database
        .run("INSERT INTO tokens VALUES ('old', 7), ('other', 8)")
        .await;
    let store = TableStore::builder("tokens", "token", TokenDigest::clear())
        .session_column("family")
        .connect(database.sql.clone())
        .await
        .unwrap();
    let mut refresh = database.pool.begin().await.unwrap();
    run(&mut *refresh, "DELETE FROM tokens WHERE token = 'old'")
        .await
        .unwrap();
    run(&mut *refresh, "INSERT INTO tokens VALUES ('new', 7)")
        .await
        .unwrap();
    let logout = tokio::spawn(async move { store.revoke(&Token::new("old")).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    refresh.commit().await.unwrap();
    let revoked = logout.await.unwrap().unwrap();
    assert_eq!(revoked, Revocation::from_iter([SessionId::new("7")]));
    assert_eq!(count(&database, "tokens").await, 1);
}

async fn a_column_that_can_never_be_equal_is_refused(database: Database) {
    database.run("CREATE TABLE tokens (hash CHAR(64))").await;
    let refused = TableStore::builder("tokens", "hash", TokenDigest::sha256())
        .connect(database.sql.clone())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("has to hold bytes"),
        "{refused}"
    );
}

async fn what_the_table_lacks_is_named(database: Database) {
    let table = |name| TableStore::builder(name, "token", TokenDigest::clear());
    let missing = table("tokens")
        .connect(database.sql.clone())
        .await
        .unwrap_err();
    assert!(
        missing.to_string().contains("no table \"tokens\""),
        "{missing}"
    );
    database
        .run("CREATE TABLE tokens (token CHAR(64), owner INT)")
        .await;
    let missing = table("tokens")
        .session_column("family")
        .connect(database.sql.clone())
        .await
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the table \"tokens\" has no column \"family\": it has token, owner"
    );
    let missing = table("tokens")
        .subject_column("subject")
        .connect(database.sql.clone())
        .await
        .unwrap_err();
    assert!(matches!(
        missing.downcast_ref(),
        Some(TableError::MissingColumn { column, .. }) if column == "subject"
    ));
}

async fn no_name_is_more_than_a_name(database: Database) {
    // A `?` of its own would be taken for a parameter, and so would what a quote lets out.
    let (table, token) = ("or'der?; DROP TABLE x?token0", "the -- token ?");
    database
        .run(&format!("CREATE TABLE \"{table}\" (\"{token}\" CHAR(64))"))
        .await;
    database
        .run(&format!(
            "INSERT INTO \"{table}\" (\"{token}\") VALUES ('one')"
        ))
        .await;
    let store = TableStore::builder(table, token, TokenDigest::clear())
        .connect(database.sql.clone())
        .await
        .unwrap();
    assert_eq!(
        store.revoke(&Token::new("one")).await.unwrap(),
        Revocation::Revoked
    );
}
