//! A table of refresh tokens that an application has already.

use std::sync::Arc;

use async_trait::async_trait;

use super::dialect::{Dialect, Holds};
use super::driver::{Pool, SqlPool, Transaction, Value};
use super::schema::{self, Column};
use super::token_format::TokenFormat;
use crate::store::{BoxError, Revocation, SessionId, SubjectStore, TokenStore};
use crate::{ConfigError, Token};

/// Describes a table of refresh tokens that an application has already, to end its sessions there.
///
/// The application goes on opening and rotating sessions by itself. For a logout that no refresh in
/// flight undoes, the table needs a [`session_column`](Self::session_column), and a refresh has to
/// change or delete the row of the token that it replaces in the transaction that inserts the next
/// one: the logout waits for that row, and deletes until nothing of the session is left. A table
/// without such a column loses against a refresh that has replaced the token already.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// use tower_logout::{ExistingTable, LogoutLayer, TokenFormat};
///
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1)
/// #     .connect("sqlite::memory:").await?;
/// # sqlx::query("CREATE TABLE refresh_tokens (token_hash TEXT, family_id TEXT, user_id INT)")
/// #     .execute(&pool).await?;
/// let store = ExistingTable::new("refresh_tokens", "token_hash", TokenFormat::sha256().hex())
///     .session_column("family_id")
///     .connect(pool)
///     .await?;
/// let layer = LogoutLayer::new(store);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ExistingTable {
    schema: String,
    table: String,
    token: String,
    format: TokenFormat,
    session: Option<String>,
}

impl ExistingTable {
    /// A table with a column that holds the token in this format. All names are taken to the letter,
    /// and quoted.
    pub fn new(
        table: impl Into<String>,
        token_column: impl Into<String>,
        format: TokenFormat,
    ) -> Self {
        Self {
            schema: String::new(),
            table: table.into(),
            token: token_column.into(),
            format,
            session: None,
        }
    }

    /// The schema (in MySQL, the database) of the table. Whatever the connection finds by default.
    ///
    /// ```
    /// # use tower_logout::{ExistingTable, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256()).schema("auth");
    /// ```
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The column that tells which session (login, family, device) a token belongs to, of any type.
    /// None by default: each token is a session.
    ///
    /// ```
    /// # use tower_logout::{ExistingTable, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256())
    ///     .session_column("family_id");
    /// ```
    pub fn session_column(mut self, column: impl Into<String>) -> Self {
        self.session = Some(column.into());
        self
    }

    /// Looks at the table, and makes the store.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingTable`], [`ConfigError::MissingColumn`] and [`ConfigError::ColumnType`]
    /// name what the table lacks. Else, if the database cannot be reached.
    pub async fn connect(self, pool: impl Into<SqlPool>) -> Result<TableStore, BoxError> {
        let SqlPool(pool) = pool.into();
        let columns = self.check(&pool, None).await?;
        Ok(self.over(pool, &columns))
    }

    /// [`connect`](Self::connect) with a column that tells whose session it is, of any type, which
    /// makes it a [`SubjectStore`].
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    ///
    /// ```
    /// # async fn layer(pool: impl Into<tower_logout::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::{ExistingTable, LogoutLayer, Scope, TokenFormat};
    ///
    /// let store = ExistingTable::new("tokens", "token_hash", TokenFormat::sha256())
    ///     .connect_with_subject(pool, "user_id")
    ///     .await?;
    /// let layer = LogoutLayer::builder(store).route("/auth/logout-all", Scope::All).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with_subject(
        self,
        pool: impl Into<SqlPool>,
        subject_column: &str,
    ) -> Result<SubjectTableStore, BoxError> {
        let SqlPool(pool) = pool.into();
        let columns = self.check(&pool, Some(subject_column)).await?;
        let statements = SubjectStatements::new(pool.dialect(), &self, &columns, subject_column);
        Ok(SubjectTableStore {
            table: self.over(pool, &columns),
            statements: Arc::new(statements),
        })
    }

    fn over(self, pool: Pool, columns: &[Column]) -> TableStore {
        let statements = Statements::new(pool.dialect(), &self, columns);
        TableStore {
            pool,
            format: self.format,
            statements: Arc::new(statements),
        }
    }

    async fn check(&self, pool: &Pool, subject: Option<&str>) -> Result<Vec<Column>, BoxError> {
        let found = schema::columns(pool, &self.schema, &self.table).await?;
        if found.is_empty() {
            return Err(ConfigError::MissingTable {
                table: self.table.clone(),
            }
            .into());
        }
        let dialect = pool.dialect();
        let wanted = [
            (Some(&*self.token), self.format.holds()),
            (self.session.as_deref(), Holds::Id),
            (subject, Holds::Id),
        ];
        let mut columns = Vec::new();
        for (name, holds) in wanted {
            let Some(name) = name else {
                continue;
            };
            match schema::column(dialect, &found, name) {
                Some(column) => columns.push((column, holds)),
                None => {
                    return Err(ConfigError::MissingColumn {
                        table: self.table.clone(),
                        column: name.into(),
                        found: found.into_iter().map(|column| column.name).collect(),
                    }
                    .into());
                }
            }
        }
        for (column, holds) in columns {
            if !dialect.can_hold(&column.data_type, holds) {
                return Err(ConfigError::ColumnType {
                    table: self.table.clone(),
                    column: column.name.clone(),
                    data_type: column.data_type.clone(),
                    wanted: holds.name(),
                }
                .into());
            }
        }
        Ok(found)
    }

    fn quoted(&self, dialect: Dialect) -> (String, String, Option<String>) {
        let table = if self.schema.is_empty() {
            dialect.quote(&self.table)
        } else {
            let schema = dialect.quote(&self.schema);
            format!("{schema}.{}", dialect.quote(&self.table))
        };
        let session = self.session.as_deref().map(|name| dialect.quote(name));
        (table, dialect.quote(&self.token), session)
    }
}

