//! A pool and a connection of any database.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tower_logout::BoxError;

use super::database::{Database, OnRow, Value};
use super::lease::{Access, Lease};
use super::own::Own;
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

    /// Opens a connection outside the pool, with the options of the pool.
    fn connect<'p>(
        &'p self,
        terms: &'p Terms,
    ) -> BoxFuture<'p, Result<Box<dyn Connection>, BoxError>>;

    /// The pool, if it is one of Postgres.
    #[cfg(feature = "postgres")]
    fn postgres(&self) -> Option<&sqlx::PgPool>;

    /// Runs statements in a transaction. MySQL commits after each statement that changes a schema.
    fn migrate<'p>(&'p self, sql: &'p Arc<str>) -> BoxFuture<'p, Result<(), sqlx::Error>>;
}

/// A lent connection of any database.
pub(super) trait Connection: Send {
    fn begin<'c>(&'c mut self, sql: &'c Arc<str>) -> BoxFuture<'c, Result<(), BoxError>>;

    fn fetch<'c>(
        &'c mut self,
        sql: &'c Arc<str>,
        values: &'c [Value<'c>],
        on_row: &'c mut OnRow<'_>,
    ) -> BoxFuture<'c, Result<u64, BoxError>>;

    fn commit<'c>(&'c mut self, sql: &'c Arc<str>) -> BoxFuture<'c, Result<(), BoxError>>;
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

    fn connect<'p>(
        &'p self,
        terms: &'p Terms,
    ) -> BoxFuture<'p, Result<Box<dyn Connection>, BoxError>> {
        Box::pin(async move {
            let own = Own::connect(self, terms).await?;
            Ok::<Box<dyn Connection>, _>(Box::new(own))
        })
    }

    #[cfg(feature = "postgres")]
    fn postgres(&self) -> Option<&sqlx::PgPool> {
        (self as &dyn std::any::Any).downcast_ref()
    }

    fn migrate<'p>(&'p self, sql: &'p Arc<str>) -> BoxFuture<'p, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let mut transaction = self.begin().await?;
            DB::execute(&mut *transaction, sql, &mut |_| {}).await?;
            transaction.commit().await
        })
    }
}
