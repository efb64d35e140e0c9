//! Whether the digests in a table are written as the application says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tower_logout::BoxError;
use zeroize::Zeroizing;

use super::description::Description;
use super::error::TableError;
use super::shape::Shape;
use crate::encoding::Encoding;
use crate::pool::{Fetch, SqlPool};

/// How many rows are read.
const ROWS: usize = 20;

/// A few rows of the table. They are checked when the store is made, and if the table was empty then, again
/// before the first token that is not found counts as unknown.
#[derive(Debug)]
pub(super) struct Sample {
    sql: Arc<str>,
    /// `None` for tokens in clear, which may look like anything.
    encoding: Option<Encoding>,
    pub(super) table: String,
    column: String,
    is_checked: AtomicBool,
}

impl Sample {
    pub(super) fn new(description: &Description, shape: &Shape) -> Self {
        let name = shape.dialect.quote(&shape.token.name);
        let text = shape.token.token_as_text(shape.holds);
        let from = &shape.name;
        let sql = format!("SELECT {text} FROM {from} WHERE {name} IS NOT NULL LIMIT {ROWS}");
        Self {
            sql: sql.into(),
            encoding: description.digest.encoding(),
            table: description.table.clone(),
            column: shape.token.name.clone(),
            is_checked: AtomicBool::new(false),
        }
    }

    /// The tokens of the rows, as text.
    pub(super) async fn tokens(&self, pool: &SqlPool) -> Result<Vec<Zeroizing<String>>, BoxError> {
        // Bytes that are no text are `NULL` as text.
        let tokens = pool.fetch(&self.sql, &[], |row| {
            Ok(Zeroizing::new(row.text_or_null(0)?.unwrap_or_default()))
        });
        tokens.await
    }

    /// Whether all tokens are written as the application says.
    pub(super) fn check(&self, tokens: &[Zeroizing<String>]) -> Result<(), TableError> {
        let Some(encoding) = self.encoding else {
            return Ok(());
        };
        let fits = |text: &str| match encoding {
            // Each byte is two hexadecimal digits.
            Encoding::Bytes => text.len() == encoding.len() * 2,
            encoding => encoding.fits(text),
        };
        if let Some(other) = tokens.iter().find(|text| !fits(text)) {
            return Err(TableError::OtherDigest {
                table: self.table.clone(),
                column: self.column.clone(),
                wanted: encoding.name(),
                seen: match encoding {
                    Encoding::Bytes => format!("{} bytes", other.len() / 2),
                    _ => Encoding::describe(other),
                },
            });
        }
        self.is_checked.store(!tokens.is_empty(), Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn check_unless_checked(&self, pool: &SqlPool) -> Result<(), BoxError> {
        if self.encoding.is_some() && !self.is_checked.load(Ordering::Relaxed) {
            self.check(&self.tokens(pool).await?)?;
        }
        Ok(())
    }
}
