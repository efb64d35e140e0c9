//! The example server of the README answers curl as `docs/endpoint.md` specifies.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use e2e::database::{Kind, shared};
use e2e::find_program;
use e2e::process::ExampleServer;
use tower_logout::{Token, TokenStore};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

/// Runs curl against its own server.
struct Curl {
    program: PathBuf,
    server: ExampleServer,
}

impl Curl {
    /// `None` if curl is not installed.
    async fn start() -> Option<Self> {
        let program = find_program(&["curl"])?;
        let server = ExampleServer::start().await;
        Some(Self { program, server })
    }

    /// Returns the status and the body.
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

    /// The value of a cookie in the jar.
    fn cookie(&self, name: &str) -> String {
        let jar = std::fs::read_to_string(self.server.folder.path().join("jar")).unwrap();
        jar.lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .find(|fields| fields.len() == 7 && fields[5] == name)
            .map(|fields| fields[6].to_owned())
            .unwrap()
    }

    /// Copies the cookies of the moment, as a thief would.
    fn steal(&self) -> String {
        let folder = self.server.folder.path();
        std::fs::copy(folder.join("jar"), folder.join("stolen")).unwrap();
        "stolen".into()
    }
}

const BOTH: [&str; 4] = ["-b", "jar", "-c", "jar"];

#[tokio::test]
async fn from_login_to_logout_with_curl() {
    if let Some(curl) = Curl::start().await {
        from_login_to_logout(&curl).await;
    }
}

async fn from_login_to_logout_on(kind: Kind) {
    if let Some(program) = find_program(&["curl"])
        && let Some((_, url)) = shared(kind).await
    {
        let server = ExampleServer::start_with(&url).await;
        from_login_to_logout(&Curl { program, server }).await;
    }
}

#[tokio::test]
async fn from_login_to_logout_with_curl_on_postgres() {
    from_login_to_logout_on(Kind::Postgres).await;
}

#[tokio::test]
async fn from_login_to_logout_with_curl_on_mariadb() {
    from_login_to_logout_on(Kind::MariaDb).await;
}

#[tokio::test]
async fn from_login_to_logout_with_curl_on_redis() {
    from_login_to_logout_on(Kind::Redis).await;
}

async fn from_login_to_logout(curl: &Curl) {
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
async fn reuse_of_a_stolen_refresh_token_ends_the_session() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let stolen = curl.steal();
    // Twice, because the leeway lets a second tab use the last rotated token.
    for _ in 0..2 {
        assert_eq!(curl.post("/auth/refresh", &BOTH).await.0, 200);
    }
    assert_eq!(curl.post("/auth/refresh", &["-b", &stolen]).await.0, 401);
    assert_eq!(curl.call("/me", &["-b", "jar"]).await.0, 401);
}

