//! A login that ends: Axum, SQLite, and the logout layer.
//!
//! ```sh
//! cargo run --example axum
//!
//! curl -c jar -H 'Content-Type: application/json' \
//!     -d '{"username":"alice","password":"wonderland"}' http://127.0.0.1:3000/auth/login
//! curl -b jar http://127.0.0.1:3000/me
//! curl -b jar -H 'Content-Type: application/json' \
//!     -X POST http://127.0.0.1:3000/auth/logout
//! curl -b jar -i http://127.0.0.1:3000/me    # 401
//! rm jar
//! ```
//!
//! Or open <http://127.0.0.1:3000> in two tabs of a browser, and log out in one: the clock of the other stops
//! as well. `BIND` sets the address; port 0 picks a free port. `DATABASE_URL` sets the database: `sqlite:`,
//! `postgres:`, `mysql:` or `redis:`.

#[path = "gateway/shutdown.rs"]
mod shutdown;

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use axum_extra::extract::CookieJar;
use futures::stream::{self, Stream};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_logout::ended::{EndedSessions, Following};
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::{Rotation, Session, SessionPolicy, SessionStore, delete_expired_every};
use tower_logout::{AuthCookies, BoxError, LogoutLayer, Revocation, Token};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

const ACCESS_LIFETIME: Duration = Duration::from_secs(5 * 60);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let database = env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:tower-logout.sqlite".into());

    let (store, ended, following) = connect(&database).await?;
    let following = tokio::spawn(following);
    tokio::spawn(delete_expired_every(
        Duration::from_secs(3600),
        Arc::clone(&store),
        |error| eprintln!("cannot delete expired sessions: {error}"),
    ));

    // Over https, add `.secure(true)` to both cookies, and to the layer
    // `.clear_site_data([Storage, PrefetchCache, PrerenderCache])`.
    let cookies = AuthCookies::default();
    let logout = LogoutLayer::builder(Arc::clone(&store))
        .cookies(cookies.clone())
        .ended(&ended)
        .build()?;
    // The key lives only in this process. After a restart, all access tokens are invalid, and clients
    // refresh.
    let key = Token::generate()?;
    let app = Arc::new(App {
        encoding: EncodingKey::from_secret(key.expose().as_bytes()),
        decoding: DecodingKey::from_secret(key.expose().as_bytes()),
        store,
        ended: ended.clone(),
        cookies,
    });
    // The verified access token names its session. A layer asks the store whether the session is live. The
    // other one knows by itself, and ends the streams of a session with the session.
    let asking = RequireSessionLayer::asking(Arc::clone(&app.store), Claims::session);
    let streams = RequireSessionLayer::new(&ended, Claims::session).end_streams();
    let private = Router::new()
        .route("/me", get(me).layer(asking))
        .route("/clock", get(clock).layer(streams))
        .route_layer(from_fn_with_state(Arc::clone(&app), verify));
    let router = Router::new()
        .route("/", file("html", include_str!("axum.html")))
        .route("/page.js", file("javascript", include_str!("axum.js")))
        .route("/page.css", file("css", include_str!("axum.css")))
        .route("/healthz", get(|| async { "ok" }))
        .route("/auth/login", post(login))
        .route("/auth/refresh", post(refresh))
        .merge(private)
        .with_state(app)
        .layer(logout.clone())
        .layer(map_response(async |response| with_headers(response)));

    let listener = TcpListener::bind(&bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            shutdown::signal().await;
            // Ends the streams that are open, which the server waits for.
            following.abort();
        })
        .await?;
    // Revocations of disconnected clients may still run.
    tokio::time::timeout(DRAIN_TIMEOUT, logout.drain()).await?;
    Ok(())
}

/// Connects to the store of this URL, and follows its log of ended sessions.
async fn connect(url: &str) -> Result<(Arc<dyn SessionStore>, EndedSessions, Following), BoxError> {
    let policy = SessionPolicy::new().with_access_lifetime(ACCESS_LIFETIME);
    let builder = EndedSessions::builder().on_error(|error| eprintln!("{error}"));
    if url.starts_with("redis:") || url.starts_with("rediss:") {
        let store = RedisStore::connect(url).await?.with_policy(policy);
        let (ended, following) = builder.follow(store.ended_log()?);
        return Ok((Arc::new(store), ended, following));
    }
    let store = SqlStore::connect(url).await?.with_policy(policy);
    let (ended, following) = builder.follow(store.ended_log().await?);
    Ok((Arc::new(store), ended, following))
}

