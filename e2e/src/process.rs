//! Runs the examples as processes.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// An example that runs on a free port, in its own folder.
pub struct ExampleServer {
    pub url: String,
    pub folder: tempfile::TempDir,
    child: Child,
}

impl ExampleServer {
    /// `examples/axum.rs` with its own database.
    pub async fn start() -> Self {
        Self::start_example("axum", &[]).await
    }

    /// `examples/axum.rs` with the database of this URL.
    pub async fn start_with(database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = example("axum", folder.path());
        command.env("DATABASE_URL", database);
        Self::spawn(command, folder).await
    }

    pub async fn start_example(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = example(name, folder.path());
        command.args(arguments);
        Self::spawn(command, folder).await
    }

    async fn spawn(mut command: Command, folder: tempfile::TempDir) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("the example prints its address");
        let url = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("unexpected first line: {line}"))
            .to_owned();
        Self { url, folder, child }
    }

    /// Its `host:port`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The URL of its database.
    pub fn database(&self) -> String {
        let file = self.folder.path().join("tower-logout.sqlite");
        format!("sqlite:{}", file.display())
    }

    /// `examples/axum.rs`, not yet started.
    pub fn command(folder: &Path) -> Command {
        Self::command_of("axum", folder)
    }

    /// An example, not yet started.
    pub fn command_of(name: &str, folder: &Path) -> Command {
        example(name, folder)
    }

    /// Its resident memory, in KiB.
    #[cfg(target_os = "linux")]
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
        number.parse().unwrap()
    }

    /// Sends a signal, for example `"TERM"`.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }
}

fn example(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary(name));
    command
        .current_dir(folder)
        .env("BIND", "127.0.0.1:0")
        .env_remove("DATABASE_URL")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Cargo puts the examples into a folder beside the one of the tests.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
