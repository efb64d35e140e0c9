//! Where the databases' languages differ.

use tower_logout::BoxError;

/// The language of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // Those of the features that are off.
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

/// What a column of the application's is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            Self::Id => "text, whole numbers or bytes",
        }
    }
}

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
    pub(super) fn delete_expired(self) -> &'static str {
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

    /// What stands before the number of a parameter. MySQL's have none.
    pub(super) fn parameter_sign(self) -> Option<char> {
        match self {
            Self::Postgres => Some('$'),
            Self::Sqlite => Some('?'),
            Self::MySql => None,
        }
    }

    /// A statement written with `?` for its parameters. One within a quoted name is none.
    pub(super) fn numbered(self, sql: &str) -> String {
        if self != Self::Postgres {
            return sql.to_owned();
        }
        let mut numbered = String::with_capacity(sql.len());
        let mut number = 0;
        for (quoted, piece) in quoted(sql) {
            for character in piece.chars() {
                if character == '?' && !quoted {
                    number += 1;
                    numbered = format!("{numbered}${number}");
                } else {
                    numbered.push(character);
                }
            }
        }
        numbered
    }
}

/// The pieces of a statement, and whether each is quoted. A quote within quotes is doubled, and so
/// makes two quoted pieces.
pub(super) fn quoted(sql: &str) -> impl Iterator<Item = (bool, &str)> {
    const QUOTES: [char; 3] = ['"', '`', '\''];
    let mut rest = sql;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (quoted, end) = if QUOTES.contains(&first) {
            (true, rest[1..].find(first).map(|end| end + 2))
        } else {
            (false, rest.find(QUOTES))
        };
        let piece;
        (piece, rest) = rest.split_at(end.unwrap_or(rest.len()));
        Some((quoted, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_in_a_name_is_no_parameter() {
        let name = Dialect::Postgres.quote("why? \"so?\"");
        let sql = format!("SELECT '?' FROM {name} WHERE a = ? AND \"b?\" = ?");
        assert_eq!(
            Dialect::Postgres.numbered(&sql),
            format!("SELECT '?' FROM {name} WHERE a = $1 AND \"b?\" = $2")
        );
        assert_eq!(Dialect::Sqlite.numbered(&sql), sql);
    }
}
