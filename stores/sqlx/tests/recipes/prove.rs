//! Proves a recipe by HTTP: after the 200, nothing of the login works.

use std::future::Future;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderName, Request, StatusCode};
use axum::response::AppendHeaders;
use axum::routing::post;
use axum_extra::extract::CookieJar;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use tower_logout::{AuthCookies, Token};

/// The table that each recipe has.
pub const TABLE: &str = "CREATE TABLE refresh_tokens (
    token_hash TEXT    NOT NULL PRIMARY KEY, -- SHA-256 as 64 hexadecimal digits
    family_id  TEXT    NOT NULL,             -- the session: one for each login
    replaced   BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX refresh_tokens_family_id ON refresh_tokens (family_id);";

/// A trigger that keeps the rows without an error.
pub const KEEP: &str = "CREATE TRIGGER keep BEFORE DELETE ON refresh_tokens
    BEGIN SELECT RAISE(IGNORE); END";

const RACES: usize = 40;
const SECRET: &[u8] = b"a secret of the tests";

pub static KEY: LazyLock<DecodingKey> = LazyLock::new(|| DecodingKey::from_secret(SECRET));

/// What login and refresh do to the table, with the driver of the recipe.
pub trait Rows: Clone + Send + Sync + 'static {
    fn insert(&self, hash: String, family: String) -> impl Future<Output = ()> + Send;

    /// Replaces a token in one transaction, and returns its family. `None` if the token is not live.
    fn replace(&self, old: String, new: String) -> impl Future<Output = Option<String>> + Send;
}

#[derive(Clone)]
struct Logins<R> {
    rows: R,
    cookies: AuthCookies,
}

type Cookies = AppendHeaders<[(HeaderName, String); 2]>;

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

fn token() -> String {
    Token::generate().unwrap().expose().to_owned()
}

impl<R: Rows> Logins<R> {
    fn set(&self, family: &str, refresh: &str) -> Cookies {
        let claims = json!({"sub": "alice", "sid": family, "exp": 4_102_444_800_u64});
        let access = encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(SECRET),
        );
        AppendHeaders([
            (SET_COOKIE, self.cookies.access(access.unwrap()).to_string()),
            (SET_COOKIE, self.cookies.refresh(refresh).to_string()),
        ])
    }
}

async fn log_in<R: Rows>(State(logins): State<Logins<R>>) -> Cookies {
    let (refresh, family) = (token(), token());
    logins.rows.insert(hash(&refresh), family.clone()).await;
    logins.set(&family, &refresh)
}

async fn refresh<R: Rows>(
    State(logins): State<Logins<R>>,
    jar: CookieJar,
) -> Result<Cookies, StatusCode> {
    let old = jar
        .get(logins.cookies.refresh_name())
        .map(|cookie| hash(cookie.value()));
    let (old, new) = (old.ok_or(StatusCode::UNAUTHORIZED)?, token());
    let family = logins.rows.replace(old, hash(&new)).await;
    let family = family.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(logins.set(&family, &new))
}

/// The status, and the cookies that a browser then sends.
async fn post_to(app: &Router, path: &str, cookies: &str) -> (StatusCode, String) {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    let request = request
        .header(COOKIE, cookies)
        .body(Body::from("{}"))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let set = response.headers().get_all(SET_COOKIE).iter();
    let set = set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    (response.status(), set.collect::<Vec<_>>().join("; "))
}

async fn me(app: &Router, cookies: &str) -> StatusCode {
    let request = Request::get("/me").header(COOKIE, cookies);
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

async fn assert_is_dead(app: &Router, cookies: &str) {
    assert_eq!(me(app, cookies).await, 401);
    assert_eq!(post_to(app, "/auth/refresh", cookies).await.0, 401);
}

/// `app` has `GET /me` and the logout of the recipe.
pub fn with_logins(app: Router, rows: impl Rows, cookies: AuthCookies) -> Router {
    let logins = Router::new()
        .route("/auth/login", post(log_in))
        .route("/auth/refresh", post(refresh))
        .with_state(Logins { rows, cookies });
    app.merge(logins)
}

pub async fn prove(app: &Router) {
    let (_, first) = post_to(app, "/auth/login", "").await;
    let (_, other) = post_to(app, "/auth/login", "").await;
    let (refreshed, second) = post_to(app, "/auth/refresh", &first).await;
    assert_eq!(
        (refreshed, me(app, &second).await),
        (StatusCode::OK, StatusCode::OK)
    );

    let (status, left) = post_to(app, "/auth/logout", &second).await;
    assert_eq!(
        (status, &*left),
        (StatusCode::OK, "__Host-access=; __Host-refresh=")
    );
    assert_is_dead(app, &first).await;
    assert_is_dead(app, &second).await;
    assert_eq!(post_to(app, "/auth/logout", &second).await.0, 200);
    assert_eq!(me(app, &other).await, 200);

    race(app).await;
    assert_eq!(me(app, &other).await, 200);
}

/// Of a logout and a refresh at the same time, either may be first.
async fn race(app: &Router) {
    let mut first = 0;
    for round in 0..RACES {
        let (_, old) = post_to(app, "/auth/login", "").await;
        let refresh = tokio::spawn({
            let (app, old) = (app.clone(), old.clone());
            async move { post_to(&app, "/auth/refresh", &old).await }
        });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(post_to(app, "/auth/logout", &old).await.0, 200);
        assert_is_dead(app, &old).await;
        let (status, new) = refresh.await.unwrap();
        if status == 200 {
            first += 1;
            assert_is_dead(app, &new).await;
        }
    }
    println!("{first} of {RACES} refreshes were first");
}

/// After [`KEEP`].
pub async fn prove_that_a_kept_row_is_no_200(app: &Router) {
    let (_, cookies) = post_to(app, "/auth/login", "").await;
    let (status, set) = post_to(app, "/auth/logout", &cookies).await;
    assert_eq!((status, &*set), (StatusCode::INTERNAL_SERVER_ERROR, ""));
}
