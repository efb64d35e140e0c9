//! The store over an existing table.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tower_logout::store::SessionId;
use tower_logout::{BoxError, Revocation, Token, TokenStore};

use super::builder::TableStoreBuilder;
use super::ended::Log;
use super::group::Seen;
use super::lookup;
use super::queries::Queries;
use super::sample::Sample;
use super::shape::Shape;
use super::statement::Statement;
use super::table_statement::TableStatement;
use crate::digest::TokenDigest;
use crate::pool::{SqlPool, Transaction, Value};

/// A store over the table in which your application keeps its refresh tokens.
///
/// Your application goes on opening and rotating sessions itself; the store ends them. A refresh has to change
/// or delete the row of the token that it replaces, in the transaction that inserts the next token. Together
/// with a [`session_column`](TableStoreBuilder::session_column), no refresh in flight then undoes a logout: the
/// logout waits for that row, and deletes until the session has no row. Without a session column, a refresh
/// that has replaced the token already goes on.
///
/// Rows that refer to each other, for example each to the row that it replaced, are ended together. If other
/// tables refer to the rows, or the rows have to be kept, the store can
/// [mark](TableStoreBuilder::mark_ended) them instead of deleting them.
///
/// The [`SessionId`] and the subject are the values of their columns, as the database casts them to text. Bytes
/// that are no text (MySQL's `BINARY(16)`, a `BLOB` of SQLite) are shown as upper-case hexadecimal digits.
///
/// Clones share their pool.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// use tower_logout::LogoutLayer;
/// use tower_logout_sqlx::{TableStore, TokenDigest};
///
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1)
/// #     .connect("sqlite::memory:").await?;
/// # sqlx::query("CREATE TABLE refresh_tokens (token_hash TEXT, family_id TEXT, user_id INT)")
/// #     .execute(&pool).await?;
/// let store = TableStore::builder("refresh_tokens", "token_hash", TokenDigest::sha256().hex())
///     .session_column("family_id")
///     .connect(pool)
///     .await?;
/// let layer = LogoutLayer::new(store);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
///
/// # Access tokens
///
/// A stateless access token dies with its session if a
/// [`RequireSessionLayer`](tower_logout::require::RequireSessionLayer) asks the table. Put the value of the
/// session column into the token, as text. The layer adds a [`TableSession`](crate::TableSession) to the
/// extensions of the request. Each look-up is one statement, so give the session column an index.
///
/// ```
/// use tower_logout::require::RequireSessionLayer;
/// use tower_logout_sqlx::TableStore;
///
/// /// The claims of your access token.
/// #[derive(Clone)]
/// struct Claims {
///     /// The session: `family_id` in the table.
///     sid: String,
/// }
///
/// fn require_session(store: TableStore) -> RequireSessionLayer<TableStore> {
///     RequireSessionLayer::asking(store, |claims: &Claims| &claims.sid)
/// }
/// ```
///
/// Without a [`session_column`](TableStoreBuilder::session_column) a row has no id that a token can name, and each
/// look-up is a [`TableError::NoSessionColumn`](crate::TableError::NoSessionColumn). If each row of your table is
/// a session, name the column of the row's own id.
///
/// # Subjects
///
/// A logout of [`Scope::All`](tower_logout::Scope::All) or [`Scope::Others`](tower_logout::Scope::Others) needs
/// a `TableStore<WithSubjects>`, which [`subject_column`](TableStoreBuilder::subject_column) makes. Without
/// that column, such a logout does not compile:
///
/// ```compile_fail,E0277
/// use tower_logout::{LogoutLayer, Scope};
///
/// fn layer(store: tower_logout_sqlx::TableStore) {
///     LogoutLayer::builder(store).scoped_path("/auth/logout-all", Scope::All);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TableStore<S = ()> {
    pub(super) pool: SqlPool,
    pub(super) digest: TokenDigest,
    pub(super) queries: Arc<Queries>,
    pub(super) sample: Arc<Sample>,
    /// Reads a live row of a session. `None` without a session column.
    pub(super) session: Option<Statement>,
    pub(super) log: Option<Arc<Log>>,
    pub(super) subjects: S,
}

