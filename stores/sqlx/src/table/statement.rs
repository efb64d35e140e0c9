//! A statement whose parameters have names.

use std::sync::Arc;

use tower_logout::BoxError;

use crate::dialect::{Dialect, quoted};
use crate::pool::{Decode, Fetch, SqlPool, Transaction, Value};

/// A statement and its parameters, in their order.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: Arc<str>,
    parameters: Vec<Parameter>,
    /// The values that are the same in each call.
    constants: Arc<[String]>,
}

/// A parameter. In the text of a statement it is `?token0`, `?id0`, `?subject` or `?constant0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    Token(usize),
    Id(usize),
    Subject,
    Constant(usize),
}

/// The values of a statement. If there are fewer tokens or ids than a statement has parameters, the last one
/// is used again.
#[derive(Clone, Copy, Default)]
pub(super) struct Given<'v> {
    pub(super) tokens: &'v [Value<'v>],
    pub(super) ids: &'v [Value<'v>],
    pub(super) subject: &'v str,
}

impl Statement {
    pub(super) fn new(dialect: Dialect, template: &str, constants: &Arc<[String]>) -> Self {
        let mut sql = String::with_capacity(template.len());
        let mut parameters = Vec::new();
        for (quoted, piece) in quoted(template) {
            if quoted {
                sql.push_str(piece);
                continue;
            }
            let mut pieces = piece.split('?');
            sql.push_str(pieces.next().unwrap_or_default());
            for piece in pieces {
                let name = piece.find(|c: char| !c.is_ascii_alphanumeric());
                let (name, rest) = piece.split_at(name.unwrap_or(piece.len()));
                let parameter = Parameter::named(name);
                let known = parameters.iter().position(|known| *known == parameter);
                let number = match known {
                    Some(number) if dialect.parameter_sign().is_some() => number,
                    _ => {
                        parameters.push(parameter);
                        parameters.len() - 1
                    }
                };
                if let Some(sign) = dialect.parameter_sign() {
                    sql.push(sign);
                    sql.push_str(&(number + 1).to_string());
                } else {
                    sql.push('?');
                }
                sql.push_str(rest);
            }
        }
        Self {
            sql: sql.into(),
            parameters,
            constants: Arc::clone(constants),
        }
    }

    /// The parameters by their names. A text that is the same in each call is its own name.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        let name = |parameter: &Parameter| match *parameter {
            Parameter::Token(_) => "token".to_owned(),
            Parameter::Id(_) => "session".to_owned(),
            Parameter::Subject => "subject".to_owned(),
            Parameter::Constant(index) => {
                format!("'{}'", self.constants.get(index).map_or("", String::as_str))
            }
        };
        self.parameters.iter().map(name).collect()
    }

    /// Runs a statement that reads.
    pub(super) async fn fetch<T: Send>(
        &self,
        on: impl Fetch,
        given: &Given<'_>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, BoxError> {
        on.fetch(&self.sql, &self.values(given), decode).await
    }

    /// Runs a statement that writes, and returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        transaction: &mut Transaction,
        given: &Given<'_>,
    ) -> Result<u64, BoxError> {
        transaction.execute(&self.sql, &self.values(given)).await
    }

    /// Runs a statement that writes, in a transaction of its own.
    pub(super) async fn execute_alone(&self, pool: &SqlPool) -> Result<(), BoxError> {
        pool.execute(&self.sql, &self.values(&Given::default()))
            .await?;
        Ok(())
    }

    /// The values in the order of the parameters.
    fn values<'v>(&'v self, given: &Given<'v>) -> Vec<Value<'v>> {
        let nth = |values: &'v [Value<'v>], index: usize| {
            let value = values.get(index).or(values.last());
            value.copied().unwrap_or(Value::Text(""))
        };
        let value = |parameter: &Parameter| match *parameter {
            Parameter::Token(index) => nth(given.tokens, index),
            Parameter::Id(index) => nth(given.ids, index),
            Parameter::Subject => Value::Text(given.subject),
            Parameter::Constant(index) => {
                Value::Text(self.constants.get(index).map_or("", String::as_str))
            }
        };
        self.parameters.iter().map(value).collect()
    }
}

impl Parameter {
    fn named(name: &str) -> Self {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let index = name[kind.len()..].parse().unwrap_or(0);
        match kind {
            "token" => Self::Token(index),
            "id" => Self::Id(index),
            "subject" => Self::Subject,
            _ => Self::Constant(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[Value<'_>]) -> Vec<String> {
        let text = |value: &Value<'_>| match value {
            Value::Text(text) => (*text).to_owned(),
            _ => unreachable!("each is text"),
        };
        values.iter().map(text).collect()
    }

    #[test]
    fn a_question_mark_in_a_quoted_name_is_no_parameter() {
        let template = "\"a?token0\" = ?id0 AND `b` = ?subject AND ?id0 AND ?id1 AND ?constant0";
        let constants = Arc::from(["revoked".to_owned()]);
        let given = Given {
            ids: &[Value::Text("7")],
            subject: "alice",
            ..Given::default()
        };
        let postgres = Statement::new(Dialect::Postgres, template, &constants);
        assert_eq!(
            &*postgres.sql,
            "\"a?token0\" = $1 AND `b` = $2 AND $1 AND $3 AND $4"
        );
        let values = texts(&postgres.values(&given));
        assert_eq!(values, ["7", "alice", "7", "revoked"]);
        let mysql = Statement::new(Dialect::MySql, template, &constants);
        assert_eq!(
            &*mysql.sql,
            "\"a?token0\" = ? AND `b` = ? AND ? AND ? AND ?"
        );
        let values = texts(&mysql.values(&given));
        assert_eq!(values, ["7", "alice", "7", "7", "revoked"]);
    }
}
