//! The look-up of a live session in an existing table.

use async_trait::async_trait;
use tower_logout::BoxError;
use tower_logout::require::SessionLookup;
use tower_logout::store::SessionId;

use super::column::Column;
use super::error::TableError;
use super::shape::Shape;
use super::statement::{Given, Statement};
use super::store::TableStore;
use crate::pool::failure::is_data_exception;
use crate::pool::{Row, Value};

/// A live session of a [`TableStore`], which
/// [`RequireSessionLayer::asking`](tower_logout::require::RequireSessionLayer::asking) adds to the extensions of
/// a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSession {
    /// The value of the [session column](crate::TableStoreBuilder::session_column), as text.
    pub id: SessionId,
    /// The value of the [subject column](crate::TableStoreBuilder::subject_column), as text. `None` without such
    /// a column, and for `NULL`.
    pub subject: Option<String>,
}

impl TableSession {
    fn read(row: &dyn Row) -> Result<Option<Self>, BoxError> {
        let Some(id) = row.text_or_null(1)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id: SessionId::new(id),
            subject: row.text_or_null(2)?,
        }))
    }
}

/// Reads a live row of a session. `None` without a session column.
pub(super) fn statement(shape: &Shape) -> Option<Statement> {
    let session = shape.session.as_ref()?;
    let subject = shape.subject.as_ref();
    let subject = subject.map_or_else(|| "NULL".to_owned(), Column::as_text);
    let select = format!(
        "SELECT {} AS id, {subject} AS subject FROM {} WHERE {} AND {} LIMIT 1",
        session.as_text(),
        shape.name,
        session.is_id("?id0"),
        shape.is_live()
    );
    Some(shape.statement(&shape.dialect.on_primary(&select)))
}

/// Finds a session by the value of its [session column](crate::TableStoreBuilder::session_column), if one of its
/// rows is live. Without a session column, a look-up is a [`TableError::NoSessionColumn`].
#[async_trait]
impl<S: Send + Sync + 'static> SessionLookup for TableStore<S> {
    type Session = TableSession;

    async fn look_up(&self, id: &SessionId) -> Result<Option<TableSession>, BoxError> {
        let Some(statement) = &self.session else {
            let table = self.sample.table.clone();
            return Err(TableError::NoSessionColumn { table }.into());
        };
        let given = Given {
            ids: &[Value::Text(id.as_str())],
            ..Given::default()
        };
        match statement
            .fetch(self.pool.primary(), &given, TableSession::read)
            .await
        {
            Ok(rows) => Ok(rows.into_iter().next().flatten()),
            // A text that the column's type does not take is the id of no session.
            Err(error) if is_data_exception(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
