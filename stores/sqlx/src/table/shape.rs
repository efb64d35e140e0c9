//! A table whose columns are known, and the parts of its statements.

use std::sync::Arc;

use super::column::{Column, Holds};
use super::group::Group;
use super::mark::{Expiry, Live, Mark};
use super::references::Reference;
use super::statement::Statement;
use crate::dialect::Dialect;

/// A table whose columns are known.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) dialect: Dialect,
    /// Quoted, with its schema.
    pub(super) name: String,
    pub(super) token: Column,
    pub(super) holds: Holds,
    pub(super) session: Option<Column>,
    pub(super) subject: Option<Column>,
    pub(super) mark: Option<(Column, Mark)>,
    pub(super) live: Vec<(Column, Live)>,
    pub(super) expiry: Option<(Column, Expiry)>,
    pub(super) references: Vec<Reference>,
}

impl Shape {
    /// The texts that are parameters of all statements.
    fn constants(&self) -> Arc<[String]> {
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

    pub(super) fn statement(&self, sql: &str) -> Statement {
        Statement::new(self.dialect, sql, &self.constants())
    }

    fn quote(&self, column: &Column) -> String {
        self.dialect.quote(&column.name)
    }

    /// Whether a row is not marked as ended.
    pub(super) fn is_open(&self) -> String {
        self.mark.as_ref().map_or_else(
            || "1 = 1".to_owned(),
            |(column, mark)| mark.is_missing(&self.quote(column), &column.written("?constant0")),
        )
    }

    pub(super) fn is_live(&self) -> String {
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

    /// Selects rows that [`Seen::read`](super::group::Seen::read) reads.
    pub(super) fn select(&self, also: &str, which: &str) -> String {
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

    pub(super) fn is_token(&self) -> String {
        self.token.is_token(self.holds, "?token0")
    }

    pub(super) fn without_session(&self) -> String {
        let session = self.session.as_ref();
        session.map_or_else(String::new, |session| {
            format!(" AND {} IS NULL", self.quote(session))
        })
    }

    /// Ends the rows that meet a condition.
    pub(super) fn group(&self, which: &str) -> Group {
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
        // A row that is marked stays, and so do the rows that refer to it.
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

    /// Writes the mark to no row, which fails if the column cannot hold the mark.
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
