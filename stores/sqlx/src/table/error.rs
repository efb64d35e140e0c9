//! Why a table is refused.

use std::fmt;

/// Why a store cannot be made: a table that could make a logout answer `200` although the session goes on, or
/// a URL that leads to no database. Or why a store cannot look up a session.
///
/// The `Display` text says what is wrong and how to fix it, and so does `Debug`, which `unwrap` and `expect` print.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// The database URL begins with none of `sqlite:`, `postgres:` and `mysql:`, or the feature of its database
    /// is off. The error does not show the URL, which may hold a password.
    UnsupportedUrl,
    /// The database has no such table, or the user may not see it.
    #[non_exhaustive]
    MissingTable {
        /// The table's name.
        table: String,
    },
    /// The table has no such column.
    #[non_exhaustive]
    MissingColumn {
        /// The table's name.
        table: String,
        /// The column that is missing.
        column: String,
        /// The columns of the table.
        found: Vec<String>,
    },
    /// The values of a column can never equal a token, an id or a subject, because of their type.
    #[non_exhaustive]
    ColumnType {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// The type of the column.
        data_type: String,
        /// The values that the column has to hold: `"bytes"`, `"text"` or `"text, whole numbers or bytes"`.
        wanted: &'static str,
    },
    /// A column is too short for a digest, or of another fixed length.
    #[non_exhaustive]
    ColumnLength {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// The length of the column, in characters or bytes.
        length: usize,
        /// The digest that the column has to hold, in words.
        wanted: &'static str,
    },
    /// The values of a column do not equal themselves as text. The store would not find a session by its own
    /// id.
    #[non_exhaustive]
    UnequalColumn {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// The type of the column.
        data_type: String,
    },
    /// The digests in the table are not written as the [`TokenDigest`](crate::TokenDigest) says.
    #[non_exhaustive]
    OtherDigest {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// The digest that the column has to hold, for example `"64 lower-case hexadecimal digits"`.
        wanted: &'static str,
        /// The value of a row, in words that show nothing of it.
        seen: String,
    },
    /// The rows of the table refer to each other so that some row can never be deleted.
    #[non_exhaustive]
    RowsKeepEachOther {
        /// The table's name.
        table: String,
    },
    /// A session was asked for by its id, or is to be logged, and the store has no session column.
    #[non_exhaustive]
    NoSessionColumn {
        /// The table's name.
        table: String,
    },
    /// Row level security may hide rows from the role that connects.
    #[non_exhaustive]
    RowSecurity {
        /// The table's name.
        table: String,
    },
    /// The table is a view in Postgres. The row level security of the table behind a view may hide rows, and
    /// nothing shows whether it does.
    #[non_exhaustive]
    View {
        /// The view's name.
        table: String,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedUrl => f.write_str(
                "no store for the database URL: the URL has to begin with sqlite:, postgres: or mysql:, and \
                 the feature of that database has to be switched on",
            ),
            Self::MissingTable { table } => write!(
                f,
                "the database has no table {table:?}: check its name, its schema and the rights of \
                 the user who connects"
            ),
            Self::MissingColumn {
                table,
                column,
                found,
            } => write!(
                f,
                "the table {table:?} has no column {column:?}: it has {}",
                found.join(", ")
            ),
            Self::ColumnType {
                table,
                column,
                data_type,
                wanted,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has the type {data_type:?}, and has to \
                 hold {wanted}: check the TokenDigest and the names of the columns"
            ),
            Self::ColumnLength {
                table,
                column,
                length,
                wanted,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has a length of {length}, and has to hold \
                 {wanted}: check the TokenDigest, or change the length of the column"
            ),
            Self::UnequalColumn {
                table,
                column,
                data_type,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has the type {data_type:?}, and its values \
                 do not equal themselves as text: use a column of text, whole numbers or UUIDs"
            ),
            Self::OtherDigest {
                table,
                column,
                wanted,
                seen,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has to hold {wanted}, and holds {seen}: give \
                 the TokenDigest that the application writes"
            ),
            Self::RowsKeepEachOther { table } => write!(
                f,
                "each row of the table {table:?} has to refer to a row, and MySQL never deletes a row that \
                 refers to itself: allow NULL in the column that refers, or mark the rows with mark_ended"
            ),
            Self::NoSessionColumn { table } => write!(
                f,
                "the sessions of the table {table:?} have no ids: name the column that holds them with \
                 session_column"
            ),
            Self::RowSecurity { table } => write!(
                f,
                "row level security may hide rows of the table {table:?}, or prevent that they are deleted: \
                 connect as a role that bypasses it, or call policies_allow_all() if the policies let the \
                 role see, change and delete all rows"
            ),
            Self::View { table } => write!(
                f,
                "{table:?} is a view, and the row level security of its table may hide rows: name the table \
                 itself, or call policies_allow_all() if no policy hides rows"
            ),
        }
    }
}

impl fmt::Debug for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TableError {}