impl TableStore {
    /// Describes a table with a column that holds the tokens' digests. All names are quoted.
    ///
    /// ```
    /// use tower_logout_sqlx::{TableStore, TokenDigest};
    ///
    /// let builder = TableStore::builder("tokens", "token_hash", TokenDigest::sha256());
    /// ```
    pub fn builder(
        table: impl Into<String>,
        token_column: impl Into<String>,
        digest: TokenDigest,
    ) -> TableStoreBuilder {
        TableStoreBuilder::new(table.into(), token_column.into(), digest)
    }
}

impl<S> TableStore<S> {
    pub(super) fn new(
        pool: SqlPool,
        digest: TokenDigest,
        (shape, sample): (&Shape, Sample),
        log: Option<Log>,
        subjects: S,
    ) -> Self {
        Self {
            pool,
            digest,
            queries: Arc::new(Queries::new(shape)),
            sample: Arc::new(sample),
            session: lookup::statement(shape),
            log: log.map(Arc::new),
            subjects,
        }
    }

    /// The statements of a logout, in the SQL of the database and with the names of your table, in the order in
    /// which they run: to read, to grant rights, or to run them with another driver.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_logout::BoxError> {
    /// use tower_logout_sqlx::{TableStore, TokenDigest};
    ///
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1)
    /// #     .connect("sqlite::memory:").await?;
    /// # sqlx::query("CREATE TABLE tokens (token_hash BLOB, family_id TEXT)").execute(&pool).await?;
    /// let store = TableStore::builder("tokens", "token_hash", TokenDigest::sha256())
    ///     .session_column("family_id")
    ///     .connect(pool)
    ///     .await?;
    /// for statement in store.statements() {
    ///     println!("{statement}\n");
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    pub fn statements(&self) -> Vec<TableStatement> {
        let log = self.log.as_ref().map(|log| log.queries.entry());
        TableStatement::of_logout(&self.pool, &self.queries, log)
    }

    /// Ends the sessions of a token's rows, and the rows without a session.
    async fn end(
        &self,
        transaction: &mut Transaction,
        rows: &[Seen],
        token: Value<'_>,
    ) -> Result<Revocation, BoxError> {
        let mut revocation = Revocation::NotFound;
        let ids: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| row.session.as_deref())
            .collect();
        let has_sessions = !ids.is_empty();
        for id in ids {
            let ended = self.queries.end_session(transaction, id).await?;
            let of_session = |row: &&Seen| row.session.as_deref() == Some(id);
            if ended.any_live(rows.iter().filter(of_session)) {
                revocation = revocation.and(Revocation::from_iter([SessionId::new(id)]));
            }
        }
        let alone = |row: &&Seen| row.session.is_none() && row.open;
        if rows.iter().any(|row| alone(&row)) {
            let ended = self.queries.end_token(transaction, token).await?;
            if ended.any_live(rows.iter().filter(alone)) {
                revocation = revocation.and(Revocation::Revoked);
            }
        }
        // The rows of a session were found by its id alone.
        if has_sessions {
            let left = self.queries.rows(&mut *transaction, token).await?;
            if left.iter().any(|row| row.open) {
                return Err(
                    "the row of the token is still there: its session does not equal itself as text"
                        .into(),
                );
            }
        }
        Ok(revocation)
    }
}

#[async_trait]
impl<S: Send + Sync + 'static> TokenStore for TableStore<S> {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let Some(stored) = self.digest.apply(token, self.pool.dialect()) else {
            return Ok(Revocation::NotFound);
        };
        let token = stored.value();
        // Without a lock: a refresh may delete the row, and its session goes on.
        let mut rows = self.queries.rows(&self.pool, token).await?;
        let mut transaction = self.pool.begin().await?;
        if rows.is_empty() {
            // A replica that lags may not have the row yet. A transaction that writes only begins on the
            // primary.
            rows = self.queries.rows(&mut transaction, token).await?;
        }
        let ended = self.end(&mut transaction, &rows, token).await;
        let revoked = self.finish(transaction, ended).await?;
        if revoked == Revocation::NotFound {
            self.sample.check_unless_checked(&self.pool).await?;
        }
        Ok(revoked)
    }
}
