//! The statements over an application's table.

use super::super::columns::Column;
use super::super::dialect::{Dialect, Holds};
use super::super::statement::Statement;
use super::group::Group;
use super::mark::{Expiry, Live, Mark};
use super::references::Reference;

/// How many sessions, or tokens without one, end in one statement.
pub(super) const BATCH: usize = 16;

/// A table that was looked at.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) dialect: Dialect,
    /// Quoted, with its schema.
    pub(super) name: String,
    pub(super) token: Column,
    pub(super) holds: Holds,
    pub(super) session: Option<Column>,
    pub(super) mark: Option<(Column, Mark)>,
    pub(super) live: Vec<(Column, Live)>,
    pub(super) expiry: Option<(Column, Expiry)>,
    pub(super) references: Vec<Reference>,
}

#[derive(Debug)]
pub(super) struct Statements {
    /// Token → its rows, ended ones too.
    pub(super) by_token: Statement,
    /// The rows of a token that have no session.
    pub(super) token: Group,
    /// The rows of a session.
    pub(super) session: Option<Group>,
}

#[derive(Debug)]
pub(super) struct SubjectStatements {
    /// Token → its rows, ended ones too, and their subject.
    pub(super) by_token: Statement,
    /// Token, subject → a row, if the token is the subject's.
    pub(super) is_of_subject: Statement,
    /// Session → its rows.
    pub(super) of_session: Option<Statement>,
    /// Subject → its rows.
    pub(super) rows: Statement,
    /// Of a subject, the rows of some tokens that have no session.
    pub(super) tokens: Group,
    /// Of a subject, the rows of some sessions.
    pub(super) sessions: Option<Group>,
}

impl Table {
    /// The texts that are parameters of all statements.
    pub(super) fn constants(&self) -> Vec<String> {
        let mark = self.mark.iter().map(|(_, mark)| match mark {
            Mark::Text(text) => text.clone(),
            _ => String::new(),
        });
        let live = self.live.iter().map(|(_, live)| match live {
            Live::Text(text) => text.clone(),
            _ => String::new(),
        });
        mark.chain(live).collect()
    }

    fn statement(&self, sql: &str) -> Statement {
        Statement::new(self.dialect, sql)
    }

    fn quote(&self, column: &Column) -> String {
        self.dialect.quote(&column.name)
    }

    /// Whether a row is not marked as ended.
    fn is_open(&self) -> String {
        self.mark.as_ref().map_or_else(
            || "1 = 1".to_owned(),
            |(column, mark)| mark.is_missing(&self.quote(column), &column.written("?constant0")),
        )
    }

    fn is_live(&self) -> String {
        let mut conditions = vec![self.is_open()];
        for (index, (column, live)) in self.live.iter().enumerate() {
            let index = index + usize::from(self.mark.is_some());
            let text = column.written(&format!("?constant{index}"));
            conditions.push(live.condition(&self.quote(column), &text));
        }
        if let Some((column, expiry)) = &self.expiry {
            conditions.push(expiry.condition(self.dialect, &self.quote(column)));
        }
        conditions.join(" AND ")
    }

    /// Rows as [`Seen::read`](super::group::Seen::read) reads them.
    fn select(&self, also: &str, which: &str) -> String {
        let session = match &self.session {
            Some(session) => session.as_text(),
            None => "NULL".to_owned(),
        };
        format!(
            "SELECT {}, {session}, CASE WHEN {} THEN '1' ELSE '0' END, \
             CASE WHEN {} THEN '1' ELSE '0' END{also} FROM {} WHERE {which}",
            self.token.token_as_text(self.holds),
            self.is_open(),
            self.is_live(),
            self.name
        )
    }

    fn is_token(&self) -> String {
        self.token.is_token(self.holds, "?token0")
    }

    fn any_of(count: usize, is: impl Fn(usize) -> String) -> String {
        let each: Vec<_> = (0..count).map(is).collect();
        format!("({})", each.join(" OR "))
    }

    fn without_session(&self) -> String {
        let session = self.session.as_ref();
        session.map_or_else(String::new, |session| {
            format!(" AND {} IS NULL", self.quote(session))
        })
    }

    /// What ends the rows that a condition is true of.
    fn group(&self, which: &str) -> Group {
        let open = format!("{which} AND {}", self.is_open());
        let (dialect, name) = (self.dialect, &self.name);
        let end = match &self.mark {
            Some((column, mark)) => format!(
                "UPDATE {name} SET {} = {} WHERE {open}",
                self.quote(column),
                mark.value(dialect, &column.written("?constant0"))
            ),
            None => format!("DELETE FROM {name} WHERE {which}"),
        };
        // A row that is marked stays, and whatever refers to it.
        let references = match &self.mark {
            Some(_) => &[],
            None => &*self.references,
        };
        let leaves = references.iter();
        let leaves = leaves.filter_map(|reference| reference.is_leaf(dialect, name, which));
        let end = leaves.fold(end, |end, is_leaf| format!("{end} AND {is_leaf}"));
        let unlink = references.iter();
        let unlink = unlink.filter_map(|reference| reference.unlink(dialect, name, which));
        Group {
            lock: Some(self.statement(&format!(
                "{} ORDER BY {}{}",
                self.select("", &open),
                self.quote(&self.token),
                dialect.lock()
            ))),
            look: self.statement(&self.select("", &open)),
            unlink: unlink.map(|sql| self.statement(&sql)).collect(),
            end: self.statement(&end),
        }
    }

