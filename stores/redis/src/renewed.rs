//! A connection that is made once more when it is of no use any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, RetryMethod, ServerErrorKind,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::RESPONSE_TIMEOUT;

/// How long one attempt to reach a server may take, so that the next one meets a server that has come
/// back meanwhile.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Who makes a connection.
pub(super) trait Source: Send + 'static {
    type Connection: ConnectionLike + Clone + Send + Sync + 'static;

    /// How long it may take.
    const LIMIT: Duration = RESPONSE_TIMEOUT;

    /// Whether the old connection serves until there is another one.
    const KEEPS: bool = false;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<Self::Connection>>;

    /// Whether an error says that the connection is of no use.
    fn is_spent(error: &RedisError) -> bool {
        // A demoted primary answers, and keeps its connections.
        is_read_only(error)
            || error.is_timeout()
            || error.is_io_error()
            || error.is_unrecoverable_error()
    }
}

pub(super) fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

impl Source for Client {
    type Connection = MultiplexedConnection;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<MultiplexedConnection>> {
        Box::pin(async {
            self.get_multiplexed_async_connection_with_config(&config())
                .await
        })
    }
}

impl Source for SentinelClient {
    type Connection = MultiplexedConnection;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<MultiplexedConnection>> {
        Box::pin(async { self.get_async_connection_with_config(&config()).await })
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

/// The redis crate's connection repairs itself, but after several faults at once it may wait for
/// itself for ever, and then each command runs into its time-out. Other nodes may answer all the while.
impl Source for ClusterClient {
    type Connection = ClusterConnection;

    const LIMIT: Duration = Duration::from_secs(10);
    const KEEPS: bool = true;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<ClusterConnection>> {
        Box::pin(async { self.get_async_connection().await })
    }

    fn is_spent(error: &RedisError) -> bool {
        error.is_timeout()
    }
}

pub(super) struct Renewed<S: Source> {
    state: Arc<RwLock<State<S::Connection>>>,
    /// The application's own connection cannot be made once more.
    source: Option<Arc<Mutex<S>>>,
}

struct State<C> {
    /// How many connections there have been.
    number: u64,
    current: Option<C>,
    /// When the last attempt that failed was begun, and why it failed.
    failure: Option<(Instant, RedisError)>,
}

impl<S: Source> Clone for Renewed<S> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            source: self.source.clone(),
        }
    }
}

impl<S: Source> Renewed<S> {
    /// Connects when it is asked for the first time.
    pub(super) fn by(source: S) -> Self {
        Self::holding(None, Some(source))
    }

    pub(super) fn of(connection: S::Connection) -> Self {
        Self::holding(Some(connection), None)
    }

    fn holding(current: Option<S::Connection>, source: Option<S>) -> Self {
        Self {
            state: Arc::new(RwLock::new(State {
                number: 0,
                current,
                failure: None,
            })),
            source: source.map(|source| Arc::new(Mutex::new(source))),
        }
    }

    pub(super) async fn connect(self) -> RedisResult<Self> {
        self.current().await?;
        Ok(self)
    }

    /// Asks, and sees the answer also if whoever asks does not wait for it.
    pub(super) async fn ask<T, F>(&self, ask: impl FnOnce(S::Connection) -> F) -> RedisResult<T>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let (number, connection) = self.current().await?;
        let answer = ask(connection);
        let renewed = self.clone();
        let seen = async move {
            let answer = answer.await;
            if matches!(&answer, Err(error) if S::is_spent(error)) {
                renewed.spent(number);
            }
            answer
        };
        ToItsEnd(Some(seen.boxed())).await
    }

    fn spent(self, number: u64) {
        if self.source.is_none() {
            return;
        }
        if S::KEEPS {
            tokio::spawn(async move { self.renew(number, Instant::now()).await });
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.number == number {
            state.current = None;
        }
    }

    /// The connection, and which one it is. Made, if there is none.
    async fn current(&self) -> RedisResult<(u64, S::Connection)> {
        let asked_at = Instant::now();
        let (number, current) = self.read();
        match current {
            Some(connection) => Ok((number, connection)),
            None => self.renew(number, asked_at).await,
        }
    }

    fn read(&self) -> (u64, Option<S::Connection>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.number, state.current.clone())
    }

    /// Once, however many commands wait for it.
    async fn renew(&self, spent: u64, asked_at: Instant) -> RedisResult<(u64, S::Connection)> {
        let Some(source) = &self.source else {
            return Err((ErrorKind::Client, "there is no connection").into());
        };
        let mut source = source.lock().await;
        if let (number, Some(connection)) = self.read()
            && number != spent
        {
            return Ok((number, connection));
        }
        if let Some((begun, error)) = self.failure()
            && begun > asked_at
        {
            return Err(error);
        }
        let begun = Instant::now();
        let made = tokio::time::timeout(S::LIMIT, patiently(&mut *source, begun));
        let made = made.await.unwrap_or_else(|_| {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(error.into())
        });
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(connection) => {
                state.number += 1;
                state.current = Some(connection.clone());
                Ok((state.number, connection))
            }
            Err(error) => {
                state.failure = Some((begun, error.clone()));
                Err(error)
            }
        }
    }

    fn failure(&self) -> Option<(Instant, RedisError)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.failure.clone()
    }
}

/// Knocks again at a server that starts, or whose machine does.
async fn patiently<S: Source>(source: &mut S, begun: Instant) -> RedisResult<S::Connection> {
    loop {
        match source.connect().await {
            Err(error) if is_passing(&error) && begun.elapsed() + PAUSE < S::LIMIT => {
                tokio::time::sleep(PAUSE).await;
            }
            made => return made,
        }
    }
}

/// Whether a server may be about to start, or sentinels about to find the next primary.
fn is_passing(error: &RedisError) -> bool {
    error.is_timeout()
        || error.is_connection_dropped()
        || matches!(error.retry_method(), RetryMethod::WaitAndRetry)
}

/// A future that goes on in the background when it is dropped.
struct ToItsEnd<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let output = future.as_mut().poll(context);
        if output.is_ready() {
            self.0 = None;
        }
        output
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(future.map(drop));
        }
    }
}
