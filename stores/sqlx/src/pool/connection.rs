//! A pool and a connection of any database.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::migrate::{MigrateError, Migrator};
use tower_logout::BoxError;

use super::database::{Database, OnRow, Value};
use super::lease::{Access, Lease};
use super::terms::Terms;
use crate::dialect::Dialect;

/// A pool of any database. Each future is boxed: sqlx's are large, and would be copied into the future of
/// each logout that waits.
pub(super) trait Connections: fmt::Debug + Send + Sync {
    fn dialect(&self) -> Dialect;

    fn take<'p>(
        &'p self,
        terms: &'p Terms,
        access: Access,
    ) -> BoxFuture<'p, Result<Box<dyn Connection>, BoxError>>;

    fn migrate<'p>(&'p self, migrator: &'p Migrator) -> BoxFuture<'p, Result<(), MigrateError>>;
}

/// A lent connection of any database.
pub(super) trait Connection: Send {
    fn begin(&mut self, sql: String) -> BoxFuture<'_, Result<(), BoxError>>;

    fn fetch<'c>(
        &'c mut self,
        sql: &'c Arc<str>,
        values: &'c [Value<'c>],
        on_row: &'c mut OnRow<'_>,
    ) -> BoxFuture<'c, Result<u64, BoxError>>;

    fn commit(&mut self) -> BoxFuture<'_, Result<(), BoxError>>;
}

impl<DB: Database> Connections for sqlx::Pool<DB> {
    fn dialect(&self) -> Dialect {
        DB::DIALECT
    }

    fn take<'p>(
        &'p self,
        terms: &'p Terms,
        access: Access,
    ) -> BoxFuture<'p, Result<Box<dyn Connection>, BoxError>> {
        Box::pin(async move {
            let lease = Lease::take(self, terms, access).await?;
            Ok::<Box<dyn Connection>, _>(Box::new(lease))
        })
    }

    fn migrate<'p>(&'p self, migrator: &'p Migrator) -> BoxFuture<'p, Result<(), MigrateError>> {
        Box::pin(async move {
            let mut connection = self.acquire().await?;
            migrator.run_direct(None, &mut *connection, false).await
        })
    }
}
