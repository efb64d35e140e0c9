//! The example server as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// `examples/axum.rs`, running on a free port with a database of its own.
pub struct ExampleServer {
    pub url: String,
    pub folder: tempfile::TempDir,
    child: Child,
}

impl ExampleServer {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Self::command(folder.path()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("it says where it listens");
        let url = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("unexpected first line: {line}"))
            .to_owned();
        Self { url, folder, child }
    }

    /// `host:port`, to connect to by hand.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The URL of its database.
    pub fn database(&self) -> String {
        let file = self.folder.path().join("tower-logout.sqlite");
        format!("sqlite:{}", file.display())
    }

    /// The example, not yet started.
    pub fn command(folder: &Path) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(folder)
            .env("BIND", "127.0.0.1:0")
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Sends it a signal, `"TERM"` say.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }
}

/// Cargo builds the examples next to the tests.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile
        .join("examples")
        .join(format!("axum{}", std::env::consts::EXE_SUFFIX))
}
