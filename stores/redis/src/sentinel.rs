//! Connections to the primary that the sentinels name.

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{ConnectionAddr, IntoConnectionInfo, RedisResult, TlsMode};

use super::reconnect::Connect;
use super::server;

/// A client for the primary of this name. The database, the user, the password and TLS are those of
/// the primary's URL.
pub(super) fn client<U: Into<String>>(
    sentinels: impl IntoIterator<Item = U>,
    name: String,
    primary: &str,
) -> RedisResult<SentinelClient> {
    let primary = primary.into_connection_info()?;
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
    SentinelClient::build(sentinels, name, Some(node), SentinelServerType::Master)
}

impl Connect for SentinelClient {
    type Connection = MultiplexedConnection;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<MultiplexedConnection>> {
        Box::pin(async {
            self.get_async_connection_with_config(&server::config())
                .await
        })
    }
}
