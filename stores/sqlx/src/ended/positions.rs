//! The log of SQLite and MySQL, whose positions are in the order of the commits.

use std::sync::Arc;

use tower_logout::BoxError;
use tower_logout::ended::{Cursor, Page};

use super::source::Source;
use super::sql::{mysql_now, sqlite_now};
use super::{PAGE, entry};
use crate::dialect::{Dialect, mysql_is_read_only};
use crate::names::Names;
use crate::pool::failure::takes_no_writes;
use crate::pool::{Row, Value};

/// Reads a log by position.
pub(super) struct Positions {
    dialect: Dialect,
    sql: Arc<str>,
    retention: i64,
}

/// A row of the log.
struct Logged {
    position: i64,
    /// Of the row of a server that says whether it takes writes: `0` if it does.
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
    "SELECT -1, CASE WHEN ",
    mysql_is_read_only!(),
    " THEN '1' ELSE '0' END, 0 UNION ALL \
     (SELECT position, session_id, ended_at + ? - ",
    mysql_now!(),
    " FROM tower_logout_ended WHERE position >= ? ORDER BY position LIMIT ?)"
);

/// How long after the next entry a missing one may still appear, in milliseconds.
///
/// Positions have no gaps. But MariaDB makes a snapshot without a lock: of two transactions that commit while it does
/// so, the snapshot may have the later one alone. An entry of this age was committed long before any snapshot.
const MAY_APPEAR: i64 = 2 * 60 * 1000;

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
            dialect,
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
        let (retention, position) = (Value::Int(self.retention), Value::Int(position));
        let values: &[_] = match self.dialect {
            Dialect::MySql => &[retention, position, Value::Int(limit)],
            _ => &[retention, position, position, retention, Value::Int(limit)],
        };
        let mut rows = source.fetch(&self.sql, values, Logged::read).await?;
        // No order of a union is promised.
        rows.sort_unstable_by_key(|row| row.position);
        let role = rows.iter().position(|row| row.position == ROLE);
        let role = role.map(|index| rows.remove(index).session);
        if matches!(role.as_deref(), None | Some("0")) {
            return Ok(rows);
        }
        Err(takes_no_writes())
    }

    /// How many rows precede the first entry that is missing and may still appear.
    fn settled(&self, rows: &[Logged], known: usize) -> usize {
        if self.dialect != Dialect::MySql {
            return rows.len();
        }
        let may_appear = |before: i64, after: &Logged| {
            after.position != before + 1 && after.remaining > self.retention - MAY_APPEAR
        };
        // The first entry may have been the first one ever, or all before it were deleted long ago.
        let first = rows.first().filter(|_| known == 0 && rows.len() <= PAGE);
        if first.is_some_and(|first| may_appear(0, first)) {
            return 0;
        }
        let gap = rows.windows(2).position(|rows| match rows {
            [before, after] => may_appear(before.position, after),
            _ => false,
        });
        gap.map_or(rows.len(), |before| before + 1)
    }

    /// A page of the rows, of which the first ones are known.
    fn page(&self, rows: Vec<Logged>, known: usize) -> Page {
        let cursor = match rows.get(..self.settled(&rows, known)).and_then(<[_]>::last) {
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
    fn a_missing_entry_that_may_appear_is_waited_for() {
        let reader = Positions::new(Dialect::MySql, &Names::default(), 1_000_000);
        let row = |position, age| Logged {
            position,
            session: position.to_string(),
            remaining: 1_000_000 - age,
        };
        let cursor = |rows| reader.page(rows, 1).cursor.as_str().to_owned();
        assert_eq!(cursor(vec![row(1, 9), row(2, 5), row(3, 4)]), "3 3");
        assert_eq!(cursor(vec![row(1, 9), row(3, 5), row(4, 4)]), "1 1");
        // Somebody has deleted the entry by hand.
        let long_ago = MAY_APPEAR + 1;
        assert_eq!(cursor(vec![row(1, 9), row(3, long_ago), row(4, 4)]), "4 4");
        let first = |rows| reader.page(rows, 0).cursor.as_str().to_owned();
        assert_eq!(first(vec![row(1, 9)]), "1 1");
        assert_eq!(first(vec![row(2, 9)]), "");
        assert_eq!(first(vec![row(2, long_ago)]), "2 2");
        let page = reader.page(vec![row(1, 9), row(3, 5)], 1);
        assert_eq!(
            page.ended.len(),
            1,
            "the entries after the missing one are read"
        );
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
