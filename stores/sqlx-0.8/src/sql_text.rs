//! How sqlx takes the text of a statement. This file is the only one that differs between the versions of sqlx.

use std::sync::Arc;

/// The text is made of the configuration alone. A request only adds values.
pub(crate) fn sql_text(sql: &Arc<str>) -> &str {
    sql
}
