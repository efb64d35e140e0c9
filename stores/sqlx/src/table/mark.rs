//! Rows that are kept: how an ended row is marked, and which rows are live.

use crate::dialect::Dialect;

/// The value that marks a row as ended, in a table that keeps its rows.
///
/// ```
/// use tower_logout_sqlx::{Mark, TableStore, TokenDigest};
///
/// let with_a_time = TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
///     .mark_ended("revoked_at", Mark::Now);
/// let with_a_status = TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
///     .mark_ended("status", Mark::Text("revoked".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mark {
    /// The time of the database's clock, in a column of a time type (in SQLite, text in UTC). A row with `NULL`
    /// is not ended.
    Now,
    /// The time of the database's clock, in seconds since 1970. A row with `NULL` or zero is not ended.
    UnixSeconds,
    /// The time of the database's clock, in milliseconds since 1970. A row with `NULL` or zero is not ended.
    UnixMillis,
    /// `TRUE`. A row with `FALSE` or `NULL` is not ended.
    True,
    /// A text, or the value of the column's type for this text. A row with any other value is not ended.
    Text(String),
}

/// The value of a column while the row's token is the live token of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Live {
    /// `NULL`: `used_at IS NULL`, `replaced_by IS NULL`.
    Null,
    /// `FALSE` or `NULL`: `NOT used`.
    False,
    /// This text, or the value of the column's type for this text: `status = 'active'`.
    Text(String),
}

/// The form of a column with the time at which a row expires. A row with `NULL` never expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// A time of the database's own type, in UTC if the type has no time zone. In SQLite, a text that
    /// `julianday` reads.
    Time,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
}

impl Mark {
    /// The value of an ended row. The text is a parameter.
    pub(super) fn value(&self, dialect: Dialect, text: &str) -> String {
        match self {
            Self::Now => "CURRENT_TIMESTAMP".to_owned(),
            Self::UnixSeconds => unix_seconds(dialect).to_owned(),
            Self::UnixMillis => unix_millis(dialect).to_owned(),
            Self::True => "TRUE".to_owned(),
            Self::Text(_) => text.to_owned(),
        }
    }

    /// Whether a row is not ended.
    pub(super) fn is_missing(&self, column: &str, text: &str) -> String {
        match self {
            Self::Now => format!("{column} IS NULL"),
            Self::UnixSeconds | Self::UnixMillis => format!("({column} IS NULL OR {column} = 0)"),
            Self::True => format!("({column} IS NULL OR {column} = FALSE)"),
            Self::Text(_) => format!("({column} IS NULL OR {column} <> {text})"),
        }
    }
}

impl Live {
    /// Whether a row is live. The text is a parameter.
    pub(super) fn condition(&self, column: &str, text: &str) -> String {
        match self {
            Self::Null => format!("{column} IS NULL"),
            Self::False => format!("({column} IS NULL OR {column} = FALSE)"),
            Self::Text(_) => format!("{column} = {text}"),
        }
    }
}

impl Expiry {
    /// Whether a row has not expired.
    pub(super) fn condition(self, dialect: Dialect, column: &str) -> String {
        let (time, now) = match self {
            Self::Time if dialect == Dialect::Sqlite => {
                (format!("julianday({column})"), "julianday('now')")
            }
            Self::Time => (column.to_owned(), "CURRENT_TIMESTAMP"),
            Self::UnixSeconds => (column.to_owned(), unix_seconds(dialect)),
            Self::UnixMillis => (column.to_owned(), unix_millis(dialect)),
        };
        format!("({column} IS NULL OR {time} > {now})")
    }
}

fn unix_seconds(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "CAST(floor(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT)",
        Dialect::MySql => "UNIX_TIMESTAMP()",
        Dialect::Sqlite => "CAST(strftime('%s', 'now') AS INTEGER)",
    }
}

fn unix_millis(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "CAST(floor(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000) AS BIGINT)",
        Dialect::MySql => "FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)",
        Dialect::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    }
}
