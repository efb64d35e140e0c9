//! One function for each command: its arguments and its answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{Cmd, FromRedisValue, Script, ScriptInvocation, Value};

use tower_logout::BoxError;
use tower_logout::store::{Session, SessionId, SessionPolicy, TokenTaken, Transient};

use super::connection::RedisConnection;
use super::ended::entry;
use super::error::store_error;
use super::keys::{Keys, SessionKeys};
use super::scripts::{REVOKE, Scripts};

/// How much longer than a session its pointers live, in milliseconds. The clocks of two nodes differ,
/// and a session starts after its pointer.
const SLACK: i64 = 10 * 60 * 1000;

#[derive(Clone, Debug)]
pub(super) struct Commands {
    pub(super) keys: Keys,
    pub(super) connection: RedisConnection,
    scripts: Arc<Scripts>,
}

/// How many replicas must have a revocation, and within which time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) number: u32,
    pub(super) timeout: Duration,
}

/// The live session of a token.
pub(super) struct Member {
    pub(super) session: Session,
    /// Whether the token is live. Otherwise it was rotated.
    pub(super) is_live: bool,
}

/// What a session leaves behind.
pub(super) struct Ended {
    pub(super) subject: String,
    /// The digests of its tokens.
    pub(super) digests: Vec<String>,
}

/// The answer of `rotate.lua`.
pub(super) enum Rotated {
    /// The session expires at this time.
    Live(SystemTime),
    Reused(Ended),
    Exhausted(Ended),
    UnknownToken,
    NoSession,
}

impl Commands {
    pub(super) fn new(connection: RedisConnection, prefix: &str) -> Self {
        Self {
            keys: Keys::new(prefix),
            connection,
            scripts: Arc::default(),
        }
    }

    /// The id of the session that a token points to. `GETEX` counts as a write. A replica, which may
    /// lag, rejects the command, but would answer `GET` with nothing.
    pub(super) async fn session_id(&self, digest: &str) -> Result<Option<String>, BoxError> {
        let mut get = redis::cmd("GETEX");
        get.arg(self.keys.pointer(digest));
        self.query(&get).await
    }

