//! The places in an Axum router where the layer sees a logout, and where it does not (docs/placement.md).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cookie::Cookie;
use http::{Method, Request, StatusCode};
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::decompression::DecompressionLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tower_logout::{AuthCookies, ConfigError, LogoutLayer, MemoryStore, Token};

use support::log::Log;
use support::*;

fn layer() -> LogoutLayer<MemoryStore> {
    LogoutLayer::new(MemoryStore::new())
}

fn request(path: &str) -> Request<Body> {
    let mut request = logout_with(&Token::new("t")).map(Body::new);
    *request.uri_mut() = path.parse().unwrap();
    request
}

async fn status(app: Router) -> StatusCode {
    send(app, request("/auth/logout")).await.status
}

fn routes() -> Router {
    Router::new().route("/me", get(|| async { "me" }))
}

#[tokio::test]
async fn layered_last_it_sees_the_logout() {
    assert_eq!(status(routes().layer(layer())).await, StatusCode::OK);
    let fallback = routes().fallback(|| async { StatusCode::IM_A_TEAPOT });
    assert_eq!(status(fallback.layer(layer())).await, StatusCode::OK);
}

#[tokio::test]
async fn around_the_whole_router_it_sees_the_logout() {
    let app = ServiceBuilder::new().layer(layer()).service(routes());
    assert_eq!(
        send(app, request("/auth/logout")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn mounted_as_an_endpoint_it_sees_the_logout() {
    let app = routes().route_service("/auth/logout", layer().endpoint());
    assert_eq!(status(app.clone()).await, StatusCode::OK);
    let get = Request::get("/auth/logout").body(Body::empty()).unwrap();
    assert_eq!(send(app, get).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn mounted_as_an_endpoint_of_a_nested_router_it_sees_the_stripped_path() {
    let layer = LogoutLayer::builder(MemoryStore::new())
        .path("/logout")
        .public_prefix("/auth")
        .build()
        .unwrap();
    let nested = routes().route_service("/logout", layer.endpoint());
    assert_eq!(
        status(Router::new().nest("/auth", nested)).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn around_nested_routers_it_sees_the_logout_before_they_do() {
    let teapot = || async { StatusCode::IM_A_TEAPOT };
    let nested = routes().fallback(teapot);
    let app = Router::new().nest("/auth", nested);
    assert_eq!(status(app.clone()).await, StatusCode::IM_A_TEAPOT);
    assert_eq!(status(app.layer(layer())).await, StatusCode::OK);
}

#[tokio::test]
async fn around_the_fallback_alone_it_sees_the_logout() {
    let app = routes().fallback_service(layer().layer(routes()));
    assert_eq!(status(app).await, StatusCode::OK);
}

#[tokio::test]
async fn a_fallback_added_after_it_hides_the_logout() {
    let app = routes()
        .layer(layer())
        .fallback(|| async { StatusCode::IM_A_TEAPOT });
    assert_eq!(status(app).await, StatusCode::IM_A_TEAPOT);
}

#[tokio::test]
async fn a_route_of_its_path_added_after_it_wins() {
    let app = routes().layer(layer()).route(
        "/auth/logout",
        axum::routing::post(|| async { StatusCode::IM_A_TEAPOT }),
    );
    assert_eq!(status(app).await, StatusCode::IM_A_TEAPOT);
}

#[tokio::test]
async fn as_a_route_layer_it_does_not_see_an_unrouted_path() {
    assert_eq!(
        status(routes().route_layer(layer())).await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn inside_a_nested_router_it_does_not_see_an_unrouted_path() {
    let nested = Router::new().nest("/auth", routes().layer(layer()));
    assert_eq!(status(nested).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn inside_a_nested_router_it_sees_the_stripped_path_of_a_route() {
    let layer = LogoutLayer::builder(MemoryStore::new())
        .path("/logout")
        .build()
        .unwrap();
    let inner = Router::new()
        .route("/logout", get(|| async { "page" }))
        .layer(layer);
    assert_eq!(
        status(Router::new().nest("/auth", inner)).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn inside_a_nest_the_cookie_has_to_reach_the_public_path() {
    let (store, token) = store_with_session().await;
    let cookies = |path: &'static str| {
        AuthCookies::builder()
            .refresh(Cookie::build("refreshToken").path(path))
            .build()
            .unwrap()
    };
    let build = |cookies: &AuthCookies| {
        LogoutLayer::builder(store.clone())
            .path("/logout")
            .public_prefix("/auth")
            .cookies(cookies.clone())
            .build()
    };
    assert!(matches!(
        build(&cookies("/logout")),
        Err(ConfigError::CookieNotSent { .. })
    ));
    let layer = build(&cookies("/auth")).unwrap();
    let inner = Router::new()
        .route("/logout", get(|| async { "page" }))
        .layer(layer);
    let request = logout_with(&token).map(|_| Body::empty());
    let answer = send(Router::new().nest("/auth", inner), request).await;
    assert!(answer.set_cookies()[1].contains("Path=/auth;"));
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn inside_of_a_concurrency_limit_a_logout_holds_no_permit() {
    let (store, token) = store_with_session().await;
    let permits = Arc::new(Semaphore::new(1));
    let limit = || GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let layer = LogoutLayer::new(store);

    let mut limit_outside = limit().layer(layer.layer(inner()));
    let service = limit_outside.ready().await.unwrap();
    service.call(logout_with(&token)).await.unwrap();
    assert_eq!(permits.available_permits(), 1);

    let mut limit_inside = layer.layer(limit().layer(inner()));
    let service = limit_inside.ready().await.unwrap();
    service.call(logout_with(&token)).await.unwrap();
    assert_eq!(
        permits.available_permits(),
        0,
        "until the service is dropped"
    );
    drop(limit_inside);
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test]
async fn merged_into_another_router_its_fallback_goes_with_it() {
    let merged = Router::new().merge(routes().layer(layer()));
    assert_eq!(status(merged).await, StatusCode::OK);
}

#[tokio::test]
async fn a_router_merged_after_it_hides_the_logout_behind_its_own_fallback() {
    let other = Router::new().route("/more", get(|| async { "more" }));
    let after = routes().layer(layer()).merge(other.clone());
    assert_eq!(status(after).await, StatusCode::NOT_FOUND);
    let before = routes().merge(other).layer(layer());
    assert_eq!(status(before).await, StatusCode::OK);
}

#[tokio::test]
async fn with_compression_outermost_the_answer_is_compressed_and_whole() {
    let gzipped = || {
        let mut request = request("/auth/logout");
        let headers = request.headers_mut();
        headers.insert("accept-encoding", "gzip".parse().unwrap());
        request
    };
    let outside = routes().layer(layer()).layer(CompressionLayer::new());
    let response = outside.clone().oneshot(gzipped()).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let read = DecompressionLayer::new().layer(outside);
    let answer = send(read, request("/auth/logout")).await;
    assert_eq!(answer.body, r#"{"message":"Logged out successfully"}"#);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.set_cookies().len(), 2);

    let inside = layer().layer(routes().layer(CompressionLayer::new()));
    send(inside, gzipped()).await.assert_is_logged_out();
}

#[tokio::test]
async fn with_tracing_outermost_the_logout_is_in_its_span_and_log() {
    let trace = || {
        TraceLayer::new_for_http()
            .make_span_with(DefaultMakeSpan::new().level(tracing::Level::INFO))
            .on_response(DefaultOnResponse::new().level(tracing::Level::INFO))
    };
    let log = Log::default();
    let guard = log.record();
    let outside = routes().layer(layer()).layer(trace());
    assert_eq!(status(outside).await, StatusCode::OK);
    let inside = layer().layer(routes().layer(trace()));
    send(inside, request("/auth/logout"))
        .await
        .assert_is_logged_out();
    drop(guard);
    let lines = log.lines();
    let [traced, answered, untraced] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(
        traced.contains("request{method=POST uri=/auth/logout"),
        "{traced}"
    );
    assert!(traced.contains("outcome=\"inactive\""), "{traced}");
    assert!(answered.contains("status=200"), "{answered}");
    assert!(!untraced.contains("request{"), "{untraced}");
}

#[tokio::test]
async fn with_cors_outermost_the_preflight_and_the_answer_carry_its_headers() {
    let cors = || {
        CorsLayer::new()
            .allow_origin(["https://spa.example".parse().unwrap()])
            .allow_methods([Method::POST])
            .allow_headers([http::header::CONTENT_TYPE])
            .allow_credentials(true)
    };
    let preflight = || {
        Request::options("/auth/logout")
            .header("origin", "https://spa.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .body(Body::empty())
            .unwrap()
    };
    let allowed = "access-control-allow-origin";
    let logout = || {
        let mut request = request("/auth/logout");
        request
            .headers_mut()
            .insert("origin", "https://spa.example".parse().unwrap());
        request
    };

    let outside = routes().layer(layer()).layer(cors());
    assert_eq!(
        send(outside.clone(), preflight()).await.status,
        StatusCode::OK
    );
    let answer = send(outside, logout()).await;
    assert_eq!(answer.headers[allowed], "https://spa.example");
    assert_eq!(answer.set_cookies().len(), 2);

    let inside = layer().layer(routes().layer(cors()));
    assert_eq!(
        send(inside.clone(), preflight()).await.status,
        StatusCode::OK
    );
    assert!(!send(inside, logout()).await.headers.contains_key(allowed));
}
