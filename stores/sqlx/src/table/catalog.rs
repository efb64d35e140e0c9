//! The columns of a table, as the database describes them.

use tower_logout::BoxError;

use super::column::{Column, Kind};
use crate::dialect::Dialect;
use crate::pool::{Fetch, Row, SqlPool, Value};

/// Table and schema → for each column its name, type, character set, collation, length and nullability.
const SQLITE: &str = "SELECT name, type, NULL, NULL, NULL, \
    CASE \"notnull\" WHEN 0 THEN 'YES' ELSE 'NO' END \
    FROM pragma_table_info(?) WHERE ? = '' AND ? = ''";

const POSTGRES: &str = "WITH RECURSIVE typed AS ( \
    SELECT attname, attnum, atttypid AS type, atttypmod AS modifier, attnotnull AS required \
    FROM pg_catalog.pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = \
    (SELECT to_regclass(coalesce(quote_ident(nullif(?, '')) || '.', '') || quote_ident(?))) \
    UNION ALL \
    SELECT attname, attnum, typbasetype, typtypmod, required OR typnotnull \
    FROM typed JOIN pg_catalog.pg_type ON pg_type.oid = typed.type WHERE typtype = 'd') \
    SELECT CAST(attname AS TEXT), quote_ident(nspname) || '.' || quote_ident(typname), \
    CAST(NULL AS TEXT), CAST(NULL AS TEXT), \
    CASE WHEN typname IN ('bpchar', 'varchar') AND modifier > 4 THEN CAST(modifier - 4 AS TEXT) END, \
    CASE WHEN required THEN 'NO' ELSE 'YES' END \
    FROM typed JOIN pg_catalog.pg_type ON pg_type.oid = typed.type \
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = typnamespace \
    WHERE typtype <> 'd' ORDER BY attnum";

const MYSQL: &str = "SELECT column_name, data_type, character_set_name, collation_name, \
    CAST(character_maximum_length AS CHAR), is_nullable \
    FROM information_schema.columns WHERE table_name = ? \
    AND table_schema = COALESCE(NULLIF(?, ''), DATABASE()) ORDER BY ordinal_position";

/// The columns of a table, or none if there is no such table. Without a schema, the connection's schema is
/// used.
pub(super) async fn columns(
    pool: &SqlPool,
    schema: &str,
    table: &str,
) -> Result<Vec<Column>, BoxError> {
    let dialect = pool.dialect();
    match dialect {
        Dialect::Sqlite => read(pool, SQLITE, &[table, schema, schema]).await,
        Dialect::Postgres => read(pool, POSTGRES, &[schema, table]).await,
        Dialect::MySql => read(pool, MYSQL, &[table, schema]).await,
    }
}

async fn read(pool: &SqlPool, sql: &str, names: &[&str]) -> Result<Vec<Column>, BoxError> {
    let dialect = pool.dialect();
    let values: Vec<_> = names.iter().map(|name| Value::Text(name)).collect();
    let described = |row: &dyn Row| {
        let text = row.text_or_null(2)?.zip(row.text_or_null(3)?);
        Ok((
            row.text(0)?,
            row.text(1)?,
            text,
            row.text_or_null(4)?,
            row.text(5)?,
        ))
    };
    let sql = dialect.numbered(sql).into();
    let columns = pool.fetch(&sql, &values, described).await?;
    Ok(columns
        .into_iter()
        .map(|(name, data_type, text, length, nullable)| Column {
            name,
            text,
            length: length.and_then(|length| length.parse().ok()),
            nullable: nullable == "YES",
            kind: Kind::of(dialect, &data_type),
            data_type,
            dialect,
        })
        .collect())
}

/// The column of this name, as the database compares names.
pub(super) fn column<'c>(columns: &'c [Column], name: &str) -> Option<&'c Column> {
    let same = |column: &&Column| column.dialect.same_name(&column.name, name);
    columns.iter().find(same)
}
