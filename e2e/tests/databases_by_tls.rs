//! Connections to databases by TLS, to a server that proves its name and to one that does not.

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::TlsCertificates;
use tower_logout::store::SessionStore;
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server, free_port};
use support::*;

/// An authority that no system knows.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate and its key.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

struct Files {
    authority: String,
    stranger: String,
    certificate: String,
    key: String,
}

/// A server with a certificate for `127.0.0.1`, and the settings by which it shows that.
async fn server(kind: Kind, settings: impl Fn(&Files) -> Vec<String>) -> Option<(Server, Files)> {
    let mut server = Server::start(kind).await?;
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.certify("127.0.0.1");
    let files = Files {
        authority: server.secret_file("authority.pem", &authority.0.pem()),
        stranger: server.secret_file("stranger.pem", &stranger.0.pem()),
        certificate: server.secret_file("certificate.pem", &certificate),
        key: server.secret_file("key.pem", &key),
    };
    server.restart_with(&settings(&files)).await;
    Some((server, files))
}

async fn serves(store: &dyn SessionStore) {
    let token = open(store, "alice").await;
    assert!(is_live(store, &token).await);
    store.revoke(&token).await.unwrap();
    assert!(!is_live(store, &token).await);
}

async fn is_refused(url: &str) {
    let refused = SqlStore::connect(url).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let settings = |files: &Files| {
        vec![
            "-c".to_owned(),
            "ssl=on".to_owned(),
            "-c".to_owned(),
            format!("ssl_cert_file={}", files.certificate),
            "-c".to_owned(),
            format!("ssl_key_file={}", files.key),
        ]
    };
    let Some((server, files)) = server(Kind::Postgres, settings).await else {
        return;
    };
    let url = server.url(&server.new_database().await);
    let Files {
        authority,
        stranger,
        ..
    } = &files;
    let verified = format!("{url}?sslmode=verify-full&sslrootcert={authority}");
    let store = SqlStore::connect(&verified).await.unwrap();
    serves(&store).await;
    let admin = sqlx::PgPool::connect(&format!("{url}?sslmode=disable"))
        .await
        .unwrap();
    let encrypted: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_ssl WHERE ssl")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert!(encrypted > 0);

    is_refused(&format!("{url}?sslmode=verify-full&sslrootcert={stranger}")).await;
    is_refused(&format!("{url}?sslmode=verify-full")).await;
    let by_another_name = verified.replace("127.0.0.1", "localhost");
    is_refused(&by_another_name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    let settings = |files: &Files| {
        vec![
            format!("--ssl-cert={}", files.certificate),
            format!("--ssl-key={}", files.key),
        ]
    };
    let Some((server, files)) = server(Kind::MariaDb, settings).await else {
        return;
    };
    let url = server.url(&server.new_database().await);
    let Files {
        authority,
        stranger,
        ..
    } = &files;
    let verified = format!("{url}?ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}");
    serves(&SqlStore::connect(&verified).await.unwrap()).await;
    is_refused(&format!("{url}?ssl-mode=VERIFY_IDENTITY&ssl-ca={stranger}")).await;
    is_refused(&format!("{url}?ssl-mode=VERIFY_IDENTITY")).await;
    is_refused(&verified.replace("127.0.0.1", "localhost")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    let port = free_port();
    let settings = |files: &Files| {
        vec![
            "--tls-port".to_owned(),
            port.to_string(),
            "--tls-cert-file".to_owned(),
            files.certificate.clone(),
            "--tls-key-file".to_owned(),
            files.key.clone(),
            "--tls-ca-cert-file".to_owned(),
            files.authority.clone(),
            "--tls-auth-clients".to_owned(),
            "no".to_owned(),
        ]
    };
    let Some((_server, files)) = server(Kind::Redis, settings).await else {
        return;
    };
    let url = format!("rediss://127.0.0.1:{port}/");
    let client = |root: &str| {
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(std::fs::read(root).unwrap()),
        };
        redis::Client::build_with_tls(&*url, certificates).unwrap()
    };
    serves(&RedisStore::new(client(&files.authority))).await;
    let strange = RedisStore::new(client(&files.stranger));
    let refused = strange
        .find(&tower_logout::Token::new("t"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let refused = RedisStore::connect(&url).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
}