struct App {
    store: Arc<dyn SessionStore>,
    ended: EndedSessions,
    cookies: AuthCookies,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn login(
    State(app): State<Arc<App>>,
    jar: CookieJar,
    Json(credentials): Json<Credentials>,
) -> Result<Response, AppError> {
    // Look up the user's password hash here, and verify it with argon2.
    if credentials.username != "alice" || credentials.password != "wonderland" {
        return Ok(unauthorized("Wrong username or password"));
    }
    // The login overwrites the cookies of an earlier session, which would stay live.
    if let Some(earlier) = jar.get(app.cookies.refresh_name()) {
        let revoked = app.store.revoke(&Token::new(earlier.value())).await?;
        if let Revocation::Sessions(ids) = revoked {
            ids.iter().for_each(|id| app.ended.end(id));
        }
    }
    let token = Token::generate()?;
    let session = app.store.open(&credentials.username, &token).await?;
    app.logged_in(jar, &session, &token)
}

async fn refresh(State(app): State<Arc<App>>, jar: CookieJar) -> Result<Response, AppError> {
    let Some(cookie) = jar.get(app.cookies.refresh_name()) else {
        return Ok(unauthorized("Not logged in"));
    };
    let presented = Token::new(cookie.value());
    let next = Token::generate()?;
    match app.store.rotate(&presented, &next).await? {
        Rotation::Rotated(session) => return app.logged_in(jar, &session, &next),
        Rotation::Reused(id) | Rotation::Exhausted(id) => app.ended.end(&id),
        _ => {}
    }
    let jar = jar
        .remove(app.cookies.access(""))
        .remove(app.cookies.refresh(""));
    Ok((jar, unauthorized("The session has ended")).into_response())
}

async fn me(Extension(session): Extension<Session>) -> Json<Value> {
    Json(json!({ "username": session.subject }))
}

/// The time in milliseconds, once a second. A stream without an end of its own.
async fn clock() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let seconds = tokio::time::interval(Duration::from_secs(1));
    Sse::new(stream::unfold(seconds, async |mut seconds| {
        seconds.tick().await;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let event = Event::default().data(time.as_millis().to_string());
        Some((Ok(event), seconds))
    }))
}

/// Adds the claims of a valid access token to the request.
async fn verify(
    State(app): State<Arc<App>>,
    jar: CookieJar,
    mut request: Request,
    next: Next,
) -> Response {
    let access = jar.get(app.cookies.access_name());
    if let Some(claims) = access.and_then(|cookie| app.verify(cookie.value())) {
        request.extensions_mut().insert(claims);
    }
    next.run(request).await
}

fn file(kind: &str, text: &'static str) -> MethodRouter<Arc<App>> {
    let kind = format!("text/{kind}; charset=utf-8");
    get(([(CONTENT_TYPE, kind)], text))
}

/// Adds headers to every answer. No cache keeps an answer, and neither does the browser for its Back
/// button. No browser guesses another type. The page runs only its own script.
fn with_headers(mut response: Response) -> Response {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// The claims of an access token.
#[derive(Clone, Serialize, Deserialize)]
struct Claims {
    sub: String,
    sid: String,
    exp: u64,
}

impl Claims {
    fn session(&self) -> &str {
        &self.sid
    }
}

impl App {
    fn logged_in(
        &self,
        jar: CookieJar,
        session: &Session,
        refresh: &Token,
    ) -> Result<Response, AppError> {
        let expiry = SystemTime::now() + ACCESS_LIFETIME;
        let claims = Claims {
            sub: session.subject.clone(),
            sid: session.id.to_string(),
            exp: expiry.duration_since(UNIX_EPOCH)?.as_secs(),
        };
        let access = encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?;
        let jar = jar
            .add(self.cookies.access(access))
            .add(self.cookies.refresh(refresh.expose()));
        Ok((jar, Json(json!({ "username": session.subject }))).into_response())
    }

    fn verify(&self, access: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        let token = decode::<Claims>(access, &self.decoding, &validation).ok()?;
        Some(token.claims)
    }
}

fn unauthorized(error: &str) -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "error": error }))).into_response()
}

/// An internal error. The log gets the message, and the client does not.
struct AppError(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for AppError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        let body = Json(json!({ "error": "Internal server error" }));
        (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
    }
}
