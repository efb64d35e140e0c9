//! Whether the values of a column are equal to themselves by way of the text that is passed.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::super::columns::Column;
use super::super::dialect::{Dialect, Holds};
use super::super::driver::{Pool, Value};
use super::super::statement::{Given, Statement};
use super::description::ExistingTable;
use crate::TableError;
use tower_logout::BoxError;

pub(super) struct Probe<'a> {
    pub(super) pool: &'a Pool,
    pub(super) description: &'a ExistingTable,
    /// Quoted.
    pub(super) table: &'a str,
}

/// How many rows are looked at.
const ROWS: usize = 20;

/// Texts of which most types take one. Those that a type does not take say nothing.
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
        let statement = Statement::new(self.pool.dialect(), sql);
        let rows = self
            .pool
            .fetch(&statement.sql, &statement.values(given))
            .await?;
        let texts = rows.iter().map(|row| row.text_or_null(0));
        texts.filter_map(Result::transpose).collect()
    }

    /// A few values of the rows that there are.
    async fn some(&self, column: &Column, text: &str) -> Result<BTreeSet<String>, BoxError> {
        let name = self.pool.dialect().quote(&column.name);
        let sql = format!(
            "SELECT {text} FROM {} WHERE {name} IS NOT NULL LIMIT {ROWS}",
            self.table
        );
        let texts = self.texts(&sql, &Given::default()).await?;
        Ok(texts.into_iter().collect())
    }

    fn unequal(&self, column: &Column) -> BoxError {
        TableError::UnequalColumn {
            table: self.description.table.clone(),
            column: column.name.clone(),
            data_type: column.data_type.clone(),
        }
        .into()
    }

    /// Whether a value is found by what it is equal to. Otherwise its row may have gone.
    async fn is_found(
        &self,
        column: &Column,
        (from, is): (&str, &str),
        (text, given): (&str, &Given<'_>),
    ) -> Result<(), BoxError> {
        let found = format!("SELECT '1' FROM {from} WHERE {is} LIMIT 1");
        if !self.texts(&found, given).await?.is_empty() {
            return Ok(());
        }
        let there = format!("SELECT '1' FROM {from} WHERE {text} = ?constant0 LIMIT 1");
        if self.texts(&there, given).await?.is_empty() {
            return Ok(());
        }
        Err(self.unequal(column))
    }

    /// Sessions and subjects.
    pub(super) async fn id(&self, column: &Column) -> Result<(), BoxError> {
        let (dialect, is, text) = (self.pool.dialect(), column.is_id("?id0"), column.as_text());
        if dialect == Dialect::Postgres {
            // A type without an order or a hash has no equality, or one of its own.
            let name = dialect.quote(&column.name);
            let distinct = format!(
                "SELECT CAST(count(DISTINCT {name}) AS TEXT) FROM (SELECT {name} FROM {} LIMIT 0) AS none",
                self.table
            );
            if let Err(error) = self.texts(&distinct, &Given::default()).await {
                return Err(of_the_value(error).unwrap_or_else(|| self.unequal(column)));
            }
        }
        for value in self.some(column, &text).await? {
            let ids = [Value::Text(&value)];
            let given = Given {
                ids: &ids,
                constants: std::slice::from_ref(&value),
                ..Given::default()
            };
            self.is_found(column, (self.table, &is), (&text, &given))
                .await?;
        }
        let name = dialect.quote(&column.name);
        for value in MADE_UP {
            let made_up = column.made_up("?subject");
            let from = format!("(SELECT {made_up} AS {name}) AS made_up");
            let given = Given {
                subject: value,
                ..Given::default()
            };
            let texts = match self
                .texts(&format!("SELECT {text} FROM {from}"), &given)
                .await
            {
                Ok(texts) => texts,
                Err(error) => match of_the_value(error) {
                    Some(error) => return Err(error),
                    None => continue,
                },
            };
            for value in &texts {
                let ids = [Value::Text(value)];
                let given = Given {
                    ids: &ids,
                    constants: std::slice::from_ref(value),
                    ..given
                };
                self.is_found(column, (&from, &is), (&text, &given)).await?;
            }
        }
        Ok(())
    }

    /// Tokens, and whether they look like the format that is said to be theirs.
    pub(super) async fn token(&self, column: &Column) -> Result<(), BoxError> {
        let format = &self.description.format;
        let holds = format.holds();
        let text = column.token_as_text(holds);
        let some = self.some(column, &text).await?;
        let some: Vec<_> = some.into_iter().map(Zeroizing::new).collect();
        if holds == Holds::Bytes {
            return Ok(());
        }
        let is = column.is_token(holds, "?token0");
        for value in some {
            let tokens = [Value::Text(&value)];
            let constants = [(*value).clone()];
            let given = Given {
                tokens: &tokens,
                constants: &constants,
                ..Given::default()
            };
            self.is_found(column, (self.table, &is), (&text, &given))
                .await?;
        }
        Ok(())
    }
}

/// The error, unless the database has refused what it was asked.
fn of_the_value(error: BoxError) -> Option<BoxError> {
    let refused = error
        .downcast_ref::<sqlx::Error>()
        .is_some_and(|error| error.as_database_error().is_some());
    (!refused).then_some(error)
}
