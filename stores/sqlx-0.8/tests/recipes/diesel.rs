use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum_extra::extract::CookieJar;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use jsonwebtoken::{DecodingKey, Validation, decode};
use sha2::{Digest, Sha256};
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::store::SessionId;
use tower_logout::{AuthCookies, BoxError, ConfigError, LogoutLayer};
use tower_logout::{Revocation, TokenStore, store_fn_with};

diesel::table! {
    refresh_tokens (token_hash) {
        token_hash -> Text,
        family_id -> Text,
        replaced -> Bool,
    }
}

#[derive(Clone)]
pub struct App {
    pub db: Pool<ConnectionManager<SqliteConnection>>,
    pub key: DecodingKey,
}

fn end_session(connection: &mut SqliteConnection, hash: &str) -> Result<Revocation, BoxError> {
    use self::refresh_tokens::dsl::{family_id, refresh_tokens, token_hash};

    let family = refresh_tokens.filter(token_hash.eq(hash)).select(family_id);
    let Some(family) = family.first::<String>(connection).optional()? else {
        return Ok(Revocation::NotFound);
    };
    // On a server, the delete waits for a refresh in flight, and does not see the row that the refresh inserts.
    for _ in 0..8 {
        let rows = refresh_tokens.filter(family_id.eq(&family));
        diesel::delete(rows).execute(connection)?;
        if rows.count().get_result::<i64>(connection)? == 0 {
            return Ok(Revocation::from_iter([SessionId::new(family)]));
        }
    }
    Err("rows of the session are left".into())
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

pub fn logout(app: &App) -> Result<LogoutLayer<impl TokenStore + use<>>, BoxError> {
    let store = store_fn_with(app.db.clone(), |db, token| async move {
        let hash = hex::encode(Sha256::digest(token.expose()));
        let end_session = move || {
            // Postgres: .build_transaction().read_committed().run(…)
            let connection = &mut *db.get()?;
            connection.immediate_transaction(|connection| end_session(connection, &hash))
        };
        tokio::task::spawn_blocking(end_session).await?
    });
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
        let (db, sid) = (app.db.clone(), claims.sid.clone());
        let count = tokio::task::spawn_blocking(move || {
            let rows = refresh_tokens::table.filter(refresh_tokens::family_id.eq(sid));
            Ok::<i64, BoxError>(rows.count().get_result(&mut *db.get()?)?)
        });
        match count.await {
            Ok(Ok(0)) => Err(StatusCode::UNAUTHORIZED),
            Ok(Ok(_)) => Ok(claims),
            _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}
