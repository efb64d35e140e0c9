//! Sessions in Redis or Valkey, alone or as a cluster.
//!
//! A session is a key and that of its rotated tokens, which a script changes as a whole. A token points to its session by a key of
//! its own, which may lie on another node: it is written before the session and says nothing by
//! itself, so that a pointer without a session, or to one that does not have the token, is an unknown
//! token.

mod connection;
mod keys;
mod renewed;
mod scripts;
mod sweep;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncCommands, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisError, RetryMethod,
    TlsMode, Value,
};
use sha2::{Digest, Sha256};

use tower_logout::store::{
    Incomplete, Rotation, Session, SessionId, SessionPolicy, SessionStore, SubjectStore,
    TokenTaken, Transient,
};
use tower_logout::{BoxError, Revocation, Token, TokenStore};

pub use self::connection::RedisConnection;
use self::keys::Keys;
use self::scripts::{REVOKE, Scripts};
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
/// A rotated token is remembered until it would have expired by itself, in about 370 bytes: a little more
/// than 3 MB for a session of 30 days that is rotated every five minutes. The clock of the server says
/// what has expired.
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
    connection: RedisConnection,
    keys: Keys,
    policy: SessionPolicy,
    replicas: Option<Replicas>,
    scripts: Arc<Scripts>,
    sweeper: Sweeper,
}

#[derive(Clone, Copy, Debug)]
struct Replicas {
    number: u32,
    timeout: Duration,
}

/// What a token is to a session that is alive.
struct Member {
    session: Session,
    is_live: bool,
}

