use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum_extra::extract::CookieJar;
use jsonwebtoken::{DecodingKey, Validation, decode};
use sqlx::SqlitePool; // or PgPool, MySqlPool
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::{AuthCookies, BoxError, ConfigError, LogoutLayer};
use tower_logout_sqlx::{Live, TableStore, TokenDigest};

#[derive(Clone)]
pub struct App {
    pub db: SqlitePool,
    pub key: DecodingKey,
}

/// The access token. Its `sid` is the `family_id` of the session's rows.
#[derive(serde::Serialize, serde::Deserialize)]
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

pub async fn logout(app: &App) -> Result<LogoutLayer<TableStore>, BoxError> {
    let store = TableStore::builder("refresh_tokens", "token_hash", TokenDigest::sha256().hex())
        .session_column("family_id")
        .live_while("replaced", Live::False)
        .connect(app.db.clone())
        .await?;
    Ok(LogoutLayer::builder(store).cookies(cookies()?).build()?)
}

impl FromRequestParts<App> for Claims {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, StatusCode> {
        let jar = CookieJar::from_headers(&parts.headers);
        let token = jar.get("__Host-access").ok_or(StatusCode::UNAUTHORIZED)?;
        let claims = decode::<Self>(token.value(), &app.key, &Validation::default())
            .map_err(|_| StatusCode::UNAUTHORIZED)?
            .claims;
        let row = sqlx::query("SELECT 1 FROM refresh_tokens WHERE family_id = $1")
            .bind(&claims.sid)
            .fetch_optional(&app.db)
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        row.map(|_| claims).ok_or(StatusCode::UNAUTHORIZED)
    }
}
