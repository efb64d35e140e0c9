//! The log of SQLite and MySQL, whose positions are in the order of the commits.

use std::sync::Arc;

use tower_logout::BoxError;
use tower_logout::ended::{Cursor, Page};
use tower_logout::store::Transient;

use super::source::Source;
use super::sql::{mysql_now, sqlite_now};
use super::{PAGE, entry};
use crate::dialect::Dialect;
use crate::names::Names;
use crate::pool::{Row, Value};

/// Reads a log by position.
pub(super) struct Positions {
    sql: Arc<str>,
    retention: i64,
}

/// A row of the log.
struct Logged {
    position: i64,
    /// Of the row of a server that says whether it takes writes, the answer.
    session: String,
    remaining: i64,
}

/// The last entry that was read. If another entry or none has its position, the log is not the one that was read:
/// the database was restored, or has lost commits, or the entry was deleted because it no longer mattered.
#[derive(Debug, PartialEq, Eq)]
struct Last<'c> {
    position: i64,
    session: &'c str,
}

/// The position of the row that says whether the server takes writes.
const ROLE: i64 = -1;

const IN_SQLITE: &str = concat!(
    "SELECT position, session_id, ended_at + ? - ",
    sqlite_now!(),
    " FROM tower_logout_ended WHERE position >= ? AND (position = ? OR ended_at > ",
    sqlite_now!(),
    " - ?) ORDER BY position LIMIT ?"
);

const IN_MYSQL: &str = concat!(
    "SELECT -1, CAST(@@global.read_only AS CHAR), 0 UNION ALL \
     (SELECT position, session_id, ended_at + ? - ",
    mysql_now!(),
    " FROM tower_logout_ended WHERE position >= ? AND (position = ? OR ended_at > ",
    mysql_now!(),
    " - ?) ORDER BY position LIMIT ?)"
);

impl<'c> Last<'c> {
    fn parse(cursor: &'c str) -> Option<Self> {
        let (position, session) = cursor.split_once(' ')?;
        let position = position.parse().ok()?;
        Some(Self { position, session })
    }

    fn is(&self, row: &Logged) -> bool {
        row.position == self.position && row.session == self.session
    }
}

impl Logged {
    fn read(row: &dyn Row) -> Result<Self, BoxError> {
        Ok(Self {
            position: row.int(0)?,
            session: row.text(1)?,
            remaining: row.int(2)?,
        })
    }
}

impl Positions {
    pub(super) fn new(dialect: Dialect, names: &Names, retention: i64) -> Self {
        let sql = if dialect == Dialect::MySql {
            IN_MYSQL
        } else {
            IN_SQLITE
        };
        Self {
            sql: names.apply(dialect, sql).into(),
            retention,
        }
    }

    pub(super) async fn read(
        &self,
        source: &mut Source,
        since: Option<&str>,
    ) -> Result<Page, BoxError> {
        if let Some(last) = since.and_then(Last::parse) {
            let rows = self.rows(source, last.position).await?;
            if rows.first().is_some_and(|row| last.is(row)) {
                return Ok(self.page(rows, 1));
            }
        }
        Ok(self.page(self.rows(source, 0).await?, 0))
    }

    /// The rows from a position on. The row at the position is among them even if it no longer matters.
    async fn rows(&self, source: &mut Source, position: i64) -> Result<Vec<Logged>, BoxError> {
        // One more than a page, for the row at the position.
        let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
        let values = [self.retention, position, position, self.retention, limit].map(Value::Int);
        let mut rows = source.fetch(&self.sql, &values, Logged::read).await?;
        // No order of a union is promised.
        rows.sort_unstable_by_key(|row| row.position);
        let role = rows.iter().position(|row| row.position == ROLE);
        let role = role.map(|index| rows.remove(index).session);
        if matches!(role.as_deref(), None | Some("0" | "OFF")) {
            return Ok(rows);
        }
        let error = "the server takes no writes, so that its log of ended sessions may lag";
        Err(Transient::new(error).into())
    }

    /// A page of the rows, of which the first ones are known.
    fn page(&self, rows: Vec<Logged>, known: usize) -> Page {
        let cursor = match rows.last() {
            Some(last) => Cursor::new(format!("{} {}", last.position, last.session)),
            None => Cursor::new(""),
        };
        let is_complete = rows.len() <= PAGE;
        let ended = rows
            .into_iter()
            .skip(known)
            .filter_map(|row| entry(row.session, row.remaining, self.retention));
        if is_complete {
            Page::new(ended.collect(), cursor)
        } else {
            Page::partial(ended.collect(), cursor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_read_of_sqlite_uses_an_index() {
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        crate::SqlStore::new(pool.clone()).await.unwrap();
        assert!(crate::query_plan::uses_an_index(&pool, IN_SQLITE).await);
        let by_time = IN_SQLITE.replace("position >= ? AND", "");
        assert!(!crate::query_plan::uses_an_index(&pool, &by_time).await);
    }

    #[test]
    fn a_session_with_spaces_is_part_of_a_cursor() {
        let last = Last {
            position: 7,
            session: "a b",
        };
        assert_eq!(Last::parse("7 a b"), Some(last));
        for cursor in ["", "7", "a b"] {
            assert_eq!(Last::parse(cursor), None);
        }
    }
}
