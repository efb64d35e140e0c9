use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum_extra::extract::CookieJar;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use jsonwebtoken::{DecodingKey, Validation, decode};
use sha2::{Digest, Sha256};
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::require::{RequireSessionLayer, session_fn_with};
use tower_logout::store::SessionId;
use tower_logout::{AuthCookies, BoxError, ConfigError, LogoutLayer, Revocation, store_fn_with};

diesel::table! {
    refresh_tokens (token_hash) {
        token_hash -> Text,
        family_id -> Text,
        replaced -> Bool,
    }
}

type Db = Pool<ConnectionManager<SqliteConnection>>;

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

fn live_session(
    connection: &mut SqliteConnection,
    id: &SessionId,
) -> Result<Option<String>, BoxError> {
    use self::refresh_tokens::dsl::{family_id, refresh_tokens};

    let rows = refresh_tokens.filter(family_id.eq(id.as_str()));
    Ok(rows.select(family_id).first(connection).optional()?)
}

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
pub fn app(private: Router, db: Db, key: DecodingKey) -> Result<Router, ConfigError> {
    let store = store_fn_with(db.clone(), |db, token| async move {
        let hash = hex::encode(Sha256::digest(token.expose()));
        let end_session = move || {
            // Postgres: .build_transaction().read_committed().run(…)
            let connection = &mut *db.get()?;
            connection.immediate_transaction(|connection| end_session(connection, &hash))
        };
        tokio::task::spawn_blocking(end_session).await?
    });
    let sessions = session_fn_with(db, |db, id| async move {
        let live_session = move || live_session(&mut *db.get()?, &id);
        tokio::task::spawn_blocking(live_session).await?
    });
    let require_session = RequireSessionLayer::asking(sessions, |claims: &Claims| &claims.sid);
    let logout = LogoutLayer::builder(store).cookies(cookies()?);
    Ok(private
        // The last layer runs first.
        .layer(require_session)
        .layer(from_fn_with_state(key, verify))
        .route_service("/auth/logout", logout.build()?.endpoint()))
}
