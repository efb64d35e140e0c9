//! The names of the store's own tables.

use tower_logout::BoxError;

use crate::dialect::Dialect;

/// The beginning of the names in the statements.
const WRITTEN: &str = "tower_logout_";

/// Postgres cuts names off at 63 bytes, and the names of indexes are the longest.
const MAX_PREFIX_LEN: usize = 32;

/// A prefix, and a schema (in MySQL, a database).
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) prefix: String,
    pub(crate) schema: Option<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            prefix: WRITTEN.to_owned(),
            schema: None,
        }
    }
}

impl Names {
    pub(crate) fn check(&self, dialect: Dialect) -> Result<(), BoxError> {
        let prefix = &self.prefix;
        let is_name = prefix
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !is_name
            || prefix.len() > MAX_PREFIX_LEN
            || prefix.starts_with(|first: char| first.is_ascii_digit())
        {
            return Err(format!(
                "the table prefix {prefix:?} has to consist of at most {MAX_PREFIX_LEN} letters, digits \
                 and underscores, and cannot begin with a digit"
            )
            .into());
        }
        if dialect == Dialect::Sqlite && self.schema.is_some() {
            return Err("SQLite has no schemas: leave the schema out, or use a prefix".into());
        }
        Ok(())
    }

    /// A statement with these names of tables, indexes, triggers and functions. An index and a trigger are in the
    /// schema of their table.
    pub(crate) fn apply(&self, dialect: Dialect, sql: &str) -> String {
        let mut named = String::with_capacity(sql.len());
        let mut rest = sql;
        while let Some(start) = rest.find(WRITTEN) {
            let (before, from) = rest.split_at(start);
            named.push_str(before);
            let before = before.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
            let is_beside_table = before.ends_with("INDEX") || before.ends_with("TRIGGER");
            if let (Some(schema), false) = (&self.schema, is_beside_table) {
                named.push_str(&dialect.quote(schema));
                named.push('.');
            }
            named.push_str(&self.prefix);
            rest = &from[WRITTEN.len()..];
        }
        named.push_str(rest);
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "CREATE UNIQUE INDEX tower_logout_a_b ON tower_logout_a (b)";

    #[test]
    fn tables_are_in_the_schema_and_indexes_and_triggers_beside_them() {
        let names = Names {
            prefix: "my_".into(),
            schema: Some("a\"b".into()),
        };
        assert_eq!(
            names.apply(Dialect::Postgres, INDEX),
            "CREATE UNIQUE INDEX my_a_b ON \"a\"\"b\".my_a (b)"
        );
        let trigger = "CREATE TRIGGER tower_logout_a_b AFTER DELETE ON tower_logout_a";
        assert_eq!(
            names.apply(Dialect::Postgres, trigger),
            "CREATE TRIGGER my_a_b AFTER DELETE ON \"a\"\"b\".my_a"
        );
        assert_eq!(
            names.apply(Dialect::MySql, "DELETE FROM tower_logout_a"),
            "DELETE FROM `a\"b`.my_a"
        );
        assert_eq!(Names::default().apply(Dialect::Sqlite, INDEX), INDEX);
    }

    #[test]
    fn a_prefix_is_a_name_and_nothing_else() {
        let check = |prefix: &str| {
            let names = Names {
                prefix: prefix.into(),
                schema: None,
            };
            names.check(Dialect::Postgres).is_ok()
        };
        assert!(check("") && check("Auth_2_") && check(&"a".repeat(32)));
        for prefix in ["2a", "a-", "a.b", "a;", "ä", &"a".repeat(33)] {
            assert!(!check(prefix), "{prefix}");
        }
    }
}
