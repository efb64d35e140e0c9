//! A table store that opens a pool of its own, over the database of an application.

#![allow(clippy::unwrap_used)]

use sqlx::{Connection, Executor, SqliteConnection};
use tower_logout::{Revocation, Token, TokenStore};
use tower_logout_sqlx::{TableError, TableStore, TableStoreBuilder, TokenDigest};

fn table() -> TableStoreBuilder {
    TableStore::builder("tokens", "token", TokenDigest::clear())
}

#[tokio::test]
async fn the_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("app").display());
    // A wrong path is an error, and no new file.
    table().connect_url(&url).await.unwrap_err();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);

    let app = SqliteConnection::connect(&format!("{url}?mode=rwc")).await;
    let mut app = app.unwrap();
    let rows = "CREATE TABLE tokens (token TEXT, owner INT); INSERT INTO tokens VALUES ('one', 7)";
    app.execute(sqlx::raw_sql(rows)).await.unwrap();
    let store = table().connect_url(&url).await.unwrap();
    let of_subjects = table().subject_column("owner");
    of_subjects.connect_url(&url).await.unwrap();
    let one = Token::new("one");
    assert_eq!(store.revoke(&one).await.unwrap(), Revocation::Revoked);
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(journal, "delete");
}

#[tokio::test]
async fn a_url_of_no_database_is_a_typed_error_that_shows_nothing_of_the_url() {
    for url in ["oracle://app:secret@localhost/app", "secret", ""] {
        let error = table().connect_url(url).await.unwrap_err();
        let typed = error.downcast_ref();
        assert!(matches!(typed, Some(TableError::UnsupportedUrl)), "{error}");
        assert!(!error.to_string().contains("secret"));
        // `unwrap` and `expect` print the `Debug` text.
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}
