//! What our own tables are called in the application's database.

use super::dialect::Dialect;
use tower_logout::BoxError;

/// What the names in our statements begin with.
const WRITTEN: &str = "tower_logout_";

/// The names of indexes get longer still, and Postgres cuts them off at 63 bytes.
const MAX_PREFIX_LEN: usize = 32;

/// A prefix, and a schema (in MySQL, a database).
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
    pub(super) schema: Option<String>,
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
    pub(super) fn check(&self, dialect: Dialect) -> Result<(), BoxError> {
        let prefix = &self.prefix;
        let is_name = prefix
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !is_name
            || prefix.len() > MAX_PREFIX_LEN
            || prefix.starts_with(|first: char| first.is_ascii_digit())
        {
            return Err(format!(
                "the table prefix {prefix:?} is not made of at most {MAX_PREFIX_LEN} letters, \
                 digits and underscores, a digit not being the first"
            )
            .into());
        }
        if dialect == Dialect::Sqlite && self.schema.is_some() {
            return Err("SQLite has no schemas: leave the schema out, or use a prefix".into());
        }
        Ok(())
    }

    /// A statement with these names, of tables and of indexes. An index lies where its table does.
    pub(super) fn apply(&self, dialect: Dialect, sql: &str) -> String {
        let mut named = String::with_capacity(sql.len());
        let mut rest = sql;
        while let Some(start) = rest.find(WRITTEN) {
            let (before, from) = rest.split_at(start);
            named.push_str(before);
            let is_of_index = before
                .trim_end_matches(|char: char| !char.is_ascii_alphanumeric())
                .ends_with("INDEX");
            if let (Some(schema), false) = (&self.schema, is_of_index) {
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
    fn tables_are_in_the_schema_and_indexes_beside_them() {
        let names = Names {
            prefix: "my_".into(),
            schema: Some("a\"b".into()),
        };
        assert_eq!(
            names.apply(Dialect::Postgres, INDEX),
            "CREATE UNIQUE INDEX my_a_b ON \"a\"\"b\".my_a (b)"
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
