//! How the SQL of the databases differs.

/// Whether a server of Postgres takes no writes, so that it may lag: a replica, or a primary that was demoted.
macro_rules! postgres_is_read_only {
    () => {
        "pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'"
    };
}

/// The same of MySQL. MariaDB writes the variable as a number or as a word.
macro_rules! mysql_is_read_only {
    () => {
        "CAST(@@global.read_only AS CHAR) NOT IN ('0', 'OFF')"
    };
}

pub(crate) use {mysql_is_read_only, postgres_is_read_only};

/// The SQL of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // The databases whose feature is off.
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl Dialect {
    /// Whether the database is a server. SQLite has no network to lose an answer, and an in-memory database
    /// ends with its connection.
    pub(crate) const fn is_server(self) -> bool {
        !matches!(self, Self::Sqlite)
    }

    /// Whether a `DELETE` can return the deleted rows. In MySQL it cannot.
    pub(crate) fn returns_deleted(self) -> bool {
        self != Self::MySql
    }

    /// Locks the rows of a `SELECT` until the transaction ends. In SQLite the transaction has locked the
    /// whole database.
    pub(crate) fn lock(self) -> &'static str {
        if self == Self::Sqlite {
            ""
        } else {
            " FOR UPDATE"
        }
    }

    /// A `SELECT` of one row at most, with another column before its own: `0` if the server takes writes. From a server,
    /// there is such a row if nothing was found, too. The columns have different names.
    pub(crate) fn on_primary(self, select: &str) -> String {
        let is_read_only = match self {
            Self::Sqlite => return select.replacen("SELECT ", "SELECT '0', ", 1),
            Self::Postgres => postgres_is_read_only!(),
            Self::MySql => mysql_is_read_only!(),
        };
        format!(
            "SELECT server.is_read_only, found.* FROM \
             (SELECT CASE WHEN {is_read_only} THEN '1' ELSE '0' END AS is_read_only) AS server \
             LEFT JOIN ({select}) AS found ON 1 = 1"
        )
    }

    /// Whether two quoted names are the same name.
    pub(crate) fn same_name(self, one: &str, other: &str) -> bool {
        one == other || (self != Self::Postgres && one.eq_ignore_ascii_case(other))
    }

    /// A name from the configuration, quoted.
    pub(crate) fn quote(self, name: &str) -> String {
        if self == Self::MySql {
            format!("`{}`", name.replace('`', "``"))
        } else {
            format!("\"{}\"", name.replace('"', "\"\""))
        }
    }

    /// The sign before the number of a parameter. In MySQL parameters have no numbers.
    pub(crate) fn parameter_sign(self) -> Option<char> {
        match self {
            Self::Postgres => Some('$'),
            Self::Sqlite => Some('?'),
            Self::MySql => None,
        }
    }

    /// A statement that is written with `?` for its parameters. A `?` in a quoted name is no parameter.
    pub(crate) fn numbered(self, sql: &str) -> String {
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

/// The pieces of a statement, and whether each is quoted. A quote within quotes is doubled, and makes two
/// quoted pieces.
pub(crate) fn quoted(sql: &str) -> impl Iterator<Item = (bool, &str)> {
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
