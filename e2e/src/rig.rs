//! A store behind a proxy that injects faults, and logouts from that store.

use std::sync::Arc;
use std::time::Duration;

use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, Token, TokenStore};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::{SqlPool, SqlStore};

use super::database::{Kind, Server, redis_cluster_behind_proxies};
use super::proxy::{Fault, Proxy};
use support::{logout_with, through};

/// Servers, each behind a proxy.
pub struct Rig {
    pub kind: Kind,
    pub servers: Vec<Server>,
    pub database: String,
    /// One for each server, in the same order.
    pub proxies: Vec<Proxy>,
}

impl Rig {
    pub async fn start(kind: Kind) -> Option<Self> {
        if kind == Kind::RedisNode {
            let (servers, proxies) = redis_cluster_behind_proxies().await?;
            return Some(Self {
                kind,
                servers: servers.into(),
                database: String::new(),
                proxies,
            });
        }
        let server = Server::start(kind).await?;
        Some(Self {
            kind,
            database: server.new_database().await,
            proxies: vec![Proxy::start(server.port).await],
            servers: vec![server],
        })
    }

    pub fn set_fault(&self, fault: Fault) {
        for proxy in &self.proxies {
            proxy.set_fault(fault);
        }
    }

    pub fn url(&self, port: u16) -> String {
        self.servers[0].url_at(port, &self.database)
    }

    pub fn proxied_url(&self) -> String {
        self.url(self.proxies[0].port)
    }

    pub fn direct_url(&self) -> String {
        self.url(self.servers[0].port)
    }

    async fn store(&self, url: &str) -> Arc<dyn SessionStore> {
        match self.kind {
            Kind::Postgres | Kind::MariaDb => {
                let pool = pool(self.kind, url, Duration::from_millis(500)).await;
                Arc::new(SqlStore::new(pool).await.unwrap())
            }
            Kind::Redis => Arc::new(RedisStore::connect(url).await.unwrap()),
            Kind::RedisNode => Arc::new(RedisStore::connect_cluster([url]).await.unwrap()),
            Kind::Sentinel | Kind::PgBouncer => panic!("{:?} stores no sessions", self.kind),
        }
    }

    pub async fn proxied_store(&self) -> Arc<dyn SessionStore> {
        self.store(&self.proxied_url()).await
    }

    /// A store that avoids the proxies. In a cluster it works only without a fault, because the nodes
    /// redirect their clients to the proxies.
    pub async fn direct_store(&self) -> Arc<dyn SessionStore> {
        self.store(&self.direct_url()).await
    }
}

/// A pool that the application made.
pub async fn pool(kind: Kind, url: &str, acquire_timeout: Duration) -> SqlPool {
    if kind == Kind::Postgres {
        let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(acquire_timeout);
        pool.connect(url).await.unwrap().into()
    } else {
        let pool = sqlx::mysql::MySqlPoolOptions::new().acquire_timeout(acquire_timeout);
        pool.connect(url).await.unwrap().into()
    }
}

pub fn layer<T: TokenStore>(store: T) -> LogoutLayer<T> {
    layer_with_timeout(store, Duration::from_secs(1))
}

pub fn layer_with_timeout<T: TokenStore>(store: T, timeout: Duration) -> LogoutLayer<T> {
    LogoutLayer::builder(store)
        .timeout(timeout)
        .build()
        .unwrap()
}

pub async fn acknowledged<T: TokenStore>(layer: &LogoutLayer<T>, token: &Token) -> bool {
    let answer = through(layer, logout_with(token)).await;
    match answer.status.as_u16() {
        200 => true,
        500 => false,
        other => panic!("answered {other}"),
    }
}

/// Waits until the layer acknowledges a logout again, without a restart.
pub async fn recovers<T: TokenStore>(layer: &LogoutLayer<T>, token: &Token) {
    for _ in 0..100 {
        if acknowledged(layer, token).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the layer does not recover");
}
