//! Sessions in Redis or Valkey, alone or as a cluster.
//!
//! A session is one key, which a script changes as a whole. A token points to its session by a key of
//! its own, which may lie on another node: it is written before the session and says nothing by
//! itself, so that a pointer without a session is an unknown token.

mod connection;
mod renewed;
mod sweep;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::StreamExt;
use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncCommands, ConnectionAddr, IntoConnectionInfo, RedisError, RetryMethod, Script, TlsMode,
};
use sha2::{Digest, Sha256};

use super::random::hex;
use super::shared::{DEFAULT_LIFETIME, MAX_ROTATED, TOKEN_TAKEN, expiry, millis, time};
use super::{
    BoxError, Revocation, Rotation, Session, SessionId, SessionStore, SubjectStore, TokenStore,
    Transient,
};
use crate::Token;

pub use self::connection::RedisConnection;
use self::sweep::{Litter, Sweeper};

/// How long a command may take before it counts as lost.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How much longer than a session its pointers live, in milliseconds: clocks differ, and the session
/// begins after them.
const SLACK: i64 = 10 * 60 * 1000;

/// How many sessions of a subject are ended at once.
const AT_ONCE: usize = 64;

/// A store in Redis or Valkey, from version 6.2 on, alone or as a cluster.
///
/// Tokens are kept as SHA-256 digests alone, and the server drops what has expired. One connection
/// serves all calls at once, and is made once more when it is lost, does not answer, or leads to a server
/// that is no primary any more. Clones share it.
///
/// # What an acknowledged revocation is worth
///
/// The server has ended the session in its memory. With `appendonly yes` and `appendfsync always` it
/// survives the end of the process and of the machine; with `everysec`, the server's default, either
/// may lose the last two seconds. Set `maxmemory-policy noeviction`: a server that evicts keys may drop
/// the key by which a token finds its session, and leave the session. With `allkeys-lru` and a tenth of
/// the memory that was needed, nearly half of the sessions that were left were such, and a logout by that
/// token finds nothing. Replication is asynchronous: if the primary dies before a replica has the revocation, and that replica is promoted, the session lives
/// again. [`with_replicas`](Self::with_replicas) waits for replicas to have it, and fails otherwise;
/// it narrows the window without closing it, since a promotion may choose another replica.
///
/// # In a cluster
///
/// All that makes a session lies in one slot, by the hash tag of its id. The pointers of its tokens
/// and the list of a subject's sessions lie where they may. A connection of the application's own is not
/// made once more when it has stopped answering, a [`ClusterClient`](redis::cluster::ClusterClient)'s is.
/// One of the application's own must not read from
/// replicas either: one that lags knows nothing of a login that was just made.
///
/// ```no_run
/// use tower_logout::{LogoutLayer, RedisStore};
///
/// # async fn build() -> Result<(), tower_logout::BoxError> {
/// let store = RedisStore::connect("redis://127.0.0.1/").await?;
/// let layer = LogoutLayer::new(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedisStore {
    connection: RedisConnection,
    prefix: Arc<str>,
    lifetime: Duration,
    replicas: Option<Replicas>,
    scripts: Arc<Scripts>,
    sweeper: Sweeper,
}

#[derive(Clone, Copy, Debug)]
struct Replicas {
    number: u32,
    timeout: Duration,
}

#[derive(Debug)]
struct Scripts {
    list: Script,
    open: Script,
    rotate: Script,
    revoke: Script,
}

const REVOKE: &str = include_str!("revoke.lua");

impl Default for Scripts {
    fn default() -> Self {
        Self {
            list: Script::new(include_str!("list.lua")),
            open: Script::new(include_str!("open.lua")),
            rotate: Script::new(include_str!("rotate.lua")),
            revoke: Script::new(REVOKE),
        }
    }
}

