//! The statements over an existing table.

use tower_logout::BoxError;

use super::group::{Ended, Group, Seen};
use super::shape::Shape;
use super::statement::{Given, Statement};
use crate::pool::{Fetch, Transaction, Value};

/// The statements that end the session of a token.
#[derive(Debug)]
pub(super) struct Queries {
    by_token: Statement,
    /// The rows of a token that have no session.
    token: Group,
    /// The rows of a session.
    session: Option<Group>,
}

impl Queries {
    pub(super) fn new(shape: &Shape) -> Self {
        let is_token = shape.is_token();
        let mut token = shape.group(&format!("{is_token}{}", shape.without_session()));
        if shape.session.is_none() && token.unlink.is_empty() {
            // Nothing follows such a row and has to be waited for. To lock a row, Postgres asks for the right
            // to change it.
            token.lock = None;
        }
        Self {
            by_token: shape.statement(&shape.select("", &is_token)),
            token,
            session: shape
                .session
                .as_ref()
                .map(|session| shape.group(&session.is_id("?id0"))),
        }
    }

    /// The statements of a logout in their order. The groups are those of a session, and of the rows without one.
    pub(super) fn parts(&self) -> (&Statement, Option<&Group>, &Group) {
        (&self.by_token, self.session.as_ref(), &self.token)
    }

    /// The rows of a token, ended rows too.
    pub(super) async fn rows(
        &self,
        on: impl Fetch,
        token: Value<'_>,
    ) -> Result<Vec<Seen>, BoxError> {
        let given = Given {
            tokens: &[token],
            ..Given::default()
        };
        self.by_token.fetch(on, &given, Seen::read).await
    }

    /// Ends the rows of a session.
    pub(super) async fn end_session(
        &self,
        transaction: &mut Transaction,
        id: &str,
    ) -> Result<Ended, BoxError> {
        let given = Given {
            ids: &[Value::Text(id)],
            ..Given::default()
        };
        match &self.session {
            Some(session) => session.end(transaction, &given, false).await,
            None => Ok(Ended::default()),
        }
    }

    /// Ends the rows of a token that have no session.
    pub(super) async fn end_token(
        &self,
        transaction: &mut Transaction,
        token: Value<'_>,
    ) -> Result<Ended, BoxError> {
        let given = Given {
            tokens: &[token],
            ..Given::default()
        };
        self.token.end(transaction, &given, false).await
    }
}
