use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum_extra::extract::CookieJar;
use jsonwebtoken::{DecodingKey, Validation, decode};
use sea_orm::DatabaseConnection;
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::require::RequireSessionLayer;
use tower_logout::{AuthCookies, BoxError, ConfigError, LogoutLayer};
use tower_logout_sqlx::{Live, TableStore, TokenDigest};

/// The access token. Its `sid` is the `family_id` of the session's rows.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Claims {
    pub sub: String,
    pub sid: String,
    pub exp: u64,
}

/// Login and refresh set `cookies.access(…)` and `cookies.refresh(…)`.
pub fn cookies() -> Result<AuthCookies, ConfigError> {
    let cookie = |name| {
        Cookie::build(name)
            .secure(true)
            .http_only(true)
            .same_site(SameSite::Lax)
    };
    AuthCookies::builder()
        .access(cookie("__Host-access"))
        .refresh(cookie("__Host-refresh"))
        .build()
}

/// Adds the claims of a valid access token to the request.
async fn verify(
    State(key): State<DecodingKey>,
    jar: CookieJar,
    mut request: Request,
    next: Next,
) -> Response {
    let access = jar.get("__Host-access").map(Cookie::value);
    let verified = |token| decode::<Claims>(token, &key, &Validation::default()).ok();
    if let Some(token) = access.and_then(verified) {
        request.extensions_mut().insert(token.claims);
    }
    next.run(request).await
}

/// `private` has the pages that need a login.
pub async fn app(
    private: Router,
    db: &DatabaseConnection,
    key: DecodingKey,
) -> Result<Router, BoxError> {
    // Or get_postgres_connection_pool, get_mysql_connection_pool: the pool is sqlx's own.
    let pool = db.get_sqlite_connection_pool().clone();
    let store = TableStore::builder("refresh_tokens", "token_hash", TokenDigest::sha256().hex())
        .session_column("family_id")
        .live_while("replaced", Live::False)
        .connect(pool)
        .await?;
    let logout = LogoutLayer::builder(store.clone()).cookies(cookies()?);
    let require_session = RequireSessionLayer::asking(store, |claims: &Claims| &claims.sid);
    Ok(private
        // The last layer runs first.
        .layer(require_session)
        .layer(from_fn_with_state(key, verify))
        .route_service("/auth/logout", logout.build()?.endpoint()))
}
