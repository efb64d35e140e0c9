//! The store: how it connects, and its settings.

mod revoke;
mod session;

use std::time::Duration;

use redis::RedisResult;
use sha2::{Digest, Sha256};

use tower_logout::store::SessionPolicy;
use tower_logout::{BoxError, Token};

use super::cleanup::{Cleaner, Garbage};
use super::commands::{Commands, Ended, Replicas};
use super::connection::RedisConnection;
use super::ended::{RedisEndedLog, Ringer};
use super::error::store_error;
use super::keys::Keys;
use super::{cluster, sentinel};

/// A session store in Redis or Valkey: on one server, behind sentinels, or in a cluster.
///
/// All calls share one connection. The store replaces the connection when it is lost, when an answer
/// does not arrive, or when the server is no longer a primary. Clones share the connection too.
///
/// The [front page](crate) says what the store keeps, and what survives a crash.
///
/// ```no_run
/// use tower_logout::LogoutLayer;
/// use tower_logout_redis::RedisStore;
///
/// # async fn build() -> Result<(), tower_logout::BoxError> {
/// let store = RedisStore::connect("redis://127.0.0.1/").await?;
/// let layer = LogoutLayer::new(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedisStore {
    commands: Commands,
    policy: SessionPolicy,
    replicas: Option<Replicas>,
    cleaner: Cleaner,
    ringer: Ringer,
}

impl RedisStore {
    /// Connects to one server: `redis://host:port/database`, or `rediss://host:port/database` with the
    /// feature `tls`.
    ///
    /// `redis://` sends everything unencrypted. `rediss://` requires that the server proves its name by
    /// a certificate that the system trusts. For your own CA, give [`new`](Self::new) a
    /// [`Client`](redis::Client) that trusts the CA.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, or the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, BoxError> {
        Self::reach(redis::Client::open(url)).await
    }

    /// Connects to the primary that the sentinels know by this name. After a failover, the store connects
    /// to the next primary.
    ///
    /// Some of the sentinels are enough. The primary's URL contains the database, the user and the
    /// password; its host is ignored.
    ///
    /// # Errors
    ///
    /// If a URL is malformed, if no sentinel can be reached, or if the primary cannot be reached.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout_redis::RedisStore;
    /// let sentinels = ["redis://10.0.0.1:26379/", "redis://10.0.0.2:26379/"];
    /// let store = RedisStore::connect_sentinel(sentinels, "mymaster", "redis://:secret@_/").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_sentinel<U: Into<String>>(
        sentinels: impl IntoIterator<Item = U>,
        name: impl Into<String>,
        primary: &str,
    ) -> Result<Self, BoxError> {
        Self::reach(sentinel::client(sentinels, name.into(), primary)).await
    }

    /// Connects to a cluster. The URLs of some nodes are enough.
    ///
    /// # Errors
    ///
    /// If a URL is malformed, or no node can be reached.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout_redis::RedisStore;
    /// let nodes = ["redis://10.0.0.1/", "redis://10.0.0.2/"];
    /// let store = RedisStore::connect_cluster(nodes).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_cluster<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, BoxError> {
        Self::reach(cluster::client(urls)).await
    }

    async fn reach(client: RedisResult<impl Into<RedisConnection>>) -> Result<Self, BoxError> {
        let connection: RedisConnection = client.map_err(store_error)?.into();
        let connection = connection.connected().await.map_err(store_error)?;
        Ok(Self::new(connection))
    }

    /// Uses a client or a connection that you made. A client connects at the first command.
    ///
    /// ```no_run
    /// # fn build() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout_redis::RedisStore;
    /// let store = RedisStore::new(redis::Client::open("redis://127.0.0.1/")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(connection: impl Into<RedisConnection>) -> Self {
        let connection = connection.into();
        Self {
            cleaner: Cleaner::new(connection.clone()),
            ringer: Ringer::new(connection.clone()),
            commands: Commands::new(connection, "tower-logout"),
            policy: SessionPolicy::new(),
            replicas: None,
        }
    }

    /// The prefix of all keys. Default: `tower-logout`.
    ///
    /// A brace in the prefix is written as `%7B` or `%7D`, because the first braces of a key choose its
    /// slot in a cluster.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout_redis::RedisStore;
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?.with_prefix("my-app");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.commands.keys = Keys::new(prefix);
        self
    }

    /// How long sessions live, and how their tokens rotate. Default: [`SessionPolicy::new`].
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    /// use tower_logout_redis::RedisStore;
    ///
    /// let policy = SessionPolicy::new().with_lifetime(Duration::from_secs(3600));
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?.with_policy(policy);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Waits until this number of replicas has a revocation before the store acknowledges it (`WAIT`).
    /// After the timeout, the revocation is an error, although the session has ended. Default: no
    /// replicas.
    ///
    /// The timeout must be shorter than the connection's own, which is 3 seconds with
    /// [`connect`](Self::connect). The server answers nothing else on the shared connection while it
    /// waits.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use std::time::Duration;
    /// # use tower_logout_redis::RedisStore;
    /// let store = RedisStore::connect("redis://127.0.0.1/")
    ///     .await?
    ///     .with_replicas(1, Duration::from_millis(500));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_replicas(mut self, number: u32, timeout: Duration) -> Self {
        self.replicas = Some(Replicas { number, timeout });
        self
    }

    /// The log of the sessions that the store has ended, for
    /// [`ended`](tower_logout::ended): how other nodes learn of the end of a session.
    ///
    /// The log reads on connections of its own, so call this after [`with_prefix`](Self::with_prefix) and
    /// [`with_policy`](Self::with_policy). Each read reaches the primary, also after a failover. A read of
    /// a replica is an error.
    ///
    /// # Errors
    ///
    /// If the store was made of a connection: give [`new`](Self::new) a client instead. And if the policy
    /// has an access lifetime of zero, so that the store logs nothing.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use std::time::Duration;
    /// use tower_logout::store::SessionPolicy;
    /// use tower_logout_redis::RedisStore;
    ///
    /// let policy = SessionPolicy::new().with_access_lifetime(Duration::from_secs(5 * 60));
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?.with_policy(policy);
    /// let log = store.ended_log()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ended_log(&self) -> Result<RedisEndedLog, BoxError> {
        let retention = self.policy.ended_retention();
        if retention.is_zero() {
            return Err("with an access lifetime of zero, the store logs no ended session".into());
        }
        let source = self.commands.connection.source().ok_or(
            "the log of ended sessions needs connections of its own: make the store by \
             RedisStore::connect, or give RedisStore::new a client instead of a connection",
        )?;
        let keys = self.commands.keys.clone();
        Ok(RedisEndedLog::new(source, keys, retention))
    }

    /// Tells the readers of the log that a session has ended.
    fn ring(&self) {
        let retention = self.policy.ended_retention();
        if !retention.is_zero() {
            self.ringer.ring(&self.commands.keys, retention);
        }
    }

    /// Deletes, in the background, the keys that still name an ended session.
    fn clean(&self, id: &str, ended: &Ended) {
        let keys = &self.commands.keys;
        let list = keys.subject(&ended.subject);
        self.cleaner.clean(Garbage {
            pointers: ended
                .digests
                .iter()
                .map(|digest| keys.pointer(digest))
                .collect(),
            listed: vec![(list, id.to_owned())],
        });
    }
}

fn digest(token: &Token) -> String {
    hex::encode(Sha256::digest(token.expose()))
}