    pub(super) fn statements(&self) -> Statements {
        let is_token = self.is_token();
        let mut token = self.group(&format!("{is_token}{}", self.without_session()));
        if self.session.is_none() && token.unlink.is_empty() {
            // Nothing follows such a row that would have to be waited for, and Postgres asks who locks
            // a row for the right to change it.
            token.lock = None;
        }
        Statements {
            by_token: self.statement(&self.select("", &is_token)),
            token,
            session: self
                .session
                .as_ref()
                .map(|session| self.group(&session.is_id("?id0"))),
        }
    }

    pub(super) fn of_subject(&self, subject: &Column) -> SubjectStatements {
        let is_token = self.is_token();
        let is_subject = subject.is_id("?subject");
        let tokens = Self::any_of(BATCH, |index| {
            self.token.is_token(self.holds, &format!("?token{index}"))
        });
        SubjectStatements {
            by_token: self.statement(&self.select(&format!(", {}", subject.as_text()), &is_token)),
            is_of_subject: self.statement(&format!(
                "SELECT '1' FROM {} WHERE {is_token} AND {is_subject}",
                self.name
            )),
            of_session: self
                .session
                .as_ref()
                .map(|session| self.statement(&self.select("", &session.is_id("?id0")))),
            rows: self.statement(&self.select("", &format!("{is_subject} AND {}", self.is_open()))),
            tokens: self.group(&format!(
                "{is_subject} AND {tokens}{}",
                self.without_session()
            )),
            sessions: self.session.as_ref().map(|session| {
                let ids = Self::any_of(BATCH, |index| session.is_id(&format!("?id{index}")));
                self.group(&format!("{is_subject} AND {ids}"))
            }),
        }
    }

    /// Writes the mark to no row: whether the column can hold it.
    pub(super) fn mark_nothing(&self) -> Option<Statement> {
        let (column, mark) = self.mark.as_ref()?;
        Some(self.statement(&format!(
            "UPDATE {} SET {} = {} WHERE 1 = 0",
            self.name,
            self.quote(column),
            mark.value(self.dialect, &column.written("?constant0"))
        )))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sqlx::{AssertSqlSafe, Row, SqlitePool};

    use super::super::super::driver::SqlPool;
    use crate::{ExistingTable, TokenFormat};

    /// Whether no table is read from its beginning to its end.
    async fn uses_an_index(pool: &SqlitePool, statement: &str) -> bool {
        let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let rows = explain.fetch_all(pool).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        steps.iter().any(|step| step.starts_with("SEARCH "))
            && !steps.iter().any(|step| step.starts_with("SCAN "))
    }

    #[tokio::test]
    async fn each_statement_uses_an_index_whatever_the_types_are() {
        for (token, id) in [
            ("TEXT", "TEXT"),
            ("TEXT COLLATE NOCASE", "TEXT COLLATE NOCASE"),
            ("BLOB", "BLOB"),
            ("", ""),
            ("VARCHAR(64)", "INTEGER"),
            ("CHAR(64)", "NUMERIC"),
        ] {
            let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
            let pool = pool.connect("sqlite::memory:").await.unwrap();
            let create = format!(
                "CREATE TABLE tokens (id INTEGER PRIMARY KEY, token {token}, family {id}, \
                 owner {id}, parent_id INT REFERENCES tokens (id)); \
                 CREATE INDEX parents ON tokens (parent_id);"
            );
            let create = sqlx::raw_sql(AssertSqlSafe(create));
            create.execute(&pool).await.unwrap();
            let format = TokenFormat::sha256();
            let format = if token.contains('T') || token.contains('C') {
                format.hex()
            } else {
                format
            };
            let description =
                ExistingTable::new("tokens", "token", format).session_column("family");
            let SqlPool(driver) = pool.clone().into();
            let (table, subject) = description.look(&driver, Some("owner")).await.unwrap();
            let (own, of_subject) = (table.statements(), table.of_subject(&subject.unwrap()));
            let single = [
                &own.by_token,
                &of_subject.by_token,
                &of_subject.is_of_subject,
                &of_subject.rows,
                of_subject.of_session.as_ref().unwrap(),
            ];
            let groups = [
                &own.token,
                own.session.as_ref().unwrap(),
                &of_subject.tokens,
                of_subject.sessions.as_ref().unwrap(),
            ];
            let groups = groups.iter().flat_map(|group| {
                let always = [&group.look, &group.end].into_iter();
                always.chain(&group.lock).chain(&group.unlink)
            });
            let statements: Vec<_> = single.into_iter().chain(groups).collect();
            for statement in &statements {
                // Else nothing would be proven.
                let sql = &*statement.sql;
                assert!(!uses_an_index(&pool, sql).await, "{sql}");
            }
            let index = "CREATE INDEX tokens_by ON tokens (token); \
                         CREATE INDEX families ON tokens (family); \
                         CREATE INDEX owners ON tokens (owner);";
            sqlx::raw_sql(index).execute(&pool).await.unwrap();
            for statement in statements {
                let sql = &*statement.sql;
                assert!(uses_an_index(&pool, sql).await, "{token} and {id}: {sql}");
            }
        }
    }
}
