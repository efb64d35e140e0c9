//! What a table lacks.

use std::fmt;

/// A table, or a key, with which a store could not keep its promise.
///
/// Its `Display` says what was wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// The key of an HMAC is so short that it can be guessed.
    ShortKey {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The database has no such table, or shows it to somebody else.
    MissingTable {
        /// The table's name.
        table: String,
    },
    /// The table has no such column.
    MissingColumn {
        /// The table's name.
        table: String,
        /// The name that was looked for.
        column: String,
        /// The columns that there are.
        found: Vec<String>,
    },
    /// A column of the table is of a type that never equals what it is compared with.
    ColumnType {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// Its type.
        data_type: String,
        /// What it is to hold: `"bytes"`, `"text"` or `"text, whole numbers or bytes"`.
        wanted: &'static str,
    },
    /// A column of the table has no room for a digest, or more than it fills.
    ColumnLength {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// How many characters or bytes it has room for.
        length: usize,
        /// What it is to hold.
        wanted: &'static str,
    },
    /// A column of the table has values that are not equal to themselves after they were text, so that a
    /// session would not be found by its own id.
    UnequalColumn {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// The tokens in the table are of another format.
    OtherFormat {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// What it is to hold: `"64 lower-case hexadecimal digits"`, say.
        wanted: &'static str,
        /// What a row holds, in words.
        seen: String,
    },
    /// The rows of the table refer to each other in a way that lets none of them be deleted.
    RowsKeepEachOther {
        /// The table's name.
        table: String,
    },
    /// Row level security stands between the role that connects and the table's rows.
    RowSecurity {
        /// The table's name.
        table: String,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortKey { bytes } => write!(
                f,
                "a key of {bytes} bytes can be guessed: give one of 16 random bytes at least"
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
                 hold {wanted}: check the format of the tokens, and the columns' names"
            ),
            Self::ColumnLength {
                table,
                column,
                length,
                wanted,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has a length of {length}, and has to hold \
                 {wanted}: check the format of the tokens, or change the column's length"
            ),
            Self::UnequalColumn {
                table,
                column,
                data_type,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has the type {data_type:?}, and its values \
                 are not equal to themselves as text: give a column of text, whole numbers or UUIDs"
            ),
            Self::OtherFormat {
                table,
                column,
                wanted,
                seen,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has to hold {wanted}, and holds {seen}: give \
                 the TokenFormat that the application writes"
            ),
            Self::RowsKeepEachOther { table } => write!(
                f,
                "each row of the table {table:?} has to refer to another one, and MySQL deletes none that \
                 refers to itself: let the column that refers be NULL, or mark the rows with mark_ended"
            ),
            Self::RowSecurity { table } => write!(
                f,
                "row level security hides rows of the table {table:?}, or keeps them from being deleted: \
                 connect as a role that bypasses it, or say policies_allow_all() if its policies let the \
                 role see, change and delete all rows"
            ),
        }
    }
}

impl std::error::Error for TableError {}