/// Reads the clock of the login until its stream ends, while `end` ends the session.
async fn clock_ends_when(curl: &Curl, end: impl AsyncFnOnce()) {
    let mut clock = Command::new(&curl.program)
        .args(["-sSN", "-b", "jar"])
        .arg(format!("{}/clock", curl.server.url))
        .current_dir(curl.server.folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut clock_output = clock.stdout.take().unwrap();
    let mut event = [0; 1024];
    let read = clock_output.read(&mut event).await.unwrap();
    assert!(event[..read].starts_with(b"data: 1"));
    let running = tokio::time::timeout(Duration::from_millis(1500), clock.wait());
    assert!(
        running.await.is_err(),
        "the clock of a live session goes on"
    );
    end().await;
    let ended = tokio::time::timeout(Duration::from_secs(10), clock.wait());
    // The response is complete, as curl sees it.
    assert!(ended.await.expect("the clock goes on").unwrap().success());
}

#[tokio::test]
async fn the_stream_of_a_login_ends_with_the_logout_and_with_the_server() {
    let Some(mut curl) = Curl::start().await else {
        return;
    };
    assert_eq!(curl.call("/clock", &[]).await.0, 401);
    curl.log_in().await;
    clock_ends_when(&curl, async || {
        assert_eq!(curl.post("/auth/logout", &["-b", "jar"]).await.0, 200);
    })
    .await;
    assert_eq!(curl.call("/clock", &["-b", "jar"]).await.0, 401);

    curl.log_in().await;
    clock_ends_when(&curl, async || curl.server.signal("TERM").await).await;
    assert!(curl.server.ended().await.success());
}

/// Ends the session in another process, as another server does. The server with the stream reads of the end.
async fn the_stream_ends_without_a_logout_here(url: &str, program: PathBuf) {
    let server = ExampleServer::start_with(url).await;
    let curl = Curl { program, server };
    curl.log_in().await;
    let refresh = Token::new(curl.cookie("refreshToken"));
    clock_ends_when(&curl, async || {
        if url.starts_with("redis") {
            let store = RedisStore::connect(url).await.unwrap();
            store.revoke(&refresh).await.unwrap();
        } else {
            let store = SqlStore::connect(url).await.unwrap();
            store.revoke(&refresh).await.unwrap();
        }
    })
    .await;
    assert_eq!(curl.call("/clock", &["-b", "jar"]).await.0, 401);
}

#[tokio::test]
async fn the_stream_of_a_login_ends_although_another_process_ended_the_session() {
    let Some(program) = find_program(&["curl"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions").display().to_string();
    the_stream_ends_without_a_logout_here(&format!("sqlite:{file}"), program.clone()).await;
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
        if let Some((_server, url)) = shared(kind).await {
            the_stream_ends_without_a_logout_here(&url, program.clone()).await;
        }
    }
}

#[tokio::test]
async fn a_second_login_ends_the_earlier_session_of_the_browser() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let earlier = curl.steal();
    let wrong = r#"{"username":"alice","password":"looking-glass"}"#;
    let jar = ["-b", "jar", "-d", wrong];
    assert_eq!(curl.post("/auth/login", &jar).await.0, 401);
    assert_eq!(curl.call("/me", &["-b", &earlier]).await.0, 200);

    let body = r#"{"username":"alice","password":"wonderland"}"#;
    let jar = [&BOTH[..], &["-d", body]].concat();
    assert_eq!(curl.post("/auth/login", &jar).await.0, 200);
    assert_eq!(curl.call("/me", &["-b", &earlier]).await.0, 401);
    assert_eq!(curl.post("/auth/refresh", &["-b", &earlier]).await.0, 401);
    assert_eq!(curl.call("/me", &["-b", "jar"]).await.0, 200);
}

#[tokio::test]
async fn no_answer_is_cached_or_sniffed_and_each_has_a_policy() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let post = ["-X", "POST", "-H", "Content-Type: application/json"];
    for (path, more) in [
        ("/", &[][..]),
        ("/page.js", &[]),
        ("/page.css", &[]),
        ("/me", &["-b", "jar"]),
        ("/me", &[]),
        ("/nowhere", &[]),
        ("/auth/login", &post),
        ("/auth/refresh", &post),
        ("/auth/logout", &post),
    ] {
        let (_, answer) = curl.call(path, &[&["-i"], more].concat()).await;
        let answer = answer.to_ascii_lowercase();
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; script-src 'self'; ",
        ] {
            let count = answer.matches(&format!("\r\n{header}")).count();
            assert_eq!(count, 1, "{path}: {header}\n{answer}");
        }
    }
}

#[tokio::test]
async fn the_documented_curl_call_logs_out() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let cookie = format!("refreshToken={}", curl.cookie("refreshToken"));
    let answer = curl
        .call(
            "/auth/logout",
            &[
                "-X",
                "POST",
                "-H",
                "Content-Type: application/json",
                "--cookie",
                &cookie,
            ],
        )
        .await;
    assert_eq!(
        answer,
        (200, r#"{"message":"Logged out successfully"}"#.into())
    );
    assert_eq!(curl.post("/auth/refresh", &["-b", "jar"]).await.0, 401);
    assert_eq!(curl.call("/me", &["-b", "jar"]).await.0, 401);
}