/// A [`TokenStore`] over a table that an application has already. Made by
/// [`ExistingTable::connect`]. Clones share their pool.
#[derive(Clone, Debug)]
pub struct TableStore {
    pool: Pool,
    format: TokenFormat,
    statements: Arc<Statements>,
}

/// A statement over rows that are told by one value, as often as that is its parameter.
#[derive(Debug)]
struct Statement {
    sql: Arc<str>,
    parameters: usize,
}

impl Statement {
    fn new(dialect: Dialect, sql: &str) -> Self {
        Self {
            parameters: sql.matches('?').count(),
            sql: dialect.numbered(sql).into(),
        }
    }

    fn values<'v>(&self, value: Value<'v>) -> Vec<Value<'v>> {
        vec![value; self.parameters]
    }
}

#[derive(Debug)]
struct Statements {
    /// Token.
    end_token: Statement,
    session: Option<SessionStatements>,
}

#[derive(Debug)]
struct SessionStatements {
    /// Token → session.
    of_token: Statement,
    /// Session → a row, if there is any.
    any: Statement,
    /// Session.
    end: Statement,
}

impl Statements {
    fn new(dialect: Dialect, description: &ExistingTable, columns: &[Column]) -> Self {
        let (table, token, session) = description.quoted(dialect);
        let statement = |sql: String| Statement::new(dialect, &sql);
        let lock = dialect.lock();
        let is_token = dialect.equals(&token, "?");
        let name = description.session.as_deref().unwrap_or_default();
        let value = schema::text_as(dialect, columns, name);
        Self {
            end_token: statement(format!("DELETE FROM {table} WHERE {is_token}")),
            session: session.map(|session| {
                let is_session = dialect.equals(&session, &value);
                SessionStatements {
                    of_token: statement(format!(
                        "SELECT {} FROM {table} WHERE {is_token}",
                        schema::as_text(dialect, columns, name)
                    )),
                    any: statement(format!(
                        "SELECT 1 FROM {table} WHERE {is_session} LIMIT 1{lock}"
                    )),
                    end: statement(format!("DELETE FROM {table} WHERE {is_session}")),
                }
            }),
        }
    }
}

/// Deletes until nothing is to be seen any more, and returns how much it was. A pass may wait for a
/// refresh in flight, and does not see what that has inserted.
async fn delete_all(
    transaction: &mut Transaction,
    any: &Statement,
    end: &Statement,
    values: &[Value<'_>],
) -> Result<u64, BoxError> {
    let mut all = 0;
    loop {
        let deleted = transaction.execute(&end.sql, values).await?;
        all += deleted;
        if deleted == 0 && transaction.fetch(&any.sql, values).await?.is_empty() {
            return Ok(all);
        }
    }
}

#[async_trait]
impl TokenStore for TableStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let Some(stored) = self.format.apply(token) else {
            return Ok(Revocation::NotFound);
        };
        let end_token = &self.statements.end_token;
        let Some(session) = &self.statements.session else {
            let values = end_token.values(stored.value());
            return Ok(match self.pool.execute(&end_token.sql, &values).await? {
                0 => Revocation::NotFound,
                _ => Revocation::Revoked,
            });
        };
        // Without a lock: a refresh may take the row away, and the session goes on.
        let by_token = session.of_token.values(stored.value());
        let rows = self.pool.fetch(&session.of_token.sql, &by_token).await?;
        let Some(row) = rows.first() else {
            return Ok(Revocation::NotFound);
        };
        let mut transaction = self.pool.begin().await?;
        let (ended, revocation) = if let Some(id) = row.text_or_null(0)? {
            let values = session.end.values(Value::Text(&id));
            let ended = delete_all(&mut transaction, &session.any, &session.end, &values).await?;
            (ended, Revocation::Sessions(SessionId::new(id).into()))
        } else {
            let values = end_token.values(stored.value());
            let ended = transaction.execute(&end_token.sql, &values).await?;
            (ended, Revocation::Revoked)
        };
        let left = transaction.fetch(&session.of_token.sql, &by_token).await?;
        if !left.is_empty() {
            return Err(
                "the row of the token is still there: the session column holds what is not \
                        equal to itself as text"
                    .into(),
            );
        }
        transaction.commit().await?;
        Ok(match ended {
            0 => Revocation::NotFound,
            _ => revocation,
        })
    }
}

