//! Tells readers that the log has news. The news are a hint: whoever misses them reads a little later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::{Cmd, RedisResult, Value};

use super::positions::Positions;
use super::source::{Connection, Source};
use crate::background::Background;
use crate::connection::RedisConnection;
use crate::keys::{BUCKETS, Keys};

/// How long the server blocks a command before the command is sent again.
const BLOCK: Duration = Duration::from_secs(5);
/// How much later an answer may come.
const SLACK: Duration = Duration::from_secs(1);

/// Waits for news, on a connection of its own: the server answers nothing else on a blocked connection.
///
/// One server blocks until one of the streams has a new entry. In a cluster a command has keys of one slot,
/// so the connection waits for the bell's own stream.
pub(super) struct Bell {
    source: Source,
    keys: Keys,
    heard: Arc<Mutex<Heard>>,
    state: tokio::sync::Mutex<State>,
}

/// What is no news.
struct Heard {
    positions: Positions,
    /// The last entry of the bell's own stream.
    rung: String,
}

enum State {
    Idle(Option<Connection>),
    /// Stays here when nobody waits any more, so that a later wait goes on.
    Waiting(BoxFuture<'static, RedisResult<Connection>>),
}

impl Bell {
    pub(super) fn new(source: Source, keys: Keys) -> Self {
        let heard = Heard {
            positions: Positions::start(),
            rung: "$".to_owned(),
        };
        Self {
            source,
            keys,
            heard: Arc::new(Mutex::new(heard)),
            state: tokio::sync::Mutex::new(State::Idle(None)),
        }
    }

    /// Remembers what was read.
    pub(super) fn has_read(&self, positions: Positions) {
        with(&self.heard, |heard| heard.positions = positions);
    }

    /// Leaves the connection, which may lead to a server that is gone.
    pub(super) fn reset(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            *state = State::Idle(None);
        }
    }

    /// Waits until the bell rings. If it cannot be heard, waits for ever: a failure is no news.
    pub(super) async fn wait(&self) {
        let mut state = self.state.lock().await;
        if let State::Idle(connection) = &mut *state {
            let wait = wait(
                self.source.clone(),
                connection.take(),
                self.keys.clone(),
                Arc::clone(&self.heard),
            );
            *state = State::Waiting(wait.boxed());
        }
        let State::Waiting(waiting) = &mut *state else {
            return;
        };
        let rung = waiting.await;
        let is_failure = rung.is_err();
        *state = State::Idle(rung.ok());
        drop(state);
        if is_failure {
            std::future::pending::<()>().await;
        }
    }
}

async fn wait(
    source: Source,
    connection: Option<Connection>,
    keys: Keys,
    heard: Arc<Mutex<Heard>>,
) -> RedisResult<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => source.connect(BLOCK + SLACK).await?,
    };
    loop {
        let command = with(&heard, |heard| match connection {
            Connection::Server(_) => any_stream(&keys, &heard.positions),
            Connection::Cluster(_) => own_stream(&keys, &heard.rung),
        });
        let answer = connection.command(&keys.bell(), command).await?;
        if answer == Value::Nil {
            continue;
        }
        if let Connection::Cluster(_) = connection {
            let rung: Vec<(String, Vec<(String, Value)>)> = redis::from_redis_value(answer)?;
            let last = rung.into_iter().flat_map(|(_, entries)| entries).last();
            if let Some((id, _)) = last {
                with(&heard, |heard| heard.rung = id);
            }
        }
        return Ok(connection);
    }
}

fn any_stream(keys: &Keys, read: &Positions) -> Cmd {
    let mut command = block();
    for bucket in 0..BUCKETS {
        command.arg(keys.log(bucket));
    }
    for bucket in 0..BUCKETS {
        command.arg(read.last(bucket));
    }
    command
}

fn own_stream(keys: &Keys, rung: &str) -> Cmd {
    let mut command = block();
    command.arg(keys.bell()).arg(rung);
    command
}

fn block() -> Cmd {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(1);
    command.arg("BLOCK").arg(BLOCK.as_secs() * 1000);
    command.arg("STREAMS");
    command
}

fn with<T>(heard: &Mutex<Heard>, change: impl FnOnce(&mut Heard) -> T) -> T {
    change(&mut heard.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Rings the bell of a cluster, in the background. Ends that come meanwhile share the next ring.
#[derive(Clone, Debug)]
pub(crate) struct Ringer {
    connection: RedisConnection,
    again: Arc<AtomicBool>,
    background: Background,
}

impl Ringer {
    pub(crate) fn new(connection: RedisConnection) -> Self {
        Self {
            connection,
            again: Arc::default(),
            background: Background::new(),
        }
    }

    /// Rings after a session has ended. One server needs no ring.
    pub(crate) fn ring(&self, keys: &Keys, retention: Duration) {
        if !self.connection.is_cluster() {
            return;
        }
        self.again.store(true, Ordering::SeqCst);
        let (ringer, bell) = (self.clone(), keys.bell());
        let again = Arc::clone(&self.again);
        self.background.start(
            move || ringer.clone().ring_once(bell.clone(), retention).boxed(),
            move || again.load(Ordering::SeqCst),
        );
    }

    async fn ring_once(mut self, bell: String, retention: Duration) {
        self.again.store(false, Ordering::SeqCst);
        let mut commands = redis::pipe();
        commands.cmd("XADD").arg(&bell).arg("MAXLEN").arg(1);
        commands.arg("*").arg("").arg("");
        let millis = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        commands.cmd("PEXPIRE").arg(&bell).arg(millis);
        let _ = self.connection.send_to(&bell, commands, 2).await;
    }
}
