//! Database servers for the tests, each on a free port and with its own data folder.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::Connection;
use tokio::sync::OnceCell;

use super::program::find_program;
use super::proxy::Proxy;

/// How long a store waits for its database in a test that crowds the store. The default is for a server
/// that has cores of its own.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    MariaDb,
    Redis,
    /// A node of a cluster.
    RedisNode,
    /// Names the Redis server that is the primary.
    Sentinel,
    /// Lets clients share connections to a Postgres server.
    PgBouncer,
}

/// A server. It stops when it is dropped, and also when this process ends in any way.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    /// The port that a node of a cluster announces to its clients.
    announced: Option<u16>,
    program: std::path::PathBuf,
    folder: tempfile::TempDir,
    /// Settings beyond the ones that all tests share.
    settings: Vec<String>,
    running: Option<Child>,
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The nodes of a cluster talk to each other on the port of their clients plus 10,000. Both ports lie
/// below the range from which the system assigns ports.
fn free_port_of_node() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let start = std::process::id() as usize * 7;
    std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|number| 20_000 + u16::try_from(number % 2_700).unwrap())
        .find(|port| {
            let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            is_free(*port) && is_free(port + 10_000)
        })
        .unwrap()
}

impl Server {
    /// `None` with a message if no such server is installed.
    pub async fn start(kind: Kind) -> Option<Self> {
        let program = find_program(match kind {
            Kind::Postgres => &["postgres"],
            Kind::MariaDb => &["mariadbd"],
            Kind::Redis | Kind::RedisNode | Kind::Sentinel => &["redis-server", "valkey-server"],
            Kind::PgBouncer => &["pgbouncer"],
        })?;
        let mut server = Self::new(kind, program);
        server.prepare();
        server.resume().await;
        Some(server)
    }

    /// A replica of a Postgres server.
    pub async fn standby_of(primary: &Self) -> Self {
        let mut server = Self::new(Kind::Postgres, primary.program.clone());
        let folder = server.folder.path();
        if is_root() {
            run(Command::new("chown").arg("nobody").arg(folder));
        }
        let backup = find_program(&["pg_basebackup"]).unwrap();
        run(unprivileged(&backup)
            .args(["-h", "127.0.0.1", "-U", "postgres", "--checkpoint=fast"])
            .args(["--no-sync", "--write-recovery-conf", "-p"])
            .arg(primary.port.to_string())
            .arg("-D")
            .arg(folder.join("data")));
        server.resume().await;
        server
    }

