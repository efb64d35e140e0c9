//! Rows that refer to other rows of their table, for example each token to the token that it replaced.

use tower_logout::BoxError;

use super::catalog::column;
use super::column::Column;
use crate::dialect::Dialect;
use crate::pool::{Fetch, Row, SqlPool, Value};

/// A foreign key of the table to itself: a row cannot be deleted before the rows that refer to it.
#[derive(Debug)]
pub(super) struct Reference {
    /// Column → the column that it refers to, both quoted.
    pairs: Vec<(String, String)>,
    /// A column that can be `NULL`, so that the row refers to no other row. Quoted.
    nullable: Option<String>,
    /// Whether the rows that refer to a row would be deleted with it.
    cascades: bool,
}

/// Schema and table → for each pair of columns the constraint, the column, the column that it refers to, and
/// the action of a `DELETE`.
const POSTGRES: &str = "SELECT CAST(conname AS TEXT), CAST(child.attname AS TEXT), \
    CAST(parent.attname AS TEXT), CAST(confdeltype AS TEXT) \
    FROM pg_catalog.pg_constraint \
    CROSS JOIN LATERAL unnest(conkey, confkey) WITH ORDINALITY AS pair(child, parent, position) \
    JOIN pg_catalog.pg_attribute AS child ON child.attrelid = conrelid AND child.attnum = pair.child \
    JOIN pg_catalog.pg_attribute AS parent ON parent.attrelid = conrelid AND parent.attnum = pair.parent \
    WHERE contype = 'f' AND conrelid = confrelid AND conrelid = \
    (SELECT to_regclass(coalesce(quote_ident(nullif(?, '')) || '.', '') || quote_ident(?))) \
    ORDER BY conname, position";

/// Both views are told the table. Otherwise MySQL opens all tables of all databases.
const MYSQL: &str = "SELECT k.constraint_name, k.column_name, k.referenced_column_name, r.delete_rule \
    FROM information_schema.referential_constraints AS r \
    JOIN information_schema.key_column_usage AS k ON k.constraint_name = r.constraint_name \
    WHERE r.constraint_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND r.table_name = ? \
    AND r.referenced_table_name = r.table_name AND r.unique_constraint_schema = r.constraint_schema \
    AND k.table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND k.table_name = ? \
    ORDER BY k.constraint_name, k.ordinal_position";

const SQLITE: &str = "SELECT CAST(k.id AS TEXT), k.\"from\", coalesce(k.\"to\", \
    (SELECT name FROM pragma_table_info(k.\"table\") WHERE pk = k.seq + 1)), k.on_delete \
    FROM pragma_foreign_key_list(?) AS k WHERE lower(k.\"table\") = lower(?) ORDER BY k.id, k.seq";

/// The references within a table. A store needs the columns `taken` as they are.
pub(super) async fn references(
    pool: &SqlPool,
    (schema, table): (&str, &str),
    columns: &[Column],
    taken: &[&str],
) -> Result<Vec<Reference>, BoxError> {
    let dialect = pool.dialect();
    let (sql, values) = match dialect {
        Dialect::Sqlite => (SQLITE, vec![table, table]),
        Dialect::Postgres => (POSTGRES, vec![schema, table]),
        Dialect::MySql => (MYSQL, vec![schema, table, schema, table]),
    };
    let values: Vec<_> = values.into_iter().map(Value::Text).collect();
    let read = |row: &dyn Row| Ok((row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?));
    let sql = dialect.numbered(sql).into();
    let mut last = None;
    let mut references: Vec<Reference> = Vec::new();
    for (constraint, child, parent, action) in pool.fetch(&sql, &values, read).await? {
        let cascades = match &*action.to_ascii_lowercase() {
            "n" | "d" | "set null" | "set default" => continue,
            action => matches!(action, "c" | "cascade"),
        };
        // MySQL cascades at most fifteen rows deep.
        if cascades && dialect != Dialect::MySql {
            continue;
        }
        if last.as_ref() != Some(&constraint) {
            last = Some(constraint);
            references.push(Reference {
                pairs: Vec::new(),
                nullable: None,
                cascades,
            });
        }
        let Some(reference) = references.last_mut() else {
            continue;
        };
        let is_taken = taken.iter().any(|taken| dialect.same_name(taken, &child));
        let nullable = column(columns, &child).is_some_and(|column| column.nullable);
        if nullable && !is_taken {
            reference.nullable = Some(dialect.quote(&child));
        }
        let pair = (dialect.quote(&child), dialect.quote(&parent));
        reference.pairs.push(pair);
    }
    Ok(references)
}

impl Reference {
    /// Removes the references to the rows that are about to go, also from other rows. With a cascade, other
    /// rows that refer to them go as well.
    pub(super) fn unlink(&self, dialect: Dialect, table: &str, which: &str) -> Option<String> {
        let nullable = self.nullable.as_ref()?;
        if self.cascades {
            return Some(format!(
                "UPDATE {table} SET {nullable} = NULL WHERE {which} AND {nullable} IS NOT NULL"
            ));
        }
        let parents: Vec<_> = self.pairs.iter().map(|(_, parent)| &**parent).collect();
        let parents = parents.join(", ");
        if dialect == Dialect::MySql {
            let same =
                |(child, parent): &(String, String)| format!("child.{child} = ended.{parent}");
            let same: Vec<_> = self.pairs.iter().map(same).collect();
            return Some(format!(
                "UPDATE {table} AS child \
                 JOIN (SELECT DISTINCT {parents} FROM {table} WHERE {which}) AS ended ON {} \
                 SET child.{nullable} = NULL",
                same.join(" AND ")
            ));
        }
        let children: Vec<_> = self.pairs.iter().map(|(child, _)| &**child).collect();
        Some(format!(
            "UPDATE {table} SET {nullable} = NULL \
             WHERE ({}) IN (SELECT {parents} FROM {table} WHERE {which})",
            children.join(", ")
        ))
    }

    /// Whether some row can never be deleted. MySQL keeps a row that refers to itself, and if each row has to
    /// refer to a row, there is such a row.
    pub(super) fn keeps_rows(&self, dialect: Dialect) -> bool {
        dialect == Dialect::MySql && self.nullable.is_none()
    }

    /// Whether none of the rows that are about to go refers to a row. If each row has to refer to a row, SQLite
    /// deletes the leaves first. Postgres checks when all rows of a statement are gone.
    pub(super) fn is_leaf(&self, dialect: Dialect, table: &str, which: &str) -> Option<String> {
        if self.nullable.is_some() || dialect != Dialect::Sqlite {
            return None;
        }
        let list = |pick: fn(&(String, String)) -> &str| {
            let names: Vec<_> = self.pairs.iter().map(pick).collect();
            names.join(", ")
        };
        let (children, parents) = (list(|(child, _)| child), list(|(_, parent)| parent));
        let same = |(child, parent): &(String, String)| format!("{child} = {parent}");
        let itself: Vec<_> = self.pairs.iter().map(same).collect();
        Some(format!(
            "({parents}) NOT IN (SELECT {children} FROM (SELECT DISTINCT {children} FROM {table} \
             WHERE {which} AND NOT ({})) AS parents)",
            itself.join(" AND ")
        ))
    }
}
