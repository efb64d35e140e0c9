//! Whether a table is one whose sessions can be ended, looked at before the first of them has to be.

use super::super::columns::{Column, column, columns};
use super::super::dialect::{Dialect, Holds};
use super::super::driver::Pool;
use super::super::schema::check_row_security;
use super::super::statement::Given;
use super::description::ExistingTable;
use super::probe::Probe;
use super::references::references;
use super::statements::Table;
use crate::TableError;
use tower_logout::BoxError;

impl ExistingTable {
    /// The table and the column of its subjects.
    pub(super) async fn look(
        &self,
        pool: &Pool,
        subject: Option<&str>,
    ) -> Result<(Table, Option<Column>), BoxError> {
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
        let (mark, expiry) = (self.mark.as_ref(), self.expiry.as_ref());
        let live = self.live.iter();
        let live = live.map(|(name, live)| Ok((named(name)?, live.clone())));
        let taken: Vec<_> = [Some(&*self.token), self.session.as_deref(), subject]
            .into_iter()
            .flatten()
            .collect();
        let of = (&*self.schema, &*self.table);
        let table = Table {
            dialect,
            name: self.quoted(dialect),
            token: named(&self.token)?,
            holds: self.format.holds(),
            session: self.session.as_deref().map(named).transpose()?,
            mark: mark
                .map(|(name, mark)| Ok::<_, TableError>((named(name)?, mark.clone())))
                .transpose()?,
            live: live.collect::<Result<_, TableError>>()?,
            expiry: expiry
                .map(|(name, expiry)| Ok::<_, TableError>((named(name)?, *expiry)))
                .transpose()?,
            references: references(pool, of, &found, &taken).await?,
        };
        let subject = subject.map(named).transpose()?;
        self.check(&table, subject.as_ref())?;
        let probe = Probe {
            pool,
            description: self,
            table: &table.name,
        };
        probe.token(&table.token).await?;
        for column in table.session.iter().chain(&subject) {
            probe.id(column).await?;
        }
        if let Some(nothing) = table.mark_nothing() {
            let constants = table.constants();
            let given = Given {
                constants: &constants,
                ..Given::default()
            };
            pool.execute(&nothing.sql, &nothing.values(&given)).await?;
        }
        Ok((table, subject))
    }

    pub(super) fn missing(&self, name: &str, found: &[Column]) -> TableError {
        TableError::MissingColumn {
            table: self.table.clone(),
            column: name.to_owned(),
            found: found.iter().map(|column| column.name.clone()).collect(),
        }
    }

    fn check(&self, table: &Table, subject: Option<&Column>) -> Result<(), TableError> {
        let ids = table.session.iter().chain(subject);
        let wanted = std::iter::once((&table.token, self.format.holds()));
        for (column, holds) in wanted.chain(ids.map(|column| (column, Holds::Id))) {
            if !column.can_hold(holds) {
                return Err(TableError::ColumnType {
                    table: self.table.clone(),
                    column: column.name.clone(),
                    data_type: column.data_type.clone(),
                    wanted: holds.name(),
                });
            }
        }
        let keeps_rows = table
            .references
            .iter()
            .any(|to| to.keeps_rows(table.dialect));
        if table.mark.is_none() && keeps_rows {
            let table = self.table.clone();
            return Err(TableError::RowsKeepEachOther { table });
        }
        if let Some(written) = self.format.digest_written()
            && !table.token.has_room_for(written.len())
        {
            return Err(TableError::ColumnLength {
                table: self.table.clone(),
                column: table.token.name.clone(),
                length: table.token.length.unwrap_or_default(),
                wanted: written.name(),
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
