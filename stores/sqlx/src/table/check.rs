//! Whether the sessions of a table can be ended, checked before the first logout.

use tower_logout::BoxError;

use super::catalog::{column, columns};
use super::column::{Column, Holds};
use super::description::Description;
use super::error::TableError;
use super::probe::Probe;
use super::references::references;
use super::sample::Sample;
use super::shape::Shape;
use crate::dialect::Dialect;
use crate::encoding::Encoding;
use crate::pool::SqlPool;
use crate::row_security::check_row_security;

impl Description {
    /// The columns of the table, and a sample of its tokens.
    pub(super) async fn check(&self, pool: &SqlPool) -> Result<(Shape, Sample), BoxError> {
        let shape = self.shape(pool).await?;
        self.check_columns(&shape)?;
        let probe = Probe {
            pool,
            description: self,
            table: &shape.name,
        };
        let sample = Sample::new(self, &shape);
        let tokens = sample.tokens(pool).await?;
        probe.tokens(&shape.token, &tokens).await?;
        for column in shape.session.iter().chain(&shape.subject) {
            probe.ids(column).await?;
        }
        if let Some(nothing) = shape.mark_nothing() {
            nothing.execute_alone(pool).await?;
        }
        sample.check(&tokens)?;
        Ok((shape, sample))
    }

    async fn shape(&self, pool: &SqlPool) -> Result<Shape, BoxError> {
        let dialect = pool.dialect();
        let found = columns(pool, &self.schema, &self.table).await?;
        if found.is_empty() {
            let table = self.table.clone();
            return Err(TableError::MissingTable { table }.into());
        }
        if !self.policies_allow_all {
            check_row_security(pool, &self.schema, &self.table).await?;
        }
        let named = |name: &str| match column(&found, name) {
            Some(column) => Ok(column.clone()),
            None => Err(self.missing(name, &found)),
        };
        let (session, subject) = (self.session.as_deref(), self.subject.as_deref());
        let mark = self.mark.as_ref();
        let mark = mark.map(|(name, mark)| Ok::<_, TableError>((named(name)?, mark.clone())));
        let live = self.live.iter();
        let live = live.map(|(name, live)| Ok::<_, TableError>((named(name)?, live.clone())));
        let expiry = self.expiry.as_ref();
        let expiry = expiry.map(|(name, expiry)| Ok::<_, TableError>((named(name)?, *expiry)));
        let taken = [Some(&*self.token), session, subject];
        let taken: Vec<_> = taken.into_iter().flatten().collect();
        let of = (&*self.schema, &*self.table);
        Ok(Shape {
            dialect,
            name: self.quoted(dialect),
            token: named(&self.token)?,
            holds: Holds::of_digest(&self.digest),
            session: session.map(named).transpose()?,
            mark: mark.transpose()?,
            live: live.collect::<Result<_, _>>()?,
            expiry: expiry.transpose()?,
            references: references(pool, of, &found, &taken).await?,
            subject: subject.map(named).transpose()?,
        })
    }

    pub(super) fn missing(&self, name: &str, found: &[Column]) -> TableError {
        TableError::MissingColumn {
            table: self.table.clone(),
            column: name.to_owned(),
            found: found.iter().map(|column| column.name.clone()).collect(),
        }
    }

    fn check_columns(&self, shape: &Shape) -> Result<(), TableError> {
        let ids = shape.session.iter().chain(&shape.subject);
        let ids = ids.map(|column| (column, Holds::Id));
        for (column, holds) in std::iter::once((&shape.token, shape.holds)).chain(ids) {
            if !column.can_hold(holds) {
                return Err(TableError::ColumnType {
                    table: self.table.clone(),
                    column: column.name.clone(),
                    data_type: column.data_type.clone(),
                    wanted: holds.name(),
                });
            }
        }
        let references = &shape.references;
        let keeps_rows = references.iter().any(|to| to.keeps_rows(shape.dialect));
        if shape.mark.is_none() && keeps_rows {
            let table = self.table.clone();
            return Err(TableError::RowsKeepEachOther { table });
        }
        let encoding = self.digest.encoding();
        let too_long = |encoding: &Encoding| !shape.token.has_room_for(encoding.len());
        if let Some(encoding) = encoding.filter(too_long) {
            return Err(TableError::ColumnLength {
                table: self.table.clone(),
                column: shape.token.name.clone(),
                length: shape.token.length.unwrap_or_default(),
                wanted: encoding.name(),
            });
        }
        Ok(())
    }

    fn quoted(&self, dialect: Dialect) -> String {
        let table = dialect.quote(&self.table);
        if self.schema.is_empty() {
            table
        } else {
            format!("{}.{table}", dialect.quote(&self.schema))
        }
    }
}