impl RedisStore {
    /// Connects to one server: `redis://host:port/database`, or, with the feature `tls`,
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
            keys: Keys::new("tower-logout"),
            policy: SessionPolicy::new(),
            replicas: None,
            scripts: Arc::default(),
        }
    }

    /// What all keys begin with. `tower-logout` by default. An opening brace in it is written `%7B`: in
    /// a cluster, a session lies where the braces around its id say.
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
        self.keys = Keys::new(prefix);
        self
    }

    /// How long sessions live, and how their tokens rotate. [`SessionPolicy::default`] by default.
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

    /// How many replicas have to have a revocation before it is acknowledged (`WAIT`), and how long
    /// that may take before it is an error: less than the connection's own time-out, which is 3 seconds
    /// with [`connect`](Self::connect). None by default.
    ///
    /// The server answers nothing else on the shared connection while it waits.
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

    /// In milliseconds.
    fn lifetime(&self) -> i64 {
        to_millis(self.policy.lifetime())
    }

    /// The id of the session that a token points to, if it is there still. `GETEX` counts as a write: a
    /// replica, which may lag, refuses it, where `GET` would find nothing.
    async fn id_of(&self, digest: &str) -> Result<Option<String>, BoxError> {
        let mut get = redis::cmd("GETEX");
        get.arg(self.keys.pointer(digest));
        get.query_async(&mut self.connection.clone())
            .await
            .map_err(failed)
    }

    /// The session that a token belongs to, be it a live one or rotated away.
    async fn member(&self, digest: &str) -> Result<Option<Member>, BoxError> {
        let Some(id) = self.id_of(digest).await? else {
            return Ok(None);
        };
        let (session, rotated) = self.keys.session(&id);
        let mut member = self.scripts.member.key(session);
        member.key(rotated).arg(digest);
        let found: Option<(String, i64, String)> = member
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        Ok(found.map(|(subject, expires, standing)| Member {
            session: Session::new(SessionId::new(id), subject, time(expires)),
            is_live: standing == "live",
        }))
    }

    /// Points a token to a session. It has to be new.
    async fn point(&self, digest: &str, id: &str) -> Result<(), BoxError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.pointer(digest)).arg(id).arg("NX");
        set.arg("PX").arg(self.lifetime() + SLACK);
        let set: Option<String> = set
            .query_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        set.map(drop).ok_or_else(|| TokenTaken.into())
    }

    /// Enters a session into the list of its subject, before it begins or is renewed.
    async fn list(&self, subject: &str, id: &str) -> Result<(), BoxError> {
        let mut list = self.scripts.list.key(self.keys.subject(subject));
        list.arg(id).arg(self.lifetime()).arg(SLACK);
        list.invoke_async(&mut self.connection.clone())
            .await
            .map_err(failed)
    }

    /// Ends a session, by a token of it or whatever its tokens.
    async fn end(&self, id: &str, by: Option<&str>) -> Result<Revocation, BoxError> {
        let (session, rotated) = self.keys.session(id);
        let (ended, replicated) = if let Some(replicas) = self.replicas {
            self.end_on(replicas, &session, &rotated, by).await?
        } else {
            let mut revoke = self.scripts.revoke.key(&session);
            revoke.key(rotated).arg(0).arg(by);
            let ended = revoke.invoke_async(&mut self.connection.clone()).await;
            (ended.map_err(failed)?, Ok(()))
        };
        let revocation = match &ended {
            Some(_) => Revocation::Sessions(SessionId::new(id).into()),
            None => Revocation::NotFound,
        };
        if replicated.is_ok() {
            // Else what names the session leads another attempt to it, which waits again.
            self.sweep(id, ended.unwrap_or_default());
        }
        Incomplete::both(Ok(revocation), replicated.map(|()| Revocation::NotFound))
    }

    /// What the script returned, and whether enough replicas have what it did.
    async fn end_on(
        &self,
        replicas: Replicas,
        session: &str,
        rotated: &str,
        by: Option<&str>,
    ) -> Result<(Option<Vec<String>>, Result<(), BoxError>), BoxError> {
        let mut commands = redis::pipe();
        commands
            .cmd("EVAL")
            .arg(REVOKE)
            .arg(2)
            .arg(session)
            .arg(rotated)
            .arg(1)
            .arg(by)
            .cmd("WAIT")
            .arg(replicas.number)
            // Zero would be without end.
            .arg(
                i64::try_from(replicas.timeout.as_millis())
                    .unwrap_or(i64::MAX)
                    .max(1),
            );
        let mut connection = self.connection.clone();
        let answers = connection.send_to(session, commands, 2).await;
        let mut answers = answers.map_err(failed)?.into_iter();
        let ended = read(answers.next())?;
        let replicated = match read::<u32>(answers.next()) {
            Ok(have) if have < replicas.number => Err(Transient::new(format!(
                "the session is ended, but {have} of {} replicas have acknowledged it in time",
                replicas.number
            ))
            .into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        Ok((ended, replicated))
    }

    /// Ends sessions, and says of those that ended which they were also where others did not.
    async fn end_each(&self, ids: Vec<String>) -> Result<Revocation, BoxError> {
        let mut ends = futures::stream::iter(ids)
            .map(async |id| self.end(&id, None).await)
            .buffer_unordered(AT_ONCE);
        let mut ended = Revocation::NotFound;
        let mut failure = None;
        while let Some(end) = ends.next().await {
            ended = ended.and(match end {
                Ok(ended) => ended,
                Err(error) => {
                    let before = Incomplete::ended_by(&*error);
                    failure = Some(error);
                    before
                }
            });
        }
        Incomplete::both(Ok(ended), failure.map_or(Ok(Revocation::NotFound), Err))
    }

    /// Takes away what `end` says still names the session.
    fn sweep(&self, id: &str, ended: Vec<String>) {
        let mut ended = ended.into_iter();
        let Some(subject) = ended.next() else {
            return;
        };
        let litter = Litter {
            pointers: ended.map(|digest| self.keys.pointer(&digest)).collect(),
            listed: vec![(self.keys.subject(&subject), id.to_owned())],
        };
        self.sweeper.sweep(litter);
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let digest = digest(token);
        match self.id_of(&digest).await? {
            Some(id) => self.end(&id, Some(&digest)).await,
            None => Ok(Revocation::NotFound),
        }
    }
}

#[async_trait]
impl SubjectStore for RedisStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let member = self.member(&digest(token)).await?;
        Ok(member.map(|member| member.session.subject))
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let (mut kept, mut reused) = (Vec::new(), Vec::new());
        for token in keep {
            if let Some(member) = self.member(&digest(token)).await? {
                let ids = if member.is_live {
                    &mut kept
                } else {
                    &mut reused
                };
                ids.push(member.session.id);
            }
        }
        let has = |ids: &[SessionId], id: &str| ids.iter().any(|other| other.as_str() == id);
        // The first command writes, though it finds nothing: a replica, which may lag, refuses it, where
        // the list alone would be read without the last logins.
        let of_subject = self.keys.subject(subject);
        let (mut ids,): (Vec<String>,) = redis::pipe()
            .zrembyscore(&of_subject, "-inf", 0)
            .ignore()
            .zrange(&of_subject, 0, -1)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        ids.retain(|id| !has(&kept, id));
        let (last, first) = ids.into_iter().partition(|id| has(&reused, id));
        // Until all others have ended, the token names the subject for another attempt.
        let ended = self.end_each(first).await?;
        Incomplete::both(Ok(ended), self.end_each(last).await)
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let id = SessionId::generate()?;
        let digest = digest(token);
        self.point(&digest, id.as_str()).await?;
        self.list(subject, id.as_str()).await?;
        let (session, rotated) = self.keys.session(id.as_str());
        let mut open = self.scripts.open.key(session);
        open.key(rotated)
            .arg(subject)
            .arg(digest)
            .arg(self.lifetime());
        let expires = open
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        Ok(Session::new(id, subject, time(expires)))
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let (digest, next) = (digest(presented), digest(next));
        let Some(Member { session, .. }) = self.member(&digest).await? else {
            return Ok(Rotation::NotFound);
        };
        let Session { id, subject, .. } = session;
        self.point(&next, id.as_str()).await?;
        self.list(&subject, id.as_str()).await?;
        let (session, rotated) = self.keys.session(id.as_str());
        let mut rotate = self.scripts.rotate.key(session);
        rotate
            .key(rotated)
            .arg(digest)
            .arg(&next)
            .arg(self.lifetime())
            .arg(to_millis(self.policy.reuse_leeway()))
            .arg(self.policy.max_rotations());
        let answer: Option<Vec<String>> = rotate
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(failed)?;
        let mut answer = answer.unwrap_or_default().into_iter();
        let rotation = match answer.next().as_deref() {
            Some("rotated") => {
                let expires = answer.next().unwrap_or_default().parse()?;
                let session = Session::new(id, subject, time(expires));
                return Ok(Rotation::Rotated(session));
            }
            Some("reused") => Rotation::Reused(id.clone()),
            Some("exhausted") => Rotation::Exhausted(id.clone()),
            Some(_unknown) => {
                let pointers = vec![self.keys.pointer(&next)];
                let listed = Vec::new();
                self.sweeper.sweep(Litter { pointers, listed });
                return Ok(Rotation::NotFound);
            }
            None => {
                self.sweep(id.as_str(), vec![subject, next]);
                return Ok(Rotation::NotFound);
            }
        };
        if self.replicas.is_some() {
            // It has ended; its replicas are waited for all the same.
            let replicated = self.end(id.as_str(), None).await;
            replicated
                .map_err(|error| Incomplete::new(Revocation::from_iter([id.clone()]), error))?;
        }
        self.sweep(id.as_str(), answer.chain([next]).collect());
        Ok(rotation)
    }

    fn reuse_leeway(&self) -> Duration {
        self.policy.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let member = self.member(&digest(token)).await?;
        let live = member.filter(|member| member.is_live);
        Ok(live.map(|member| member.session))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let (session, _) = self.keys.session(id.as_str());
        let found: (Option<String>, Option<i64>) = self
            .connection
            .clone()
            .hmget(session, &["subject", "expires"])
            .await
            .map_err(failed)?;
        let (Some(subject), Some(expires)) = found else {
            return Ok(None);
        };
        Ok(Some(Session::new(id.clone(), subject, time(expires))))
    }

    /// The server drops what has expired: none is left.
    async fn delete_expired(&self, _: u32) -> Result<u32, BoxError> {
        Ok(0)
    }
}

/// One of the answers to commands that were sent in one piece.
fn read<T: FromRedisValue>(answer: Option<Value>) -> Result<T, BoxError> {
    let answer = answer.unwrap_or(Value::Nil).extract_error();
    redis::from_redis_value(answer.map_err(failed)?).map_err(|error| failed(error.into()))
}

fn digest(token: &Token) -> String {
    hex::encode(Sha256::digest(token.expose()))
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

fn to_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The time of the server's clock, which counts milliseconds since 1970.
fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
