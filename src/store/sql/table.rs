//! A table of refresh tokens that an application has already.

use std::sync::Arc;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Pool, SqlPool, Value};
use super::schema::{self, Column};
use super::token_format::TokenFormat;
use crate::store::{BoxError, Revocation, SessionId, SubjectStore, TokenStore};
use crate::{ConfigError, Token};

/// Describes a table of refresh tokens that an application has already, to end its sessions there.
///
/// The application goes on opening and rotating sessions by itself. For a logout that no refresh in
/// flight undoes, the table needs a [`session_column`](Self::session_column), and a refresh has to
/// change the row of the presented token in the transaction that inserts the next one: the logout
/// locks that row, and then deletes all rows of its session. A table without such a column loses
/// against a refresh that has replaced the token already.
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
    /// [`ConfigError::MissingTable`] and [`ConfigError::MissingColumn`] name what the table lacks.
    /// Else, if the database cannot be reached.
    pub async fn connect(self, pool: impl Into<SqlPool>) -> Result<TableStore, BoxError> {
        let SqlPool(pool) = pool.into();
        self.check(&pool, None).await?;
        let statements = Statements::new(pool.dialect(), &self);
        Ok(TableStore {
            pool,
            format: self.format,
            statements: Arc::new(statements),
        })
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
        let dialect = pool.dialect();
        let data_type = columns
            .iter()
            .find(|column| dialect.same_name(&column.name, subject_column))
            .map_or("text", |column| &column.data_type);
        let value = dialect.text_as(data_type);
        let statements = SubjectStatements::new(dialect, &self, subject_column, &value);
        Ok(SubjectTableStore {
            table: self.connect(SqlPool(pool)).await?,
            statements: Arc::new(statements),
        })
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
        let wanted = [Some(&*self.token), self.session.as_deref(), subject];
        let missing = wanted.into_iter().flatten().find(|wanted| {
            let mut names = found.iter().map(|column| &column.name);
            !names.any(|name| dialect.same_name(name, wanted))
        });
        match missing {
            None => Ok(found),
            Some(column) => Err(ConfigError::MissingColumn {
                table: self.table.clone(),
                column: column.into(),
                found: found.into_iter().map(|column| column.name).collect(),
            }
            .into()),
        }
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

#[derive(Debug)]
struct Statements {
    /// Token.
    end_token: Arc<str>,
    session: Option<SessionStatements>,
}

#[derive(Debug)]
struct SessionStatements {
    /// Token → session, and the row is locked.
    lock: Arc<str>,
    /// Token.
    end: Arc<str>,
}

impl Statements {
    fn new(dialect: Dialect, description: &ExistingTable) -> Self {
        let (table, token, session) = description.quoted(dialect);
        let statement = |sql: String| Arc::from(dialect.numbered(&sql));
        let lock = dialect.lock();
        Self {
            end_token: statement(format!("DELETE FROM {table} WHERE {token} = ?")),
            session: session.map(|session| SessionStatements {
                lock: statement(format!(
                    "SELECT {} FROM {table} WHERE {token} = ?{lock}",
                    dialect.as_text(&session)
                )),
                end: statement(format!(
                    "DELETE FROM {table} WHERE {session} = {}",
                    of_presented(&session, &table, &token)
                )),
            }),
        }
    }
}

/// A column of the presented token's row. Twice nested, since MySQL reads no table that it deletes
/// from otherwise.
fn of_presented(column: &str, table: &str, token: &str) -> String {
    format!("(SELECT {column} FROM (SELECT {column} FROM {table} WHERE {token} = ?) AS presented)")
}

#[async_trait]
impl TokenStore for TableStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let stored = self.format.apply(token);
        let Some(session) = &self.statements.session else {
            let end = &self.statements.end_token;
            return Ok(match self.pool.execute(end, &[stored.value()]).await? {
                0 => Revocation::NotFound,
                _ => Revocation::Revoked,
            });
        };
        let mut transaction = self.pool.begin().await?;
        let rows = transaction.fetch(&session.lock, &[stored.value()]).await?;
        let Some(row) = rows.first() else {
            return Ok(Revocation::NotFound);
        };
        let id = row.text_or_null(0)?;
        let end = match id {
            Some(_) => &session.end,
            None => &self.statements.end_token,
        };
        transaction.execute(end, &[stored.value()]).await?;
        transaction.commit().await?;
        Ok(id.map_or(Revocation::Revoked, |id| {
            Revocation::Sessions(SessionId::new(id).into())
        }))
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
    subject: Arc<str>,
    all: RowStatements,
    others: RowStatements,
}

/// Their parameters are the subject, and the token as often as there are any more.
#[derive(Debug)]
struct RowStatements {
    parameters: usize,
    /// → session, and the rows are locked.
    lock: Arc<str>,
    end: Arc<str>,
}

impl SubjectStatements {
    fn new(dialect: Dialect, description: &ExistingTable, subject: &str, value: &str) -> Self {
        let (table, token, session) = description.quoted(dialect);
        let subject = dialect.quote(subject);
        let statement = |sql: String| Arc::from(dialect.numbered(&sql));
        let lock = dialect.lock();
        let all = format!("{subject} = {value}");
        let mut others = format!("{all} AND {token} <> ?");
        if let Some(session) = &session {
            let kept = of_presented(session, &table, &token);
            others = format!(
                "{others} AND ({session} IS NULL OR {session} <> {kept} OR {kept} IS NULL)"
            );
        }
        let named = session.map_or("NULL".to_owned(), |session| dialect.as_text(&session));
        let rows = |which: &str| RowStatements {
            parameters: which.matches('?').count(),
            lock: statement(format!(
                "SELECT {named} FROM {table} WHERE {which} ORDER BY {token}{lock}"
            )),
            end: statement(format!("DELETE FROM {table} WHERE {which}")),
        };
        Self {
            subject: statement(format!(
                "SELECT {} FROM {table} WHERE {token} = ?",
                dialect.as_text(&subject)
            )),
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
        let stored = self.table.format.apply(token);
        let subject = &self.statements.subject;
        let rows = self.table.pool.fetch(subject, &[stored.value()]).await?;
        match rows.first() {
            Some(row) => row.text_or_null(0),
            None => Ok(None),
        }
    }

    async fn revoke_subject(
        &self,
        subject: &str,
        keep: Option<&Token>,
    ) -> Result<Revocation, BoxError> {
        let kept = keep.map(|token| self.table.format.apply(token));
        let (rows, kept) = match &kept {
            Some(kept) => (&self.statements.others, kept.value()),
            None => (&self.statements.all, Value::Int(0)),
        };
        let mut values = vec![kept; rows.parameters];
        values[0] = Value::Text(subject);
        let mut transaction = self.table.pool.begin().await?;
        let sessions = transaction.fetch(&rows.lock, &values).await?;
        let mut ids = sessions
            .iter()
            .map(|row| row.text_or_null(0))
            .collect::<Result<Vec<_>, _>>()?;
        let ended = transaction.execute(&rows.end, &values).await?;
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
