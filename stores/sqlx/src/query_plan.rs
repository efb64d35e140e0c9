//! How SQLite runs a statement.

use sqlx::{AssertSqlSafe, Row, SqlitePool};

/// Whether no table is read from its beginning to its end.
pub(crate) async fn uses_an_index(pool: &SqlitePool, statement: &str) -> bool {
    let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    let rows = explain.fetch_all(pool).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    steps.iter().any(|step| step.starts_with("SEARCH "))
        && !steps.iter().any(|step| step.starts_with("SCAN "))
}