impl RedisStore {
    /// Connects to one server: `redis://host:port/database`, or, with the feature `redis-tls`,
    /// `rediss://host:port/database`, which is refused unless the server proves its name with a
    /// certificate that the system trusts. `redis://` goes in clear. For a CA of your own give
    /// [`new`](Self::new) a [`Client`](redis::Client) that knows it.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, or the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, BoxError> {
        Self::reach(redis::Client::open(url).map_err(failed)?).await
    }

    /// Connects to the primary of this name as the sentinels name it, of which some are listed, and
    /// after a failover to the next one: the database, the user and the password are those of the
    /// primary's URL, whose host is not looked at.
    ///
    /// # Errors
    ///
    /// If a URL is malformed, or none of the sentinels or not the primary can be reached.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout::RedisStore;
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
        let name: String = name.into();
        let primary = primary.into_connection_info().map_err(failed)?;
        let mut node = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(primary.redis_settings().clone());
        if let ConnectionAddr::TcpTls { insecure, .. } = primary.addr() {
            node = node.set_tls_mode(if *insecure {
                TlsMode::Insecure
            } else {
                TlsMode::Secure
            });
        }
        let sentinels = sentinels.into_iter().map(Into::<String>::into).collect();
        let master = SentinelServerType::Master;
        let client = SentinelClient::build(sentinels, name, Some(node), master);
        Self::reach(client.map_err(failed)?).await
    }

    /// Connects to a cluster, of which some nodes are named.
    ///
    /// # Errors
    ///
    /// If a URL is malformed, or none of the nodes can be reached.
    pub async fn connect_cluster<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, BoxError> {
        let client = ClusterClientBuilder::new(urls.into_iter().map(Into::into))
            .connection_timeout(RESPONSE_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT)
            .build()
            .map_err(failed)?;
        Self::reach(client).await
    }

    async fn reach(connection: impl Into<RedisConnection>) -> Result<Self, BoxError> {
        let connection = connection.into().connected().await;
        Ok(Self::new(connection.map_err(failed)?))
    }

    /// Uses a client or a connection of the application. A client connects at the first command.
    pub fn new(connection: impl Into<RedisConnection>) -> Self {
        let connection = connection.into();
        Self {
            sweeper: Sweeper::new(connection.clone()),
            connection,
            prefix: "tower-logout".into(),
            lifetime: DEFAULT_LIFETIME,
            replicas: None,
            scripts: Arc::default(),
        }
    }

    /// What all keys begin with. `tower-logout` by default.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use tower_logout::RedisStore;
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?.with_prefix("my-app");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a session lives after it was opened or last rotated. 30 days by default.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use std::time::Duration;
    /// # use tower_logout::RedisStore;
    /// let store = RedisStore::connect("redis://127.0.0.1/")
    ///     .await?
    ///     .with_lifetime(Duration::from_secs(3600));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How many replicas have to have a revocation before it is acknowledged (`WAIT`), and how long
    /// that may take before it is an error: less than the connection's own time-out, which is 3 seconds
    /// with [`connect`](Self::connect). None by default.
    ///
    /// The server answers nothing else on the shared connection while it waits.
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), tower_logout::BoxError> {
    /// # use std::time::Duration;
    /// # use tower_logout::RedisStore;
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

    fn pointer(&self, digest: &str) -> String {
        format!("{}:token:{digest}", self.prefix)
    }

    fn session_keys(&self, id: &str) -> (String, String) {
        (
            format!("{}:session:{{{id}}}", self.prefix),
            format!("{}:rotated:{{{id}}}", self.prefix),
        )
    }

    fn subject_key(&self, subject: &str) -> String {
        format!("{}:subject:{subject}", self.prefix)
    }

    /// In milliseconds.
    fn lifetime(&self) -> i64 {
        let now = SystemTime::now();
        millis(expiry(now, self.lifetime)) - millis(now)
    }

    /// The id of the session that a token points to, if it is there still. `GETEX` counts as a write: a
    /// replica, which may lag, refuses it, where `GET` would find nothing.
    async fn id_of(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let mut get = redis::cmd("GETEX");
        get.arg(self.pointer(&digest(token)));
        get.query_async(&mut self.connection.clone())
            .await
            .map_err(failed)
    }

    /// Whose session it is, if it is alive.
    async fn subject_of(&self, id: &str) -> Result<Option<String>, BoxError> {
        let (session, _) = self.session_keys(id);
        let mut connection = self.connection.clone();
        connection.hget(session, "subject").await.map_err(failed)
    }

    /// Points a token to a session. It has to be new.
    async fn point(&self, digest: &str, id: &str) -> Result<(), BoxError> {
        let mut set = redis::cmd("SET");
        set.arg(self.pointer(digest)).arg(id).arg("NX");
        set.arg("PX").arg(self.lifetime() + SLACK);
        let set: Option<String> = set
            .query_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        set.map(drop).ok_or_else(|| TOKEN_TAKEN.into())
    }

    /// Enters a session into the list of its subject, before it begins or is renewed.
    async fn list(&self, subject: &str, id: &str, expires_at: i64) -> Result<(), BoxError> {
        let forget = millis(SystemTime::now()) - SLACK;
        let mut list = self.scripts.list.key(self.subject_key(subject));
        list.arg(forget)
            .arg(id)
            .arg(expires_at)
            .arg(self.lifetime() + SLACK);
        list.invoke_async(&mut self.connection.clone())
            .await
            .map_err(failed)
    }

    /// Ends a session, and returns its subject and the digests of its tokens.
    async fn end(&self, id: &str) -> Result<Option<Vec<String>>, BoxError> {
        let (session, rotated) = self.session_keys(id);
        let Some(replicas) = self.replicas else {
            let mut revoke = self.scripts.revoke.key(session);
            revoke.key(rotated).arg(0);
            return revoke
                .invoke_async(&mut self.connection.clone())
                .await
                .map_err(failed);
        };
        let mut commands = redis::pipe();
        commands
            .cmd("EVAL")
            .arg(REVOKE)
            .arg(2)
            .arg(&session)
            .arg(rotated)
            .arg(1)
            .cmd("WAIT")
            .arg(replicas.number)
            // Zero would be without end.
            .arg(
                i64::try_from(replicas.timeout.as_millis())
                    .unwrap_or(i64::MAX)
                    .max(1),
            );
        let mut connection = self.connection.clone();
        let answers = connection.send_to(&session, commands, 2).await;
        let (ended, have): (Option<Vec<String>>, u32) =
            redis::from_redis_value(redis::Value::Array(answers.map_err(failed)?))
                .map_err(|error| failed(error.into()))?;
        if have < replicas.number {
            return Err(Transient::new(format!(
                "the session is ended, but {have} of {} replicas have acknowledged it in time",
                replicas.number
            ))
            .into());
        }
        Ok(ended)
    }

    /// Takes away what `end` says still names the session.
    fn sweep(&self, id: &str, ended: Vec<String>) {
        let mut ended = ended.into_iter();
        let Some(subject) = ended.next() else {
            return;
        };
        let litter = Litter {
            pointers: ended.map(|digest| self.pointer(&digest)).collect(),
            listed: vec![(self.subject_key(&subject), id.to_owned())],
        };
        self.sweeper.sweep(litter);
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let Some(id) = self.id_of(token).await? else {
            return Ok(Revocation::NotFound);
        };
        match self.end(&id).await? {
            Some(ended) => {
                self.sweep(&id, ended);
                Ok(Revocation::Sessions(SessionId::new(id).into()))
            }
            None => Ok(Revocation::NotFound),
        }
    }
}

