//! Replaces a connection that broke.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::Mutex;

use super::detach::DetachOnDrop;
use super::error::{extract_error, extract_errors, is_read_only, is_starting};

/// How long a command may take before it counts as lost.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes connections.
pub(super) trait Connect: Send + 'static {
    type Connection: ConnectionLike + Clone + Send + Sync + 'static;

    /// How long all attempts to connect may take together.
    const TIMEOUT: Duration = RESPONSE_TIMEOUT;

    /// Whether commands use the broken connection until its successor is ready.
    const KEEPS_BROKEN: bool = false;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<Self::Connection>>;

    /// Whether an error says that the connection is broken.
    fn is_broken(error: &RedisError) -> bool {
        is_read_only(error)
            || error.is_timeout()
            || error.is_io_error()
            || error.is_unrecoverable_error()
    }
}

/// A connection that is replaced after it broke. Clones share it.
pub(super) struct Reconnecting<C: Connect> {
    state: Arc<RwLock<State<C::Connection>>>,
    /// None for a connection of the application, which nobody here can make again.
    client: Option<Arc<Mutex<C>>>,
}

struct State<C> {
    /// How many connections were made.
    generation: u64,
    current: Option<C>,
    failure: Option<Failure>,
}

/// The last failed attempt to connect.
#[derive(Clone)]
struct Failure {
    started: Instant,
    error: RedisError,
}

impl<C: Connect> Clone for Reconnecting<C> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            client: self.client.clone(),
        }
    }
}

impl<C: Connect> Reconnecting<C> {
    /// Connects at the first command.
    pub(super) fn new(client: C) -> Self {
        Self::from_parts(None, Some(client))
    }

    /// Uses a connection of the application, and never replaces it.
    pub(super) fn with_connection(connection: C::Connection) -> Self {
        Self::from_parts(Some(connection), None)
    }

    fn from_parts(current: Option<C::Connection>, client: Option<C>) -> Self {
        Self {
            state: Arc::new(RwLock::new(State {
                generation: 0,
                current,
                failure: None,
            })),
            client: client.map(|client| Arc::new(Mutex::new(client))),
        }
    }

    pub(super) fn client(&self) -> Option<Arc<Mutex<C>>> {
        self.client.clone()
    }

    pub(super) async fn connect(self) -> RedisResult<Self> {
        self.current().await?;
        Ok(self)
    }

    pub(super) async fn command(&self, command: Cmd) -> RedisResult<Value> {
        self.send(async move |mut connection| {
            extract_error(connection.req_packed_command(&command).await)
        })
        .await
    }

    pub(super) async fn pipeline(
        &self,
        commands: Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.send(async move |mut connection| {
            let answers = connection.req_packed_commands(&commands, offset, count);
            extract_errors(answers.await)
        })
        .await
    }

    /// Sends on the connection, and sees the answer also when the caller stops waiting.
    pub(super) async fn send<T, F>(&self, send: impl FnOnce(C::Connection) -> F) -> RedisResult<T>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let (generation, connection) = self.current().await?;
        let answer = send(connection);
        let reconnecting = self.clone();
        DetachOnDrop::new(async move {
            let answer = answer.await;
            if matches!(&answer, Err(error) if C::is_broken(error)) {
                reconnecting.replace(generation);
            }
            answer
        })
        .await
    }

    /// Replaces a broken connection: at once in the background, or at the next command.
    fn replace(self, broken: u64) {
        if self.client.is_none() {
            return;
        }
        if C::KEEPS_BROKEN {
            tokio::spawn(async move { self.reconnect(broken, Instant::now()).await });
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == broken {
            state.current = None;
        }
    }

    /// The connection and its generation. Connects if there is none.
    async fn current(&self) -> RedisResult<(u64, C::Connection)> {
        let asked_at = Instant::now();
        let (generation, current) = self.read();
        match current {
            Some(connection) => Ok((generation, connection)),
            None => self.reconnect(generation, asked_at).await,
        }
    }

    fn read(&self) -> (u64, Option<C::Connection>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.generation, state.current.clone())
    }

    /// Connects once for all commands that wait for a connection.
    async fn reconnect(&self, broken: u64, asked_at: Instant) -> RedisResult<(u64, C::Connection)> {
        let Some(client) = &self.client else {
            return Err((ErrorKind::Client, "the connection cannot be replaced").into());
        };
        let mut client = client.lock().await;
        match self.read() {
            (generation, Some(connection)) if generation != broken => {
                return Ok((generation, connection));
            }
            _ => {}
        }
        if let Some(error) = self.failure_since(asked_at) {
            return Err(error);
        }
        let started = Instant::now();
        let attempts = tokio::time::timeout(C::TIMEOUT, connect_patiently(&mut *client, started));
        let connected = attempts.await.unwrap_or_else(|_elapsed| {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(error.into())
        });
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match connected {
            Ok(connection) => {
                state.generation += 1;
                state.current = Some(connection.clone());
                Ok((state.generation, connection))
            }
            Err(error) => {
                state.failure = Some(Failure {
                    started,
                    error: error.clone(),
                });
                Err(error)
            }
        }
    }

    /// The error of an attempt that started after this time.
    fn failure_since(&self, time: Instant) -> Option<RedisError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let failure = state.failure.as_ref()?;
        (failure.started > time).then(|| failure.error.clone())
    }
}

/// Tries again while the server, or its machine, may be starting.
async fn connect_patiently<C: Connect>(
    client: &mut C,
    started: Instant,
) -> RedisResult<C::Connection> {
    loop {
        match client.connect().await {
            Err(error) if is_starting(&error) && started.elapsed() + PAUSE < C::TIMEOUT => {
                tokio::time::sleep(PAUSE).await;
            }
            connected => return connected,
        }
    }
}
