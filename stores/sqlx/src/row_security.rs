//! Row level security in Postgres, which may hide rows.

use tower_logout::BoxError;

use crate::TableError;
use crate::dialect::Dialect;
use crate::pool::{Fetch, SqlPool, Value};

/// Schema and table → whether the table is a view, whether policies apply to the role that connects.
const SECURITY: &str = "SELECT CASE WHEN relkind = 'v' THEN 1 ELSE 0 END::BIGINT, \
    CASE WHEN row_security_active(oid) THEN 1 ELSE 0 END::BIGINT \
    FROM pg_catalog.pg_class WHERE oid = \
    to_regclass(coalesce(quote_ident(nullif(?, '')) || '.', '') || quote_ident(?))";

/// Refuses a table if policies may hide rows from the role that connects. Those of the table behind a view
/// are not known.
pub(crate) async fn check_row_security(
    pool: &SqlPool,
    schema: &str,
    table: &str,
) -> Result<(), BoxError> {
    let dialect = pool.dialect();
    if dialect != Dialect::Postgres {
        return Ok(());
    }
    let sql = dialect.numbered(SECURITY).into();
    let values = [schema, table].map(Value::Text);
    let is_security = pool.fetch(&sql, &values, |row| Ok((row.int(0)?, row.int(1)?)));
    let table = table.to_owned();
    match is_security.await?.first() {
        Some((1, _)) => Err(TableError::View { table }.into()),
        Some((_, 1)) => Err(TableError::RowSecurity { table }.into()),
        _ => Ok(()),
    }
}