#[async_trait]
impl SubjectStore for RedisStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        match self.id_of(token).await? {
            Some(id) => self.subject_of(&id).await,
            None => Ok(None),
        }
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let mut kept = Vec::new();
        for token in keep {
            kept.extend(self.id_of(token).await?);
        }
        let listed: Vec<String> = self
            .connection
            .clone()
            .zrange(self.subject_key(subject), 0, -1)
            .await
            .map_err(failed)?;
        let ids: Vec<_> = listed.into_iter().filter(|id| !kept.contains(id)).collect();
        let mut ends = futures::stream::iter(ids)
            .map(|id| async {
                let ended = self.end(&id).await;
                (id, ended)
            })
            .buffer_unordered(AT_ONCE);
        let mut named = Vec::new();
        let mut failure = None;
        while let Some((id, ended)) = ends.next().await {
            match ended {
                Ok(Some(ended)) => {
                    self.sweep(&id, ended);
                    named.push(SessionId::new(id));
                }
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(Revocation::of(named))
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let id = SessionId::generate()?;
        let expires_at = millis(expiry(SystemTime::now(), self.lifetime));
        let digest = digest(token);
        self.point(&digest, id.as_str()).await?;
        self.list(subject, id.as_str(), expires_at).await?;
        let (session, _) = self.session_keys(id.as_str());
        let mut open = self.scripts.open.key(session);
        open.arg(subject)
            .arg(digest)
            .arg(expires_at)
            .arg(self.lifetime());
        open.invoke_async::<()>(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        Ok(Session::new(id, subject, time(expires_at)))
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let Some(id) = self.id_of(presented).await? else {
            return Ok(Rotation::NotFound);
        };
        let Some(subject) = self.subject_of(&id).await? else {
            return Ok(Rotation::NotFound);
        };
        let expires_at = millis(expiry(SystemTime::now(), self.lifetime));
        let digest_of_next = digest(next);
        self.point(&digest_of_next, &id).await?;
        self.list(&subject, &id, expires_at).await?;
        let (session, rotated) = self.session_keys(&id);
        let mut rotate = self.scripts.rotate.key(session);
        rotate
            .key(rotated)
            .arg(digest(presented))
            .arg(&digest_of_next)
            .arg(expires_at)
            .arg(self.lifetime())
            .arg(MAX_ROTATED);
        let answer: Option<Vec<String>> = rotate
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        let mut answer = answer.unwrap_or_default().into_iter();
        match answer.next().as_deref() {
            Some("rotated") => {
                let subject = answer.next().unwrap_or_default();
                if let Some(forgotten) = answer.next() {
                    let litter = Litter {
                        pointers: vec![self.pointer(&forgotten)],
                        listed: Vec::new(),
                    };
                    self.sweeper.sweep(litter);
                }
                let session = Session::new(SessionId::new(id), subject, time(expires_at));
                Ok(Rotation::Rotated(session))
            }
            ended => {
                let reused = ended.is_some();
                if reused && self.replicas.is_some() {
                    // It has ended; its replicas are waited for all the same.
                    self.end(&id).await?;
                }
                let mut pointers: Vec<_> = answer.collect();
                if pointers.is_empty() {
                    pointers.push(subject);
                }
                pointers.push(digest_of_next);
                self.sweep(&id, pointers);
                Ok(if reused {
                    Rotation::Reused(SessionId::new(id))
                } else {
                    Rotation::NotFound
                })
            }
        }
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let Some(id) = self.id_of(token).await? else {
            return Ok(None);
        };
        let found = self.read(&id).await?;
        let live = digest(token);
        Ok(found.and_then(|(session, digest)| (digest == live).then_some(session)))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let found = self.read(id.as_str()).await?;
        Ok(found.map(|(session, _)| session))
    }

    /// The server drops what has expired: none is left.
    async fn drop_expired(&self, _: u32) -> Result<u32, BoxError> {
        Ok(0)
    }
}

impl RedisStore {
    /// A session, and the digest of its live token.
    async fn read(&self, id: &str) -> Result<Option<(Session, String)>, BoxError> {
        let (session, _) = self.session_keys(id);
        let (subject, live, expires): (Option<String>, Option<String>, Option<i64>) = self
            .connection
            .clone()
            .hmget(session, &["subject", "live", "expires"])
            .await
            .map_err(failed)?;
        let (Some(subject), Some(live), Some(expires)) = (subject, live, expires) else {
            return Ok(None);
        };
        let session = Session::new(SessionId::new(id), subject, time(expires));
        Ok(Some((session, live)))
    }
}

fn digest(token: &Token) -> String {
    hex(&Sha256::digest(token.expose()))
}

/// Marks what is worth another attempt.
fn failed(error: RedisError) -> BoxError {
    let transient = error.is_io_error() || !matches!(error.retry_method(), RetryMethod::NoRetry);
    if transient {
        Transient::new(error).into()
    } else {
        error.into()
    }
}
