//! Connections to one server.

use std::time::Duration;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

use super::reconnect::{Connect, RESPONSE_TIMEOUT};

/// How long one attempt to connect may take. It is short, so that the next attempt reaches a server
/// that has come back meanwhile.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

impl Connect for Client {
    type Connection = MultiplexedConnection;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<MultiplexedConnection>> {
        Box::pin(async {
            self.get_multiplexed_async_connection_with_config(&config())
                .await
        })
    }
}