    /// A sentinel that watches a Redis server by the name `main`, with a quorum of one.
    pub async fn sentinel_of(primary: &Self) -> Self {
        let mut server = Self::new(Kind::Sentinel, primary.program.clone());
        server.prepare();
        let config = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
            server.port,
            server.folder.path().display(),
            primary.port
        );
        std::fs::write(server.folder.path().join("data/sentinel.conf"), config).unwrap();
        server.resume().await;
        server
    }

    /// A `PgBouncer` with few connections, which clients share transaction by transaction.
    pub async fn pgbouncer_of(server: &Self) -> Option<Self> {
        let bouncer = Self::new(Kind::PgBouncer, find_program(&["pgbouncer"])?);
        bouncer.prepare();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\n\
             listen_addr=127.0.0.1\nlisten_port={}\nunix_socket_dir=\nauth_type=any\n\
             pool_mode=transaction\ndefault_pool_size=3\n\
             ignore_startup_parameters=extra_float_digits\n",
            server.port, bouncer.port
        );
        let path = bouncer.folder.path().join("data/pgbouncer.ini");
        std::fs::write(path, config).unwrap();
        if is_root() {
            let folder = bouncer.folder.path();
            run(Command::new("chown").args(["-R", "nobody"]).arg(folder));
        }
        let mut bouncer = bouncer;
        bouncer.resume().await;
        Some(bouncer)
    }

    fn new(kind: Kind, program: std::path::PathBuf) -> Self {
        Self {
            kind,
            port: if kind == Kind::RedisNode {
                free_port_of_node()
            } else {
                free_port()
            },
            announced: None,
            program,
            folder: tempfile::tempdir().unwrap(),
            settings: Vec::new(),
            running: None,
        }
    }

    /// Creates the data folder.
    fn prepare(&self) {
        let folder = self.folder.path();
        let data = folder.join("data");
        match self.kind {
            Kind::Postgres => {
                if is_root() {
                    run(Command::new("chown").arg("nobody").arg(folder));
                }
                let initdb = self.program.with_file_name("initdb");
                run(unprivileged(&initdb)
                    .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"])
                    .args(["--no-sync", "-D"])
                    .arg(&data));
            }
            Kind::MariaDb => {
                let install = find_program(&["mariadb-install-db"]).unwrap();
                run(Command::new(install)
                    .args(["--no-defaults", "--skip-test-db", "--user=root"])
                    .arg("--auth-root-authentication-method=normal")
                    .arg(temporary_folder(folder))
                    .arg(format!("--datadir={}", data.display())));
            }
            Kind::Redis | Kind::RedisNode | Kind::Sentinel | Kind::PgBouncer => {
                std::fs::create_dir(&data).unwrap();
            }
        }
    }

    fn command(&self, data: &Path) -> Command {
        let port = self.port.to_string();
        let mut command;
        match self.kind {
            Kind::Postgres => {
                command = unprivileged(&self.program);
                command.args(["-p", &port, "-D"]).arg(data);
                for setting in [
                    "listen_addresses=127.0.0.1",
                    "unix_socket_directories=",
                    "max_connections=300",
                ] {
                    command.args(["-c", setting]);
                }
            }
            Kind::MariaDb => {
                command = Command::new(&self.program);
                command
                    .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
                    .arg(temporary_folder(self.folder.path()))
                    .arg(format!("--port={port}"))
                    .arg(format!("--datadir={}", data.display()))
                    .arg(format!("--socket={}", data.join("socket").display()))
                    .args(["--max-connections=300", "--skip-name-resolve"]);
            }
            Kind::PgBouncer => {
                command = unprivileged(&self.program);
                command.arg(data.join("pgbouncer.ini"));
            }
            Kind::Sentinel => {
                command = Command::new(&self.program);
                command.arg(data.join("sentinel.conf")).arg("--sentinel");
            }
            Kind::Redis | Kind::RedisNode => {
                command = Command::new(&self.program);
                command
                    .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
                    // With `everysec`, a crash may lose an acknowledged write.
                    .args(["--appendonly", "yes", "--appendfsync", "always"])
                    .args(["--repl-diskless-sync-delay", "0", "--dir"])
                    .arg(data);
                if self.kind == Kind::RedisNode {
                    let announced = self.announced.unwrap_or(self.port).to_string();
                    command.args(["--cluster-enabled", "yes"]);
                    command.args(["--cluster-announce-port", &announced]);
                }
            }
        }
        command.args(&self.settings);
        command
    }

    /// Restarts the server with these additional settings.
    pub async fn restart_with(&mut self, settings: &[String]) {
        self.kill();
        self.settings = settings.to_vec();
        self.resume().await;
    }

    /// Writes a file that only the server may read, and returns its path.
    pub fn secret_file(&self, name: &str, content: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        if self.kind == Kind::Postgres && is_root() {
            run(Command::new("chown").arg("nobody").arg(&path));
        }
        path.display().to_string()
    }

    /// Starts the server on its existing data, as after a crash.
    pub async fn resume(&mut self) {
        let command = self.command(&self.folder.path().join("data"));
        let log = self.folder.path().join("log");
        self.running = Some(watched(&command, &log));
        for _ in 0..600 {
            if self.answers().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            // The child processes of a killed Postgres server may take a while to end.
            if said(&log).contains("still in use") {
                self.kill();
                self.running = Some(watched(&command, &log));
            }
        }
        panic!("{:?} does not start: {}", self.kind, said(&log));
    }

    async fn answers(&self) -> bool {
        let url = self.url("");
        match self.kind {
            Kind::Postgres => sqlx::PgConnection::connect(&url).await.is_ok(),
            Kind::PgBouncer => {
                let url = self.url("postgres");
                sqlx::PgConnection::connect(&url).await.is_ok()
            }
            Kind::MariaDb => sqlx::MySqlConnection::connect(&url).await.is_ok(),
            Kind::Redis | Kind::RedisNode | Kind::Sentinel => {
                tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                    .await
                    .is_ok()
            }
        }
    }

    /// Kills the server, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.stdin.take());
            running.wait().unwrap();
        }
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// The URL of one of its databases through a proxy on this port.
    pub fn url_at(&self, port: u16, database: &str) -> String {
        match self.kind {
            Kind::Postgres | Kind::PgBouncer => {
                format!("postgres://postgres@127.0.0.1:{port}/{database}")
            }
            Kind::MariaDb => format!("mysql://root@127.0.0.1:{port}/{database}"),
            Kind::Redis | Kind::RedisNode | Kind::Sentinel => {
                format!("redis://127.0.0.1:{port}/{database}")
            }
        }
    }

    /// Creates a database, and returns its name.
    pub async fn new_database(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        // Leaked, because each version of sqlx takes such a text.
        let create: &'static str = format!("CREATE DATABASE {name}").leak();
        match self.kind {
            Kind::Postgres => {
                let mut admin = sqlx::PgConnection::connect(&self.url("postgres"))
                    .await
                    .unwrap();
                sqlx::query(create).execute(&mut admin).await.unwrap();
            }
            Kind::MariaDb => {
                let mut admin = sqlx::MySqlConnection::connect(&self.url("")).await.unwrap();
                sqlx::query(create).execute(&mut admin).await.unwrap();
            }
            Kind::Redis | Kind::RedisNode | Kind::Sentinel | Kind::PgBouncer => {
                return String::new();
            }
        }
        name
    }

    /// Lets a server of SQL take no more writes, as one that is demoted. Postgres tells its connections a moment later.
    pub async fn make_read_only(&self) {
        match self.kind {
            Kind::Postgres => {
                let mut admin = sqlx::PgConnection::connect(&self.url("postgres"))
                    .await
                    .unwrap();
                for sql in [
                    "ALTER SYSTEM SET default_transaction_read_only = on",
                    "SELECT pg_reload_conf()",
                ] {
                    sqlx::query(sql).execute(&mut admin).await.unwrap();
                }
            }
            Kind::MariaDb => {
                let mut admin = sqlx::MySqlConnection::connect(&self.url("")).await.unwrap();
                let sql = "SET GLOBAL read_only = 1";
                sqlx::query(sql).execute(&mut admin).await.unwrap();
            }
            other => panic!("{other:?} is no server of SQL"),
        }
    }

    /// The content of all files in the data folder.
    pub fn files(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let mut folders = vec![self.folder.path().join("data")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    // A file may vanish in the meantime.
                    _ => content.extend(std::fs::read(entry.path()).unwrap_or_default()),
                }
            }
        }
        content
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A new database on a server that the tests share, and its URL.
pub async fn shared(kind: Kind) -> Option<(&'static Server, String)> {
    static POSTGRES: OnceCell<Option<Server>> = OnceCell::const_new();
    static MARIADB: OnceCell<Option<Server>> = OnceCell::const_new();
    static REDIS: OnceCell<Option<Server>> = OnceCell::const_new();
    let cell = match kind {
        Kind::RedisNode | Kind::Sentinel | Kind::PgBouncer => {
            panic!("{kind:?} cannot serve alone")
        }
        Kind::Postgres => &POSTGRES,
        Kind::MariaDb => &MARIADB,
        Kind::Redis => &REDIS,
    };
    let server = cell.get_or_init(|| Server::start(kind)).await.as_ref()?;
    let url = server.url(&server.new_database().await);
    Some((server, url))
}

