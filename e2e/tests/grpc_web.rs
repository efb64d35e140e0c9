//! A page logs out with gRPC-Web, in a real browser.

use axum::Router;
use axum::extract::Path;
use axum::response::Html;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use tonic_web::GrpcWebLayer;
use tower::Layer;
use tower_http::cors::CorsLayer;
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::csrf::OriginCheck;
use tower_logout::{
    AuthCookies, LogoutLayer, LogoutLayerBuilder, MemoryStore, TokenStore, store_fn,
};

use e2e::browser::{Chromium, ThirdPartyCookies, run};
use support::server::{serve, serve_https};
use support::*;

const PATH: &str = "/auth.v1.Auth/Logout";
const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";

/// Calls with an empty message, as a client does. In the text format, each frame is base64 by itself.
const CALL: &str = "async (url, type) => {
    const inText = type.includes('text');
    const answer = await fetch(url, {
        method: 'POST',
        credentials: 'include',
        headers: { 'Content-Type': type, 'Accept': type, 'X-Grpc-Web': '1' },
        body: inText ? btoa('\\0'.repeat(5)) : new Uint8Array(5),
    });
    let bytes = new Uint8Array(await answer.arrayBuffer());
    if (inText) {
        const parts = new TextDecoder().decode(bytes).match(/[^=]+=*/g) ?? [];
        bytes = Uint8Array.from(parts.map(atob).join(''), char => char.charCodeAt(0));
    }
    const frames = [];
    for (let at = 0; at < bytes.length;) {
        const length = new DataView(bytes.buffer).getUint32(at + 1);
        if (at + 5 + length > bytes.length) throw new Error('cut off');
        const content = bytes.slice(at + 5, at + 5 + length);
        frames.push([bytes[at], new TextDecoder().decode(content)]);
        at += 5 + length;
    }
    return {
        http: answer.status,
        status: answer.headers.get('grpc-status'),
        message: answer.headers.get('grpc-message'),
        frames,
    };
}";

#[derive(Debug, Deserialize, PartialEq)]
struct Answer {
    http: u16,
    /// In the headers, if the answer has no message.
    status: Option<String>,
    message: Option<String>,
    /// The flags and the content of each frame.
    frames: Vec<(u8, String)>,
}

impl Answer {
    /// An empty message, then `OK` in a frame of trailers (flag 0x80).
    fn ok() -> Self {
        Self {
            http: 200,
            status: None,
            message: None,
            frames: vec![(0, String::new()), (0x80, "grpc-status:0\r\n".into())],
        }
    }

    fn error(code: &str, message: &str) -> Self {
        Self {
            http: 200,
            status: Some(code.into()),
            message: Some(message.into()),
            frames: Vec::new(),
        }
    }
}

fn call(origin: &str, content_type: &str) -> String {
    format!("({CALL})('{origin}{PATH}', '{content_type}')")
}

/// Browsers send these cookies from each site.
fn cookies() -> AuthCookies {
    let cookie = |name| Cookie::build(name).secure(true).same_site(SameSite::None);
    let description = AuthCookies::builder();
    let description = description.access(cookie("a")).refresh(cookie("r"));
    description.build().unwrap()
}

fn layer<T: TokenStore>(store: T) -> LogoutLayerBuilder<T> {
    LogoutLayer::builder(store)
        .path(PATH)
        .grpc()
        .cookies(cookies())
}

/// Pages that log in with the token in their path.
fn pages(cookies: AuthCookies) -> Router {
    let log_in = |Path(token): Path<String>| async move { login(&cookies, &token) };
    Router::new().route("/login/{token}", get(log_in))
}

#[tokio::test]
async fn a_page_logs_out_over_http2() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let store = MemoryStore::new();
    let logout = layer(store.clone()).build().unwrap();
    let site = pages(cookies()).layer(logout).layer(GrpcWebLayer::new());
    let origin = format!("https://app.site-a.test:{}", serve_https(site).await.port());
    logs_out(&chromium, &store, &origin).await;
    chromium.close().await;
}

/// The layer of tonic-web gets only logouts, because it answers all other HTTP/1 requests with 400.
#[tokio::test]
async fn a_page_logs_out_over_http1_beside_other_routes() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let store = MemoryStore::new();
    let logout = LogoutLayer::builder(store.clone()).grpc().build().unwrap();
    let logout = GrpcWebLayer::new().layer(logout.endpoint());
    let site = pages(AuthCookies::default()).route_service(PATH, logout);
    let origin = format!("http://localhost:{}", serve(site).await.port());
    logs_out(&chromium, &store, &origin).await;
    chromium.close().await;
}

