//! What an application says of its table.

use super::super::driver::{Pool, SqlPool};
use super::super::token_format::TokenFormat;
use super::mark::{Expiry, Live, Mark};
use super::sample::Sample;
use super::statements::Table;
use super::store::TableStore;
use super::subject::SubjectTableStore;
use tower_logout::BoxError;

/// Describes a table of refresh tokens that an application has already, to end its sessions there.
///
/// The application goes on opening and rotating sessions by itself. For a logout that no refresh in
/// flight undoes, the table needs a [`session_column`](Self::session_column), and a refresh has to
/// change or delete the row of the token that it replaces in the transaction that inserts the next
/// one: the logout waits for that row, and deletes until nothing of the session is left. A table
/// without such a column loses against a refresh that has replaced the token already.
///
/// A session ends when none of its rows is to be seen any more. Rows that refer to each other (each to the
/// one that it replaced, say) are taken apart first. Those that other tables refer to, or that have to be
/// kept, are marked instead ([`mark_ended`](Self::mark_ended)).
///
/// The value of a column is shown, in [`SessionId`](tower_logout::store::SessionId) and as the subject, as the database
/// casts it to text. Bytes that are no text (MySQL's `BINARY(16)`, a `BLOB` of SQLite) are shown as their
/// upper-case hexadecimal digits.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// use tower_logout::LogoutLayer;
/// use tower_logout_sqlx::{ExistingTable, TokenFormat};
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
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) token: String,
    pub(super) format: TokenFormat,
    pub(super) session: Option<String>,
    pub(super) mark: Option<(String, Mark)>,
    pub(super) live: Vec<(String, Live)>,
    pub(super) expiry: Option<(String, Expiry)>,
    pub(super) policies_allow_all: bool,
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
            mark: None,
            live: Vec::new(),
            expiry: None,
            policies_allow_all: false,
        }
    }

    /// The schema (in MySQL, the database) of the table. Whatever the connection finds by default.
    ///
    /// ```
    /// # use tower_logout_sqlx::{ExistingTable, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256()).schema("auth");
    /// ```
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The column that tells which session (login, family, device) a token belongs to, of any type whose
    /// values are equal to themselves as text. None by default: each token is a session.
    ///
    /// ```
    /// # use tower_logout_sqlx::{ExistingTable, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256())
    ///     .session_column("family_id");
    /// ```
    pub fn session_column(mut self, column: impl Into<String>) -> Self {
        self.session = Some(column.into());
        self
    }

    /// Keeps the rows, and marks those of an ended session: for a table that is kept for an audit, or
    /// that others refer to. By default they are deleted.
    ///
    /// A row that is marked is ended. One that the application has marked as it replaced the token by
    /// the next one still leads to its session, as long as another row of it is not marked.
    ///
    /// ```
    /// # use tower_logout_sqlx::{ExistingTable, Mark, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256())
    ///     .session_column("family_id")
    ///     .mark_ended("revoked_at", Mark::Now);
    /// ```
    pub fn mark_ended(mut self, column: impl Into<String>, mark: Mark) -> Self {
        self.mark = Some((column.into(), mark));
        self
    }

    /// A column that tells the live token of a session from those that were replaced. Several of them
    /// have to agree. None by default: each row that is not marked as ended is live.
    ///
    /// A token that is not live still leads to its session. It keeps none in a logout of
    /// [`Scope::Others`](tower_logout::Scope::Others), and a session without a live token is ended already.
    ///
    /// ```
    /// # use tower_logout_sqlx::{ExistingTable, Live, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256())
    ///     .session_column("family_id")
    ///     .live_while("used_at", Live::Null);
    /// ```
    pub fn live_while(mut self, column: impl Into<String>, live: Live) -> Self {
        self.live.push((column.into(), live));
        self
    }

    /// The column that says when a row expires. None by default.
    ///
    /// What has expired is not live. A logout ends it with the others, and names no session that had
    /// expired.
    ///
    /// ```
    /// # use tower_logout_sqlx::{ExistingTable, Expiry, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256())
    ///     .live_until("expires_at", Expiry::Time);
    /// ```
    pub fn live_until(mut self, column: impl Into<String>, expiry: Expiry) -> Self {
        self.expiry = Some((column.into(), expiry));
        self
    }

    /// Says that the policies of the table's row level security let this role see, change and delete all
    /// of its rows. By default a table in Postgres that has such policies for the role is refused: what
    /// they hide looks like a session that has ended.
    ///
    /// ```
    /// # use tower_logout_sqlx::{ExistingTable, TokenFormat};
    /// let table = ExistingTable::new("tokens", "token", TokenFormat::sha256())
    ///     .policies_allow_all();
    /// ```
    pub fn policies_allow_all(mut self) -> Self {
        self.policies_allow_all = true;
        self
    }

    /// Looks at the table, and makes the store.
    ///
    /// A value of each column has to be equal to itself after it was text: one of the rows, or one that is
    /// made up. A digest has to look like those in the table.
    ///
    /// # Errors
    ///
    /// A [`TableError`](crate::TableError) says what the table lacks:
    /// [`MissingTable`](crate::TableError::MissingTable),
    /// [`MissingColumn`](crate::TableError::MissingColumn),
    /// [`ColumnType`](crate::TableError::ColumnType),
    /// [`ColumnLength`](crate::TableError::ColumnLength),
    /// [`UnequalColumn`](crate::TableError::UnequalColumn),
    /// [`OtherFormat`](crate::TableError::OtherFormat),
    /// [`RowsKeepEachOther`](crate::TableError::RowsKeepEachOther),
    /// [`RowSecurity`](crate::TableError::RowSecurity). Else, if the database cannot be reached.
    pub async fn connect(self, pool: impl Into<SqlPool>) -> Result<TableStore, BoxError> {
        let SqlPool(pool) = pool.into();
        let (table, _) = self.look(&pool, None).await?;
        self.over(pool, &table).await
    }

    /// [`connect`](Self::connect) with a column that tells whose session it is, of any type, which
    /// makes it a [`SubjectStore`](tower_logout::store::SubjectStore).
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    ///
    /// ```
    /// # async fn layer(pool: impl Into<tower_logout_sqlx::SqlPool>) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::{LogoutLayer, Scope};
    /// use tower_logout_sqlx::{ExistingTable, TokenFormat};
    ///
    /// let store = ExistingTable::new("tokens", "token_hash", TokenFormat::sha256())
    ///     .connect_with_subject(pool, "user_id")
    ///     .await?;
    /// let layer = LogoutLayer::builder(store).scoped_path("/auth/logout-all", Scope::All).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with_subject(
        self,
        pool: impl Into<SqlPool>,
        subject_column: &str,
    ) -> Result<SubjectTableStore, BoxError> {
        let SqlPool(pool) = pool.into();
        let (table, subject) = self.look(&pool, Some(subject_column)).await?;
        let Some(subject) = subject else {
            return Err(self.missing(subject_column, &[]).into());
        };
        let store = self.over(pool, &table).await?;
        Ok(SubjectTableStore::new(store, &table, &subject))
    }

    async fn over(self, pool: Pool, table: &Table) -> Result<TableStore, BoxError> {
        let sample = Sample::of(&self, table);
        if let Some(sample) = &sample {
            sample.check(&pool).await?;
        }
        Ok(TableStore::new(pool, self.format, table, sample))
    }
}