/// A cluster of three primaries.
pub async fn redis_cluster() -> Option<[Server; 3]> {
    let nodes = redis_nodes().await?;
    join_cluster(&nodes).await;
    Some(nodes)
}

/// A cluster of three primaries, each of which announces the port of a proxy.
pub async fn redis_cluster_behind_proxies() -> Option<([Server; 3], Vec<Proxy>)> {
    let mut nodes = redis_nodes().await?;
    let mut proxies = Vec::new();
    for node in &mut nodes {
        let proxy = Proxy::start(node.port).await;
        node.announced = Some(proxy.port);
        node.kill();
        node.resume().await;
        proxies.push(proxy);
    }
    join_cluster(&nodes).await;
    Some((nodes, proxies))
}

async fn redis_nodes() -> Option<[Server; 3]> {
    Some([
        Server::start(Kind::RedisNode).await?,
        Server::start(Kind::RedisNode).await?,
        Server::start(Kind::RedisNode).await?,
    ])
}

async fn join_cluster(nodes: &[Server; 3]) {
    let addresses = nodes
        .each_ref()
        .map(|node| format!("127.0.0.1:{}", node.port));
    let cli = find_program(&["redis-cli", "valkey-cli"]).unwrap();
    run(Command::new(&cli)
        .args(["--cluster", "create"])
        .args(&addresses)
        .arg("--cluster-yes"));
    // Each node must agree.
    for node in nodes {
        agrees(&cli, node).await;
    }
}

/// Adds a node to a cluster, as a replica of the first node.
pub async fn replica_in_cluster(nodes: &[Server; 3]) -> Server {
    let replica = Server::start(Kind::RedisNode).await.unwrap();
    let cli = find_program(&["redis-cli", "valkey-cli"]).unwrap();
    let ask = |port: u16, arguments: &[&str]| {
        let answer = Command::new(&cli)
            .args(["-p", &port.to_string()])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(answer.stdout).unwrap().trim().to_owned()
    };
    let port = nodes[0].port.to_string();
    ask(replica.port, &["cluster", "meet", "127.0.0.1", &port]);
    let primary = ask(nodes[0].port, &["cluster", "myid"]);
    for _ in 0..600 {
        ask(replica.port, &["cluster", "replicate", &primary]);
        if ask(replica.port, &["info", "replication"]).contains("master_link_status:up") {
            return replica;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the node does not replicate");
}

async fn agrees(cli: &Path, node: &Server) {
    for _ in 0..600 {
        let info = Command::new(cli)
            .args(["-p", &node.port.to_string(), "cluster", "info"])
            .output()
            .unwrap();
        if String::from_utf8_lossy(&info.stdout).contains("cluster_state:ok") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the nodes do not agree");
}

/// Kills its child when its standard input closes: we closed it, or this process ended.
const WATCH: &str = r#""$@" < /dev/null & child=$!; read -r _; kill -9 $child; wait $child"#;

fn watched(command: &Command, log: &Path) -> Child {
    let log = std::fs::File::create(log).unwrap();
    Command::new("sh")
        .args(["-c", WATCH, "watch"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The log of a server since its last start.
fn said(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap()).replace('\0', "")
}

/// A server of MariaDB deletes the temporary tables that another one has in the same folder.
fn temporary_folder(folder: &Path) -> String {
    format!("--tmpdir={}", folder.display())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Postgres refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
