//! Whether the values of a column equal themselves as text.

use std::collections::BTreeSet;
use std::sync::Arc;

use tower_logout::BoxError;
use zeroize::Zeroizing;

use super::column::{Column, Holds};
use super::description::Description;
use super::error::TableError;
use super::statement::{Given, Statement};
use crate::dialect::Dialect;
use crate::pool::{SqlPool, Value};

pub(super) struct Probe<'a> {
    pub(super) pool: &'a SqlPool,
    pub(super) description: &'a Description,
    /// Quoted.
    pub(super) table: &'a str,
}

/// How many rows are read.
const ROWS: usize = 20;

/// Most types take one of these texts. A text that a type does not take proves nothing.
const MADE_UP: [&str; 14] = [
    "7",
    "Zo\u{eb} 7",
    "AbC",
    "0.1",
    "true",
    "{1,2}",
    "[1,2)",
    "1010",
    "2001:db8::1",
    "192.0.2.7",
    "08:00:2b:01:02:03",
    "2026-01-02 03:04:05",
    "1 day",
    "6f1d0c2a-9a53-4c1e-8b7d-0123456789ab",
];

impl Probe<'_> {
    async fn texts(&self, sql: &str, given: &Given<'_>) -> Result<Vec<String>, BoxError> {
        let statement = Statement::new(self.pool.dialect(), sql, &Arc::default());
        let texts = statement.fetch(self.pool, given, |row| row.text_or_null(0));
        Ok(texts.await?.into_iter().flatten().collect())
    }

    fn unequal(&self, column: &Column) -> BoxError {
        TableError::UnequalColumn {
            table: self.description.table.clone(),
            column: column.name.clone(),
            data_type: column.data_type.clone(),
        }
        .into()
    }

    /// Whether a value is found by the text that it is equal to. If the value is not there any more, it proves
    /// nothing.
    async fn is_found(
        &self,
        column: &Column,
        from: &str,
        (is, is_text): (&str, &str),
        given: &Given<'_>,
    ) -> Result<(), BoxError> {
        if !self.exists(from, is, given).await? && self.exists(from, is_text, given).await? {
            return Err(self.unequal(column));
        }
        Ok(())
    }

    async fn exists(&self, from: &str, which: &str, given: &Given<'_>) -> Result<bool, BoxError> {
        let sql = format!("SELECT '1' FROM {from} WHERE {which} LIMIT 1");
        Ok(!self.texts(&sql, given).await?.is_empty())
    }

    /// Checks a column of sessions or subjects.
    pub(super) async fn ids(&self, column: &Column) -> Result<(), BoxError> {
        let dialect = self.pool.dialect();
        let (name, text) = (dialect.quote(&column.name), column.as_text());
        if dialect == Dialect::Postgres {
            // A type without an order or a hash has no equality, or an equality of its own.
            let distinct = format!(
                "SELECT CAST(count(DISTINCT {name}) AS TEXT) FROM (SELECT {name} FROM {} LIMIT 0) AS none",
                self.table
            );
            if let Err(error) = self.texts(&distinct, &Given::default()).await {
                return Err(unless_refused(error).unwrap_or_else(|| self.unequal(column)));
            }
        }
        let some = format!(
            "SELECT {text} FROM {} WHERE {name} IS NOT NULL LIMIT {ROWS}",
            self.table
        );
        let some = self.texts(&some, &Given::default()).await?;
        self.are_found(column, self.table, some, "").await?;
        let from = format!(
            "(SELECT {} AS {name}) AS made_up",
            column.made_up("?subject")
        );
        for subject in MADE_UP {
            let given = Given {
                subject,
                ..Given::default()
            };
            let made_up = format!("SELECT {text} FROM {from}");
            match self.texts(&made_up, &given).await {
                Ok(texts) => self.are_found(column, &from, texts, subject).await?,
                Err(error) => {
                    if let Some(error) = unless_refused(error) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    async fn are_found(
        &self,
        column: &Column,
        from: &str,
        texts: Vec<String>,
        subject: &str,
    ) -> Result<(), BoxError> {
        let (is, is_text) = (column.is_id("?id0"), format!("{} = ?id0", column.as_text()));
        for text in BTreeSet::from_iter(texts) {
            let given = Given {
                ids: &[Value::Text(&text)],
                subject,
                ..Given::default()
            };
            self.is_found(column, from, (&is, &is_text), &given).await?;
        }
        Ok(())
    }

    /// Checks the column of the tokens, with some tokens of it. Bytes are compared as they are.
    pub(super) async fn tokens(
        &self,
        column: &Column,
        tokens: &[Zeroizing<String>],
    ) -> Result<(), BoxError> {
        let holds = Holds::of_digest(&self.description.digest);
        if holds == Holds::Bytes {
            return Ok(());
        }
        let is = column.is_token(holds, "?token0");
        let is_text = format!("{} = ?token0", column.token_as_text(holds));
        for token in tokens {
            let given = Given {
                tokens: &[Value::Text(token)],
                ..Given::default()
            };
            self.is_found(column, self.table, (&is, &is_text), &given)
                .await?;
        }
        Ok(())
    }
}

/// The error, unless the database has refused the statement.
fn unless_refused(error: BoxError) -> Option<BoxError> {
    let refused = error
        .downcast_ref::<sqlx::Error>()
        .is_some_and(|error| error.as_database_error().is_some());
    (!refused).then_some(error)
}
