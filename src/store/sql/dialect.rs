//! Where the databases' languages differ.

use crate::BoxError;

/// The language of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // Those of the features that are off.
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

/// What a column of the application's is to hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds {
    Bytes,
    Text,
    /// Whatever tells a session or a subject from others.
    Id,
}

impl Holds {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Text => "text",
            Self::Id => "text or whole numbers",
        }
    }
}

const MYSQL_FIXED_BYTES: &str = "binary";

impl Dialect {
    /// Whether a `DELETE` can return what it deleted. MySQL's cannot.
    pub(super) fn returns_deleted(self) -> bool {
        self != Self::MySql
    }

    /// Locks the rows of a `SELECT` until the transaction ends. SQLite's transaction has the only
    /// write lock there is.
    pub(super) fn lock(self) -> &'static str {
        if self == Self::Sqlite {
            ""
        } else {
            " FOR UPDATE"
        }
    }

    /// Drops a number of expired sessions. Postgres leaves those to whoever has locked them.
    pub(super) fn drop_expired(self) -> &'static str {
        match self {
            Self::MySql => {
                "DELETE FROM tower_logout_sessions WHERE expires_at <= ? \
                 ORDER BY expires_at LIMIT ?"
            }
            Self::Postgres => {
                "DELETE FROM tower_logout_sessions WHERE id IN \
                 (SELECT id FROM tower_logout_sessions WHERE expires_at <= ? \
                  ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED)"
            }
            Self::Sqlite => {
                "DELETE FROM tower_logout_sessions WHERE id IN \
                 (SELECT id FROM tower_logout_sessions WHERE expires_at <= ? \
                  ORDER BY expires_at LIMIT ?)"
            }
        }
    }

    /// Table and schema, twice → the names and types of its columns. Without a schema it is the
    /// connection's own.
    pub(super) fn columns_of_table(self) -> &'static str {
        match self {
            Self::MySql => {
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ? \
                 AND ((? = '' AND table_schema = DATABASE()) OR table_schema = ?) \
                 ORDER BY ordinal_position"
            }
            Self::Postgres => {
                "SELECT CAST(column_name AS TEXT), \
                 quote_ident(udt_schema) || '.' || quote_ident(udt_name) FROM information_schema.columns \
                 WHERE table_name = ? \
                 AND ((? = '' AND table_schema = ANY(current_schemas(true))) OR table_schema = ?) \
                 ORDER BY ordinal_position"
            }
            Self::Sqlite => "SELECT name, type FROM pragma_table_info(?) WHERE ? = '' AND ? = ''",
        }
    }

    /// Whether a column of this type equals what it is compared with. One of another kind may never
    /// do so, without an error, and the logout would find nothing.
    pub(super) fn can_hold(self, data_type: &str, holds: Holds) -> bool {
        let name = data_type.to_ascii_lowercase();
        let is = |kinds: &[&str]| kinds.iter().any(|kind| name.contains(kind));
        match (self, holds) {
            (Self::Postgres, Holds::Bytes) => is(&["bytea"]),
            (Self::Postgres, Holds::Text) => is(&["text", "char"]),
            (Self::MySql, Holds::Bytes) => is(&["binary", "blob"]),
            (Self::MySql, Holds::Text) => is(&["text", "char", "varbinary"]),
            (Self::Postgres | Self::MySql, Holds::Id) => true,
            (Self::Sqlite, Holds::Bytes) => is(&["blob"]) || name.is_empty(),
            (Self::Sqlite, Holds::Text) => is(&["text", "char", "clob"]) || name.is_empty(),
            (Self::Sqlite, Holds::Id) => is(&["text", "char", "clob", "int"]),
        }
    }

    /// Whether two names are one, quoted as they are.
    pub(super) fn same_name(self, one: &str, other: &str) -> bool {
        one == other || (self != Self::Postgres && one.eq_ignore_ascii_case(other))
    }

    /// A subject that the column would cut off could be taken for another.
    pub(super) fn check_subject(self, subject: &str) -> Result<(), BoxError> {
        const MYSQL_SUBJECT_LEN: usize = 512;
        if self == Self::MySql && subject.len() > MYSQL_SUBJECT_LEN {
            return Err(format!(
                "a subject in MySQL has at most {MYSQL_SUBJECT_LEN} bytes, and this one has {}",
                subject.len()
            )
            .into());
        }
        Ok(())
    }

    /// A name from the configuration, as a name and nothing else.
    pub(super) fn quote(self, name: &str) -> String {
        if self == Self::MySql {
            format!("`{}`", name.replace('`', "``"))
        } else {
            format!("\"{}\"", name.replace('"', "\"\""))
        }
    }

    /// A column of any type, as text. MySQL's fixed bytes, of a UUID say, are no text: their
    /// hexadecimal digits are.
    pub(super) fn as_text(self, column: &str, data_type: &str) -> String {
        if self == Self::MySql && data_type == MYSQL_FIXED_BYTES {
            return format!("HEX({column})");
        }
        let text = if self == Self::MySql { "CHAR" } else { "TEXT" };
        format!("CAST({column} AS {text})")
    }

    /// A parameter that is text, to be compared with a column of this type. The others convert it to
    /// the column's type by themselves.
    pub(super) fn text_as(self, data_type: &str) -> String {
        if self == Self::Postgres {
            format!("CAST(CAST(? AS TEXT) AS {data_type})")
        } else if self == Self::MySql && data_type == MYSQL_FIXED_BYTES {
            "UNHEX(?)".to_owned()
        } else {
            "?".to_owned()
        }
    }

    /// Whether a column of the application's has exactly this value. MySQL would take another case, or
    /// blanks behind it, for the same by most of its collations; the index is used all the same.
    pub(super) fn equals(self, column: &str, value: &str) -> String {
        if self == Self::MySql {
            format!("({column} = {value} AND CAST({column} AS BINARY) = CAST({value} AS BINARY))")
        } else {
            format!("{column} = {value}")
        }
    }

    /// A statement written with `?` for its parameters.
    pub(super) fn numbered(self, sql: &str) -> String {
        if self != Self::Postgres {
            return sql.to_owned();
        }
        let mut pieces = sql.split('?');
        let mut numbered = pieces.next().unwrap_or_default().to_owned();
        for (index, piece) in pieces.enumerate() {
            numbered = format!("{numbered}${}{piece}", index + 1);
        }
        numbered
    }
}