/// A [`SubjectStore`] over a table that an application has already. Made by
/// [`ExistingTable::connect_with_subject`]. Clones share their pool.
#[derive(Clone, Debug)]
pub struct SubjectTableStore {
    table: TableStore,
    statements: Arc<SubjectStatements>,
}

#[derive(Debug)]
struct SubjectStatements {
    /// Token → subject.
    subject: Statement,
    /// How often the subject is a parameter, before the token.
    subject_parameters: usize,
    all: RowStatements,
    others: RowStatements,
}

#[derive(Debug)]
struct RowStatements {
    /// → a row, if there is any.
    any: Statement,
    /// → session, and the rows are locked.
    lock: Statement,
    end: Statement,
}

impl SubjectStatements {
    fn new(
        dialect: Dialect,
        description: &ExistingTable,
        columns: &[Column],
        subject_name: &str,
    ) -> Self {
        let (table, token, session) = description.quoted(dialect);
        let value = schema::text_as(dialect, columns, subject_name);
        let subject = dialect.quote(subject_name);
        let statement = |sql: String| Statement::new(dialect, &sql);
        let lock = dialect.lock();
        let is_token = dialect.equals(&token, "?");
        let all = dialect.equals(&subject, &value);
        let mut others = format!("{all} AND NOT ({is_token})");
        if let Some(session) = &session {
            // Twice nested, since MySQL reads no table that it deletes from otherwise.
            let kept = format!(
                "(SELECT {session} FROM \
                 (SELECT {session} FROM {table} WHERE {is_token}) AS kept)"
            );
            let is_kept = dialect.equals(session, &kept);
            others =
                format!("{others} AND ({session} IS NULL OR NOT ({is_kept}) OR {kept} IS NULL)");
        }
        let named = match &description.session {
            Some(session) => schema::as_text(dialect, columns, session),
            None => "NULL".to_owned(),
        };
        let rows = |which: &str| RowStatements {
            any: statement(format!("SELECT 1 FROM {table} WHERE {which} LIMIT 1{lock}")),
            lock: statement(format!(
                "SELECT {named} FROM {table} WHERE {which} ORDER BY {token}{lock}"
            )),
            end: statement(format!("DELETE FROM {table} WHERE {which}")),
        };
        Self {
            subject: statement(format!(
                "SELECT {} FROM {table} WHERE {is_token}",
                schema::as_text(dialect, columns, subject_name)
            )),
            subject_parameters: all.matches('?').count(),
            all: rows(&all),
            others: rows(&others),
        }
    }
}

#[async_trait]
impl TokenStore for SubjectTableStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.table.revoke(token).await
    }
}

#[async_trait]
impl SubjectStore for SubjectTableStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let Some(stored) = self.table.format.apply(token) else {
            return Ok(None);
        };
        let subject = &self.statements.subject;
        let values = subject.values(stored.value());
        let rows = self.table.pool.fetch(&subject.sql, &values).await?;
        match rows.first() {
            Some(row) => row.text_or_null(0),
            None => Ok(None),
        }
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let kept = keep
            .first()
            .and_then(|token| self.table.format.apply(token));
        let (rows, kept) = match &kept {
            Some(kept) => (&self.statements.others, kept.value()),
            None => (&self.statements.all, Value::Int(0)),
        };
        let mut values = rows.end.values(kept);
        values[..self.statements.subject_parameters].fill(Value::Text(subject));
        let mut transaction = self.table.pool.begin().await?;
        let sessions = transaction.fetch(&rows.lock.sql, &values).await?;
        let mut ids = sessions
            .iter()
            .map(|row| row.text_or_null(0))
            .collect::<Result<Vec<_>, _>>()?;
        let ended = delete_all(&mut transaction, &rows.any, &rows.end, &values).await?;
        transaction.commit().await?;
        ids.sort();
        ids.dedup();
        let named = Revocation::of(ids.into_iter().flatten().map(SessionId::new));
        Ok(match (ended, named) {
            (1.., Revocation::NotFound) => Revocation::Revoked,
            (_, named) => named,
        })
    }
}
