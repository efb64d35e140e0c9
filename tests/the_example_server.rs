//! The README's server does what the contract says, asked with the contract's own calls.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::find_program;
use crate::support::process::ExampleServer;

/// Runs curl against a server of its own, and returns the status and the body.
struct Curl {
    program: PathBuf,
    server: ExampleServer,
}

impl Curl {
    /// `None` where there is no curl.
    async fn start() -> Option<Self> {
        let program = find_program(&["curl"])?;
        let server = ExampleServer::start().await;
        Some(Self { program, server })
    }

    async fn call(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        let output = Command::new(&self.program)
            .args(["-sS", "-w", "\n%{http_code}"])
            .args(arguments)
            .arg(format!("{}{path}", self.server.url))
            .current_dir(self.server.folder.path())
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    async fn post(&self, path: &str, jar: &[&str]) -> (u16, String) {
        let json = ["-X", "POST", "-H", "Content-Type: application/json"];
        self.call(path, &[&json[..], jar].concat()).await
    }

    async fn log_in(&self) {
        let body = r#"{"username":"alice","password":"wonderland"}"#;
        let answer = self.post("/auth/login", &["-c", "jar", "-d", body]).await;
        assert_eq!(answer, (200, r#"{"username":"alice"}"#.into()));
    }

    /// A copy of the cookies as they are, as a thief would have it.
    fn steal(&self) -> String {
        let folder = self.server.folder.path();
        std::fs::copy(folder.join("jar"), folder.join("stolen")).unwrap();
        "stolen".into()
    }
}

const BOTH: [&str; 4] = ["-b", "jar", "-c", "jar"];

#[tokio::test]
async fn from_login_to_logout_with_curl() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    assert_eq!(curl.call("/healthz", &[]).await.0, 200);
    assert_eq!(curl.call("/me", &[]).await.0, 401);

    let wrong = r#"{"username":"alice","password":"looking-glass"}"#;
    let (status, body) = curl.post("/auth/login", &["-d", wrong]).await;
    assert_eq!(
        (status, &*body),
        (401, r#"{"error":"Wrong username or password"}"#)
    );

    curl.log_in().await;
    assert_eq!(
        curl.call("/me", &["-b", "jar"]).await,
        (200, r#"{"username":"alice"}"#.into())
    );
    let before_refresh = curl.steal();
    assert_eq!(curl.post("/auth/refresh", &BOTH).await.0, 200);
    assert_eq!(curl.call("/me", &["-b", "jar"]).await.0, 200);

    let folder = curl.server.folder.path();
    std::fs::copy(folder.join("jar"), folder.join("kept")).unwrap();
    let (status, answer) = curl.post("/auth/logout", &["-i", "-b", "jar"]).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer.matches("Expires=Thu, 01 Jan 1970").count(),
        2,
        "{answer}"
    );

    for stolen in ["kept", &*before_refresh] {
        assert_eq!(curl.call("/me", &["-b", stolen]).await.0, 401);
        assert_eq!(curl.post("/auth/refresh", &["-b", stolen]).await.0, 401);
        let again = curl.post("/auth/logout", &["-b", stolen]).await;
        assert_eq!(
            again,
            (200, r#"{"message":"Logged out successfully"}"#.into())
        );
    }
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_session_when_it_is_used_again() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let stolen = curl.steal();
    assert_eq!(curl.post("/auth/refresh", &BOTH).await.0, 200);
    assert_eq!(curl.post("/auth/refresh", &["-b", &stolen]).await.0, 401);
    assert_eq!(curl.call("/me", &["-b", "jar"]).await.0, 401);
}

#[tokio::test]
async fn it_stops_on_sigterm_and_keeps_its_sessions() {
    let Some(mut curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    assert!(curl.server.terminate().await.success());
    assert!(
        curl.server
            .folder
            .path()
            .join("tower-logout.sqlite")
            .is_file()
    );
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_said_and_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let output = ExampleServer::command(folder.path())
        .env("DATABASE_URL", "sqlite:no/such/folder/db.sqlite")
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("unable to open database file"), "{error}");
}
