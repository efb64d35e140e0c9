//! A table and its columns, as an application describes them.

use std::time::Duration;

use tower_logout::BoxError;

use super::ended::Log;
use super::error::TableError;
use super::mark::{Expiry, Live, Mark};
use crate::digest::TokenDigest;
use crate::pool::SqlPool;

/// A table and its columns, by their names.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) token: String,
    pub(super) digest: TokenDigest,
    pub(super) session: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) mark: Option<(String, Mark)>,
    pub(super) live: Vec<(String, Live)>,
    pub(super) expiry: Option<(String, Expiry)>,
    pub(super) policies_allow_all: bool,
    pub(super) access_lifetime: Option<Duration>,
}

impl Description {
    pub(super) fn new(table: String, token: String, digest: TokenDigest) -> Self {
        Self {
            schema: String::new(),
            table,
            token,
            digest,
            session: None,
            subject: None,
            mark: None,
            live: Vec::new(),
            expiry: None,
            policies_allow_all: false,
            access_lifetime: None,
        }
    }

    /// The log of ended sessions, if there is to be one.
    pub(super) async fn log(&self, pool: &SqlPool) -> Result<Option<Log>, BoxError> {
        match (self.access_lifetime, &self.session) {
            (None, _) => Ok(None),
            (Some(lifetime), Some(_)) => {
                let log = Log::open(pool, lifetime, self.policies_allow_all);
                Ok(Some(log.await?))
            }
            (Some(_), None) => {
                let table = self.table.clone();
                Err(TableError::NoSessionColumn { table }.into())
            }
        }
    }
}
