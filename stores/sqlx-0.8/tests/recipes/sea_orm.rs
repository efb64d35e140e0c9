use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum_extra::extract::CookieJar;
use jsonwebtoken::{DecodingKey, Validation, decode};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::{AuthCookies, BoxError, ConfigError, LogoutLayer};
use tower_logout_sqlx::{Live, TableStore, TokenDigest};

pub mod refresh_token {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_hash: String,
        pub family_id: String,
        pub replaced: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone)]
pub struct App {
    pub db: DatabaseConnection,
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
    // Or get_postgres_connection_pool, get_mysql_connection_pool: the pool is sqlx's own.
    let pool = app.db.get_sqlite_connection_pool().clone();
    let store = TableStore::builder("refresh_tokens", "token_hash", TokenDigest::sha256().hex())
        .session_column("family_id")
        .live_while("replaced", Live::False)
        .connect(pool)
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
        let row = refresh_token::Entity::find()
            .filter(refresh_token::Column::FamilyId.eq(&claims.sid))
            .one(&app.db)
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        row.map(|_| claims).ok_or(StatusCode::UNAUTHORIZED)
    }
}
