//! Whether the digests that a table holds are written as they are said to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::super::driver::Pool;
use super::super::written::Written;
use super::description::ExistingTable;
use super::statements::Table;
use crate::TableError;
use tower_logout::BoxError;

/// How many rows are looked at.
const ROWS: usize = 20;

/// A few rows of the table. It is looked at when the store is made, and where there was none yet, before
/// the first token that is not found is believed to be unknown.
#[derive(Debug)]
pub(super) struct Sample {
    sql: Arc<str>,
    written: Written,
    table: String,
    column: String,
    has_fitted: AtomicBool,
}

impl Sample {
    /// `None` for tokens in clear, which may look like anything.
    pub(super) fn of(description: &ExistingTable, table: &Table) -> Option<Self> {
        let written = description.format.digest_written()?;
        let name = table.dialect.quote(&table.token.name);
        let text = table.token.token_as_text(table.holds);
        let from = &table.name;
        let sql = format!("SELECT {text} FROM {from} WHERE {name} IS NOT NULL LIMIT {ROWS}");
        Some(Self {
            sql: sql.into(),
            written,
            table: description.table.clone(),
            column: table.token.name.clone(),
            has_fitted: AtomicBool::new(false),
        })
    }

    pub(super) async fn check(&self, pool: &Pool) -> Result<(), BoxError> {
        if self.has_fitted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let rows = pool.fetch(&self.sql, &[]).await?;
        for row in &rows {
            let text = Zeroizing::new(row.text(0)?);
            if !self.fits(&text) {
                return Err(self.other_format(&text).into());
            }
        }
        self.has_fitted.store(!rows.is_empty(), Ordering::Relaxed);
        Ok(())
    }

    fn fits(&self, text: &str) -> bool {
        match self.written {
            // Their hexadecimal digits are two each.
            Written::Bytes => text.len() == self.written.len() * 2,
            written => written.fits(text),
        }
    }

    fn other_format(&self, seen: &str) -> TableError {
        TableError::OtherFormat {
            table: self.table.clone(),
            column: self.column.clone(),
            wanted: self.written.name(),
            seen: match self.written {
                Written::Bytes => format!("{} bytes", seen.len() / 2),
                _ => Written::describe(seen),
            },
        }
    }
}
