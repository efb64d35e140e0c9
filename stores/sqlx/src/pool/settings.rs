//! Whether the settings of the database let a store keep its promises.

use std::sync::atomic::Ordering;

use tower_logout::BoxError;

use super::{Fetch, SqlPool};
use crate::dialect::Dialect;

const LOGS_STATEMENTS: &str = "SELECT CAST(@@log_bin AND @@binlog_format = 'STATEMENT' AS SIGNED)";

impl SqlPool {
    pub(crate) async fn check_settings(&self) -> Result<(), BoxError> {
        match self.dialect() {
            Dialect::Postgres => Ok(()),
            Dialect::MySql => {
                // A server without such a setting logs rows.
                let logs_statements = self.flag(LOGS_STATEMENTS).await.unwrap_or_default();
                let lesson = &self.terms.lessons.logs_statements;
                lesson.store(logs_statements, Ordering::Relaxed);
                Ok(())
            }
            Dialect::Sqlite if self.flag("PRAGMA foreign_keys").await? => Ok(()),
            Dialect::Sqlite => Err(
                "the pool has foreign_keys switched off, and a session that ends would leave its \
                 tokens behind: build the pool with SqliteConnectOptions::foreign_keys(true)"
                    .into(),
            ),
        }
    }

    async fn flag(&self, sql: &str) -> Result<bool, BoxError> {
        let rows = self.fetch(&sql.into(), &[], |row| row.int(0)).await?;
        Ok(rows.first() == Some(&1))
    }
}