async fn logs_out(chromium: &Chromium, store: &MemoryStore, origin: &str) {
    for content_type in [BINARY, TEXT] {
        let token = open(store, "alice").await;
        let page = chromium
            .open(&format!("{origin}/login/{}", token.expose()))
            .await;
        assert_eq!(chromium.cookies().await.len(), 2);
        let answer: Answer = run(&page, &call(origin, content_type)).await;
        assert_eq!(answer, Answer::ok(), "{content_type}");
        assert_eq!(chromium.cookie_names().await, [""; 0]);
        assert!(!is_live(store, &token).await);
    }
}

#[tokio::test]
async fn a_store_failure_is_an_internal_error_and_the_browser_keeps_its_cookies() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let store = store_fn(|_| async { Err("database is on fire".into()) });
    let site = pages(cookies())
        .layer(layer(store).build().unwrap())
        .layer(GrpcWebLayer::new());
    let origin = format!("https://app.site-a.test:{}", serve_https(site).await.port());
    let page = chromium.open(&format!("{origin}/login/t")).await;
    for content_type in [BINARY, TEXT] {
        let answer: Answer = run(&page, &call(&origin, content_type)).await;
        assert_eq!(answer, Answer::error("13", "Error logging out"));
        assert_eq!(chromium.cookie_names().await, ["a", "r"]);
    }
    chromium.close().await;
}

#[tokio::test]
async fn a_page_of_another_site_logs_out_only_if_its_origin_is_trusted() {
    let Some(chromium) = Chromium::start_with(ThirdPartyCookies::Allowed).await else {
        return;
    };
    let other_site = serve_https(Router::new().fallback(|| async { Html("<p>a page") })).await;
    let [friend, acquaintance, stranger] = ["friend.site-b.test", "app.site-b.test", "evil.test"]
        .map(|host| format!("https://{host}:{}", other_site.port()));
    let (store, token) = store_with_session().await;
    let logout = layer(store.clone())
        .origin_check(OriginCheck::new().add_trusted_origin(&friend).unwrap())
        .build()
        .unwrap();
    let exposed = ["grpc-status", "grpc-message"].map(HeaderName::from_static);
    let cors = CorsLayer::new()
        .allow_origin([&friend, &acquaintance].map(|origin| HeaderValue::try_from(origin).unwrap()))
        .allow_headers([CONTENT_TYPE, HeaderName::from_static("x-grpc-web")])
        .allow_credentials(true)
        .expose_headers(exposed);
    let site = pages(cookies())
        .layer(logout)
        .layer(GrpcWebLayer::new())
        .layer(cors);
    let origin = format!("https://app.site-a.test:{}", serve_https(site).await.port());
    let page = chromium
        .open(&format!("{origin}/login/{}", token.expose()))
        .await;

    // CORS blocks this origin, also when a request only pretends to be gRPC-Web.
    page.goto(&stranger).await.unwrap();
    let blocked: String = run(&page, &format!("{}.catch(String)", call(&origin, BINARY))).await;
    assert_eq!(blocked, "TypeError: Failed to fetch");
    let disguised = format!(
        "fetch('{origin}{PATH}', {{
            method: 'POST',
            mode: 'no-cors',
            credentials: 'include',
            headers: {{ 'Content-Type': '{BINARY}' }},
            body: new Blob([new Uint8Array(5)], {{ type: '{BINARY}' }}),
        }}).then(answer => answer.type)"
    );
    let answer: String = run(&page, &disguised).await;
    assert_eq!(answer, "opaque");
    assert_eq!(chromium.cookie_names().await, ["a", "r"]);
    assert!(is_live(&store, &token).await);

    // CORS allows this origin, but the layer rejects it.
    page.goto(&acquaintance).await.unwrap();
    let answer: Answer = run(&page, &call(&origin, BINARY)).await;
    let rejection = Answer::error("7", "Cross-origin logout is not allowed");
    assert_eq!(answer, rejection);
    assert_eq!(chromium.cookie_names().await, ["a", "r"]);
    assert!(is_live(&store, &token).await);

    page.goto(&friend).await.unwrap();
    let answer: Answer = run(&page, &call(&origin, BINARY)).await;
    assert_eq!(answer, Answer::ok());
    assert_eq!(chromium.cookie_names().await, [""; 0]);
    assert!(!is_live(&store, &token).await);
    chromium.close().await;
}
