//! The statements of a logout, for a reader.

use std::fmt;
use std::sync::Arc;

use super::group::Group;
use super::queries::Queries;
use super::statement::Statement;
use crate::pool::SqlPool;

/// A statement that a [`TableStore`](crate::TableStore) runs for a logout.
///
/// The `Display` text is the statement, after comments with its purpose and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableStatement {
    /// What the statement is for, and what follows from its answer.
    pub purpose: &'static str,
    /// The statement, in the SQL of the database.
    pub sql: String,
    /// The parameters in their order: `token` (as the table holds it), `session` (as text), or a text in quotes.
    pub parameters: Vec<String>,
}

const READ: &str = "Reads the rows of the token: token, session, 1 if not ended, 1 if live.";
const BEGIN: &str = "Begins the transaction.";
const READ_AGAIN: &str = "If no row was read: reads again. Still none: there is no such session.";
const SESSION: [&str; 4] = [
    "For each session that was read, in their order: locks its rows, and waits for a refresh in flight.",
    "Removes the references to the rows of the session.",
    "Ends the rows of the session.",
    "Reads the rows of the session that are left. A row: again from the lock. The same row twice: an error.",
];
const TOKEN: [&str; 4] = [
    "If a row without a session was read: locks the rows of the token that have no session.",
    "Removes the references to these rows.",
    "Ends these rows.",
    "Reads the rows that are left. A row: again from the lock. The same row twice: an error.",
];
const PROVE: &str =
    "If a session was ended: reads the rows of the token. One that is not ended: an error.";
const LOG: &str = "For each session of which a live row was ended, as the last statement before the commit: writes its entry.";
const ADVANCE: &str = "After each entry: takes its position.";
const COMMIT: &str = "Commits. After an error, roll back instead.";

impl TableStatement {
    pub(super) fn of_logout(
        pool: &SqlPool,
        queries: &Queries,
        log: Option<(Arc<str>, Option<Arc<str>>)>,
    ) -> Vec<Self> {
        let (by_token, session, token) = queries.parts();
        let mut statements = vec![
            Self::new(READ, by_token),
            Self::plain(BEGIN, pool.begin_sql()),
            Self::new(READ_AGAIN, by_token),
        ];
        if let Some(session) = session {
            statements.extend(Self::of_group(SESSION, session));
        }
        statements.extend(Self::of_group(TOKEN, token));
        if session.is_some() {
            statements.push(Self::new(PROVE, by_token));
        }
        if let Some((entry, advance)) = log {
            statements.push(Self {
                purpose: LOG,
                sql: entry.to_string(),
                parameters: vec!["session".to_owned()],
            });
            statements.extend(advance.map(|sql| Self::plain(ADVANCE, sql.to_string())));
        }
        statements.push(Self::plain(COMMIT, "COMMIT".to_owned()));
        statements
    }

    fn of_group(purposes: [&'static str; 4], group: &Group) -> Vec<Self> {
        let [first, then, end, last] = purposes;
        let locks = group.lock.iter().map(|sql| Self::new(first, sql));
        let unlinks = group.unlink.iter().map(|sql| Self::new(then, sql));
        let end_and_look = [Self::new(end, &group.end), Self::new(last, &group.look)];
        locks.chain(unlinks).chain(end_and_look).collect()
    }

    fn new(purpose: &'static str, statement: &Statement) -> Self {
        Self {
            purpose,
            sql: statement.sql.to_string(),
            parameters: statement.parameter_names(),
        }
    }

    fn plain(purpose: &'static str, sql: String) -> Self {
        Self {
            purpose,
            sql,
            parameters: Vec::new(),
        }
    }
}

impl fmt::Display for TableStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "-- {}", self.purpose)?;
        if !self.parameters.is_empty() {
            writeln!(f, "-- Parameters: {}", self.parameters.join(", "))?;
        }
        write!(f, "{};", self.sql)
    }
}
