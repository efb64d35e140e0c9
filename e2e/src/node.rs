//! Nodes that follow the log of a store, each in a process of its own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tower_logout::ended::EndedLog;
use tower_logout::store::SessionStore;
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use super::database::{Kind, Server, redis_cluster};

/// A store and its log: `sql`, `redis` or `cluster`.
pub async fn open(kind: &str, url: &str) -> (Arc<dyn SessionStore>, Arc<dyn EndedLog>) {
    match kind {
        "sql" => {
            let store = SqlStore::connect(url).await.unwrap();
            let log = store.ended_log().await.unwrap();
            (Arc::new(store), Arc::new(log))
        }
        "redis" | "cluster" => {
            let store = if kind == "redis" {
                RedisStore::connect(url).await
            } else {
                RedisStore::connect_cluster([url]).await
            };
            let store = store.unwrap();
            let log = store.ended_log().unwrap();
            (Arc::new(store), Arc::new(log))
        }
        other => panic!("unknown kind {other}"),
    }
}

/// Calls the function with a new SQLite file, as for [`open`].
pub async fn with_sqlite(run: impl AsyncFn(&str, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.sqlite");
    run("sql", &format!("sqlite:{}", file.display())).await;
}

/// Calls the function with a server of each kind, as for [`open`].
pub async fn with_each_server(run: impl AsyncFn(&str, &str)) {
    for (name, kind) in [
        ("sql", Kind::Postgres),
        ("sql", Kind::MariaDb),
        ("redis", Kind::Redis),
    ] {
        if let Some(server) = Server::start(kind).await {
            eprintln!("{kind:?}");
            run(name, &server.url(&server.new_database().await)).await;
        }
    }
    if let Some(nodes) = redis_cluster().await {
        run("cluster", &nodes[0].url("")).await;
    }
}

/// A process of `src/bin/node.rs`.
pub struct Node {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts a node, and waits until the node has read the log. `program` is `env!("CARGO_BIN_EXE_node")`.
    pub async fn start(program: &str, kind: &str, url: &str, max_staleness: Duration) -> Self {
        let mut child = Command::new(program)
            .args([kind, url, &max_staleness.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut node = Self {
            child,
            input,
            output,
        };
        assert_eq!(node.line().await, "ready");
        node
    }

    pub async fn send(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    /// The next line that the node prints.
    pub async fn line(&mut self) -> String {
        let line = self.output.next_line().await.unwrap();
        line.expect("the node has ended")
    }

    /// Sends a line, and returns the last word of the answer.
    pub async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        let answer = self.line().await;
        answer.rsplit(' ').next().unwrap().to_owned()
    }

    /// Sends a signal, for example `"STOP"`.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