    /// A live session. Before that, removes a field that no session has. That counts as a write: a replica, which may
    /// lag, rejects it.
    pub(super) async fn session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let SessionKeys { session, .. } = self.keys.session(id.as_str());
        let found: ((Option<String>, Option<i64>),) = redis::pipe()
            .hdel(&session, "")
            .ignore()
            .hmget(&session, &["subject", "expires"])
            .query_async(&mut self.connection.clone())
            .await
            .map_err(store_error)?;
        let ((Some(subject), Some(expires)),) = found else {
            return Ok(None);
        };
        Ok(Some(Session::new(id.clone(), subject, time(expires))))
    }

    /// The session of a token, if the token is live or rotated.
    pub(super) async fn member(&self, digest: &str) -> Result<Option<Member>, BoxError> {
        let Some(id) = self.session_id(digest).await? else {
            return Ok(None);
        };
        let mut member = self.session_script(&self.scripts.member, &id);
        member.arg(digest);
        let found: Option<(String, i64, String)> = self.invoke(&member).await?;
        Ok(found.map(|(subject, expires, state)| Member {
            session: Session::new(SessionId::new(id), subject, time(expires)),
            is_live: state == "live",
        }))
    }

    /// Points a token to a session. The token must be new.
    pub(super) async fn point(
        &self,
        digest: &str,
        id: &str,
        lifetime: Duration,
    ) -> Result<(), BoxError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.pointer(digest)).arg(id).arg("NX");
        set.arg("PX").arg(to_millis(lifetime) + SLACK);
        let set: Option<String> = self.query(&set).await?;
        set.map(drop).ok_or_else(|| TokenTaken.into())
    }

    /// Adds a session to the list of its subject, before the session starts or is renewed.
    pub(super) async fn add_to_list(
        &self,
        subject: &str,
        id: &str,
        lifetime: Duration,
    ) -> Result<(), BoxError> {
        let mut list = self.scripts.list.key(self.keys.subject(subject));
        list.arg(id).arg(to_millis(lifetime)).arg(SLACK);
        self.invoke(&list).await
    }

    /// The ids on the list of a subject. The first command writes, though it removes nothing: a replica,
    /// which may lag, rejects it, but would answer with a list that lacks the last logins.
    pub(super) async fn listed(&self, subject: &str) -> Result<Vec<String>, BoxError> {
        let list = self.keys.subject(subject);
        let (ids,) = redis::pipe()
            .zrembyscore(&list, "-inf", 0)
            .ignore()
            .zrange(&list, 0, -1)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(store_error)?;
        Ok(ids)
    }

    /// Opens a session. Returns the time at which it expires.
    pub(super) async fn open(
        &self,
        id: &str,
        subject: &str,
        digest: &str,
        lifetime: Duration,
    ) -> Result<SystemTime, BoxError> {
        let mut open = self.session_script(&self.scripts.open, id);
        open.arg(subject).arg(digest).arg(to_millis(lifetime));
        self.invoke(&open).await.map(time)
    }

    pub(super) async fn rotate(
        &self,
        id: &str,
        presented: &str,
        next: &str,
        policy: &SessionPolicy,
    ) -> Result<Rotated, BoxError> {
        let mut rotate = self.ending_script(&self.scripts.rotate, id, policy);
        rotate
            .arg(presented)
            .arg(next)
            .arg(to_millis(policy.lifetime()))
            .arg(to_millis(policy.reuse_leeway()))
            .arg(policy.max_rotations());
        let answer: Option<Vec<String>> = self.invoke(&rotate).await?;
        let mut answer = answer.unwrap_or_default().into_iter();
        Ok(match answer.next().as_deref() {
            Some("rotated") => Rotated::Live(time(answer.next().unwrap_or_default().parse()?)),
            Some("reused") => Rotated::Reused(Ended::new(answer)),
            Some("exhausted") => Rotated::Exhausted(Ended::new(answer)),
            Some(_unknown) => Rotated::UnknownToken,
            None => Rotated::NoSession,
        })
    }

    /// Ends a session. With a digest, only if the session has that token.
    pub(super) async fn revoke(
        &self,
        id: &str,
        digest: Option<&str>,
        policy: &SessionPolicy,
    ) -> Result<Option<Ended>, BoxError> {
        let mut revoke = self.ending_script(&self.scripts.revoke, id, policy);
        revoke.arg(0).arg(digest);
        let ended: Option<Vec<String>> = self.invoke(&revoke).await?;
        Ok(ended.map(|ended| Ended::new(ended.into_iter())))
    }

    /// Ends a session as [`revoke`](Self::revoke) does. The second result is an error if too few
    /// replicas have the revocation.
    pub(super) async fn revoke_on(
        &self,
        replicas: Replicas,
        id: &str,
        digest: Option<&str>,
        policy: &SessionPolicy,
    ) -> Result<(Option<Ended>, Result<(), BoxError>), BoxError> {
        let SessionKeys {
            session,
            rotated,
            log,
        } = self.keys.session(id);
        let (field, value) = entry(id);
        let timeout = to_millis(replicas.timeout);
        let mut commands = redis::pipe();
        commands.cmd("EVAL").arg(REVOKE).arg(3);
        commands.arg(&session).arg(rotated).arg(log);
        commands.arg(to_millis(policy.ended_retention()));
        commands.arg(field).arg(value).arg(1).arg(digest);
        // Zero would wait without end.
        commands
            .cmd("WAIT")
            .arg(replicas.number)
            .arg(timeout.max(1));
        let mut connection = self.connection.clone();
        let answers = connection.send_to(&session, commands, 2).await;
        let mut answers = answers.map_err(store_error)?.into_iter();
        let ended: Option<Vec<String>> = read(answers.next())?;
        let replicated = match read::<u32>(answers.next()) {
            Ok(have) if have < replicas.number => Err(Transient::new(format!(
                "the session was ended, but only {have} of {} replicas acknowledged it in time",
                replicas.number
            ))
            .into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        Ok((ended.map(|ended| Ended::new(ended.into_iter())), replicated))
    }

    fn session_script<'s>(&self, script: &'s Script, id: &str) -> ScriptInvocation<'s> {
        let SessionKeys {
            session, rotated, ..
        } = self.keys.session(id);
        let mut invocation = script.key(session);
        invocation.key(rotated);
        invocation
    }

    /// A script that may end a session, and then adds the session to the log.
    fn ending_script<'s>(
        &self,
        script: &'s Script,
        id: &str,
        policy: &SessionPolicy,
    ) -> ScriptInvocation<'s> {
        let (field, value) = entry(id);
        let mut invocation = self.session_script(script, id);
        invocation
            .key(self.keys.session(id).log)
            .arg(to_millis(policy.ended_retention()))
            .arg(field)
            .arg(value);
        invocation
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, BoxError> {
        let answer = script.invoke_async(&mut self.connection.clone()).await;
        answer.map_err(store_error)
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BoxError> {
        let answer = command.query_async(&mut self.connection.clone()).await;
        answer.map_err(store_error)
    }
}

impl Ended {
    /// From an answer of `end_session` in `session.lua`.
    fn new(mut answer: impl Iterator<Item = String>) -> Self {
        Self {
            subject: answer.next().unwrap_or_default(),
            digests: answer.collect(),
        }
    }
}

/// One of the answers to a pipeline.
fn read<T: FromRedisValue>(answer: Option<Value>) -> Result<T, BoxError> {
    let answer = answer.unwrap_or(Value::Nil).extract_error();
    redis::from_redis_value(answer.map_err(store_error)?).map_err(|error| store_error(error.into()))
}

fn to_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A time of the server's clock, in milliseconds since 1970.
fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