/// The commands of the page about curl, as a reader pastes them into a shell.
#[tokio::test]
async fn the_recipe_for_curl_logs_out_and_shows_that_the_old_cookies_are_dead() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    let recipe = include_str!("../../docs/recipes/curl.md");
    let (_, block) = recipe.split_once("```sh\n").unwrap();
    let (commands, _) = block.split_once("```").unwrap();
    let output = Command::new("sh")
        .args(["-euc", commands])
        .env("APP", &curl.server.url)
        .current_dir(curl.server.folder.path())
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("Logged out successfully"), "{shown}");
    assert_eq!(shown.matches("Max-Age=0").count(), 2, "{shown}");
    assert!(shown.ends_with("401\n401\n"), "{shown}");
}

#[tokio::test]
async fn the_cookies_of_a_login_are_a_random_token_and_a_jwt() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let jar = std::fs::read_to_string(curl.server.folder.path().join("jar")).unwrap();
    assert_eq!(jar.matches("#HttpOnly_").count(), 2, "{jar}");
    let refresh = curl.cookie("refreshToken");
    assert_eq!(refresh.len(), 64);
    assert!(refresh.bytes().all(|byte| byte.is_ascii_hexdigit()));

    let pool = sqlx::SqlitePool::connect(&curl.server.database())
        .await
        .unwrap();
    let id: String = sqlx::query_scalar("SELECT id FROM tower_logout_sessions")
        .fetch_one(&pool)
        .await
        .unwrap();
    let access = curl.cookie("accessToken");
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&access)
        .unwrap()
        .claims;
    assert_eq!(
        (&claims["sub"], &claims["sid"]),
        (&"alice".into(), &id.into())
    );
    assert!(claims["exp"].is_u64());
}

#[tokio::test]
async fn a_refresh_after_the_logout_removes_the_dead_cookies() {
    let Some(curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    curl.post("/auth/logout", &["-b", "jar"]).await;
    let (status, answer) = curl.post("/auth/refresh", &["-i", "-b", "jar"]).await;
    assert_eq!(status, 401);
    assert_eq!(answer.matches("Max-Age=0").count(), 2, "{answer}");
}

/// Stops a server while a logout waits for the database. The logout must end first.
async fn stops_after_the_logout_in_flight(signal: &str, client_stays: bool) {
    let Some(mut curl) = Curl::start().await else {
        return;
    };
    curl.log_in().await;
    let pool = sqlx::SqlitePool::connect(&curl.server.database())
        .await
        .unwrap();
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();

    let mut client = tokio::net::TcpStream::connect(curl.server.address())
        .await
        .unwrap();
    let request = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Cookie: refreshToken={}\r\nConnection: close\r\n\r\n",
        curl.cookie("refreshToken")
    );
    client.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let client = client_stays.then_some(client);
    tokio::time::sleep(Duration::from_millis(200)).await;
    curl.server.signal(signal).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    lock.rollback().await.unwrap();

    assert!(curl.server.ended().await.success());
    if let Some(mut client) = client {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM tower_logout_sessions")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(sessions, 0);
}

#[tokio::test]
async fn on_sigterm_a_logout_in_flight_is_answered() {
    stops_after_the_logout_in_flight("TERM", true).await;
}

#[tokio::test]
async fn on_sigterm_a_revocation_ends_although_its_client_is_gone() {
    stops_after_the_logout_in_flight("TERM", false).await;
}

#[tokio::test]
async fn on_ctrl_c_a_logout_in_flight_is_answered() {
    stops_after_the_logout_in_flight("INT", true).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_a_failure_with_a_message() {
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

    let output = ExampleServer::command(folder.path())
        .env("DATABASE_URL", "oracle://scott:tiger@localhost")
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("begin with sqlite:, postgres: or mysql:"),
        "{error}"
    );
    assert!(!error.contains("tiger"), "{error}");
}
