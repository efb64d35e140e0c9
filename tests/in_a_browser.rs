//! A person logs out on the page, and the browser holds nothing of the login.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use tower_http::cors::CorsLayer;
use tower_logout::{AuthCookies, LogoutLayer};

use crate::support::browser::{Chromium, click, run, wait_for};
use crate::support::process::ExampleServer;
use crate::support::server::serve;
use crate::support::*;

#[tokio::test]
async fn after_the_button_the_browser_holds_neither_cookie() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let page = chromium.open(&server.url).await;
    click(&page, "#login").await;
    wait_for(
        &page,
        "document.querySelector('#username').textContent === 'alice'",
    )
    .await;
    assert_eq!(
        chromium.cookie_names().await,
        ["accessToken", "refreshToken"]
    );

    click(&page, "#logout").await;
    wait_for(
        &page,
        "document.querySelector('#body').textContent === '{\"message\":\"Logged out successfully\"}'",
    )
    .await;
    wait_for(&page, "!document.querySelector('#out').hidden").await;
    assert_eq!(chromium.cookie_names().await, [""; 0]);
    chromium.close().await;
}

/// What axios makes of the contract's call in a browser.
const AS_AXIOS_DOES: &str = "url => new Promise(resolve => {
    const request = new XMLHttpRequest();
    request.open('POST', url + '/auth/logout', true);
    request.withCredentials = true;
    request.setRequestHeader('Accept', 'application/json, text/plain, */*');
    request.setRequestHeader('Content-Type', 'application/json');
    request.onloadend = () => resolve(request.status + ' ' + request.responseText);
    request.send('{}');
})";

#[tokio::test]
async fn a_page_of_another_origin_logs_out_with_the_contracts_axios_call() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (store, token) = store_with_session().await;
    let login = login(&AuthCookies::default(), token.expose());
    let app = serve(Router::new().route("/", get(|| async { Html("<p>app") }))).await;
    let origin = format!("http://localhost:{}", app.port());
    let api = Router::new()
        .route("/login", get(|| async { login }))
        .layer(LogoutLayer::new(store.clone()))
        .layer(
            CorsLayer::new()
                .allow_origin([origin.parse().unwrap()])
                .allow_headers([CONTENT_TYPE])
                .allow_credentials(true),
        );
    let api = format!("http://localhost:{}", serve(api).await.port());

    let page = chromium.open(&format!("{api}/login")).await;
    assert_eq!(
        chromium.cookie_names().await,
        ["accessToken", "refreshToken"]
    );
    page.goto(&origin).await.unwrap();
    let answer: String = run(&page, &format!("({AS_AXIOS_DOES})('{api}')")).await;
    assert_eq!(answer, r#"200 {"message":"Logged out successfully"}"#);
    assert!(!is_live(&store, &token).await);
    assert_eq!(chromium.cookie_names().await, [""; 0]);
    chromium.close().await;
}
