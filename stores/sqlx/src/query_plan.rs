//! How SQLite runs a statement.

use sqlx::{Row, SqlitePool};

use crate::sql_text::sql_text;

/// Whether no table is read from its beginning to its end.
pub(crate) async fn uses_an_index(pool: &SqlitePool, statement: &str) -> bool {
    let explain = format!("EXPLAIN QUERY PLAN {statement}").into();
    let rows = sqlx::raw_sql(sql_text(&explain))
        .fetch_all(pool)
        .await
        .unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    steps.iter().any(|step| step.starts_with("SEARCH "))
        && !steps.iter().any(|step| step.starts_with("SCAN "))
}
