//! A user logs out on the example's page, and the browser holds nothing of the login.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chromiumoxide::cdp::browser_protocol::network::DeleteCookiesParams;
use chromiumoxide::page::Page;
use http::header::CONTENT_TYPE;
use tower_http::cors::CorsLayer;
use tower_logout::{AuthCookies, LogoutLayer};

use e2e::browser::{Chromium, click, run, wait_for};
use e2e::process::ExampleServer;
use support::server::serve;
use support::*;

#[tokio::test]
async fn after_a_click_on_logout_the_browser_holds_neither_cookie() {
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

const LOGGED_IN: &str = "document.querySelector('#username').textContent === 'alice' \
                         && !document.querySelector('#in').hidden";

const LOGGED_OUT: &str = "!document.querySelector('#out').hidden \
                          && !document.documentElement.textContent.includes('alice')";

/// Clicks by script, because the page may be in the background.
async fn press(page: &Page, id: &str) {
    wait_for(page, "document.readyState === 'complete'").await;
    let _: bool = run(
        page,
        &format!("document.getElementById('{id}').click() ?? true"),
    )
    .await;
}

const LOG_OUT: &str = "fetch('/auth/logout', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}'
}).then(response => response.status)";

#[tokio::test]
async fn the_other_tab_shows_a_login_and_a_logout() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let one = chromium.open(&server.url).await;
    let other = chromium.open(&server.url).await;
    for page in [&one, &other] {
        wait_for(page, LOGGED_OUT).await;
    }
    press(&one, "login").await;
    wait_for(&other, LOGGED_IN).await;
    press(&other, "me").await;
    wait_for(&other, "!document.querySelector('#answer').hidden").await;
    press(&one, "logout").await;
    wait_for(&other, LOGGED_OUT).await;
    wait_for(&one, LOGGED_OUT).await;
    chromium.close().await;
}

#[tokio::test]
async fn the_stream_of_the_other_tab_ends_with_the_login_and_the_tab_says_so() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let page = chromium.open(&server.url).await;
    let streams = "document.querySelector('#clock').textContent.includes(':')";
    press(&page, "login").await;
    wait_for(&page, LOGGED_IN).await;
    wait_for(&page, streams).await;
    // The clock runs.
    let seen: String = run(&page, "document.querySelector('#clock').textContent").await;
    let changed = format!("document.querySelector('#clock').textContent !== '{seen}'");
    wait_for(&page, &format!("{streams} && {changed}")).await;

    // A tab without the script of the page, which tells the other tabs nothing.
    let elsewhere = chromium.open(&format!("{}/healthz", server.url)).await;
    elsewhere.bring_to_front().await.unwrap();
    wait_for(&page, "document.visibilityState === 'hidden'").await;
    let status: u16 = run(&elsewhere, LOG_OUT).await;
    assert_eq!(status, 200);
    wait_for(&page, LOGGED_OUT).await;
    wait_for(
        &page,
        "document.querySelector('#ended').innerText === 'You were logged out.'
            && document.querySelector('#call').textContent === 'GET /me'
            && document.querySelector('#status').textContent === '401 Unauthorized'
            && document.querySelector('#clock').textContent === ''",
    )
    .await;

    press(&page, "login").await;
    wait_for(&page, LOGGED_IN).await;
    wait_for(&page, streams).await;
    let hidden: bool = run(&page, "document.querySelector('#ended').hidden").await;
    assert!(hidden);
    chromium.close().await;
}

#[tokio::test]
async fn a_tab_whose_stream_does_not_tell_shows_a_logout_when_it_comes_to_the_front() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let page = chromium.open("about:blank").await;
    let silent = "window.EventSource = class { close() {} }";
    page.evaluate_on_new_document(silent).await.unwrap();
    page.goto(&server.url).await.unwrap();
    press(&page, "login").await;
    wait_for(&page, LOGGED_IN).await;
    let elsewhere = chromium.open(&format!("{}/healthz", server.url)).await;
    elsewhere.bring_to_front().await.unwrap();
    wait_for(&page, "document.visibilityState === 'hidden'").await;
    let status: u16 = run(&elsewhere, LOG_OUT).await;
    assert_eq!(status, 200);
    let unseen: bool = run(&page, LOGGED_IN).await;
    assert!(unseen);
    page.bring_to_front().await.unwrap();
    wait_for(&page, LOGGED_OUT).await;
    chromium.close().await;
}

#[tokio::test]
async fn tabs_with_an_expired_access_token_refresh_it_and_stay_logged_in() {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let one = chromium.open(&server.url).await;
    let other = chromium.open(&server.url).await;
    press(&one, "login").await;
    wait_for(&other, LOGGED_IN).await;
    let expired = DeleteCookiesParams::builder()
        .name("accessToken")
        .url(&server.url);
    one.execute(expired.build().unwrap()).await.unwrap();
    assert_eq!(chromium.cookie_names().await, ["refreshToken"]);
    for page in [&one, &other] {
        let hide = "document.querySelector('#in').hidden = true";
        page.evaluate(hide).await.unwrap();
    }
    let redraw = "new BroadcastChannel('login').postMessage('changed')";
    one.evaluate(redraw).await.unwrap();
    for page in [&one, &other] {
        wait_for(page, LOGGED_IN).await;
    }
    assert_eq!(
        chromium.cookie_names().await,
        ["accessToken", "refreshToken"]
    );
    press(&one, "refresh").await;
    let refreshed = "document.querySelector('#call').textContent === 'POST /auth/refresh'
        && document.querySelector('#status').textContent === '200 OK'";
    wait_for(&one, refreshed).await;
    chromium.close().await;
}

#[tokio::test]
async fn back_after_a_logout_shows_nothing_private() {
    const VIEWS: &str = "addEventListener('pageshow', () => {
        const views = JSON.parse(sessionStorage.views ?? '[]');
        sessionStorage.views = JSON.stringify([...views, document.body.innerText]);
    });";
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let page = chromium.open("about:blank").await;
    page.evaluate_on_new_document(VIEWS).await.unwrap();
    page.goto(&server.url).await.unwrap();
    press(&page, "login").await;
    wait_for(&page, LOGGED_IN).await;
    let _: bool = run(&page, "(location = '/healthz', true)").await;
    wait_for(&page, "location.pathname === '/healthz'").await;
    let status: u16 = run(&page, LOG_OUT).await;
    assert_eq!(status, 200);
    let _: bool = run(&page, "(history.back(), true)").await;
    wait_for(&page, "location.pathname === '/'").await;
    wait_for(&page, LOGGED_OUT).await;
    let views: String = run(&page, "sessionStorage.views").await;
    let views: Vec<String> = serde_json::from_str(&views).unwrap();
    let private = views.iter().filter(|text| text.contains("is logged in"));
    assert_eq!((views.len(), private.count()), (3, 0), "{views:?}");
    chromium.close().await;
}

#[tokio::test]
async fn the_page_obeys_its_policy_and_the_policy_blocks_injected_scripts() {
    const VIOLATIONS: &str = "window.violations = [];
        addEventListener('securitypolicyviolation', event => {
            violations.push(event.effectiveDirective);
        });";
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = ExampleServer::start().await;
    let page = chromium.open("about:blank").await;
    page.evaluate_on_new_document(VIOLATIONS).await.unwrap();
    page.goto(&server.url).await.unwrap();
    press(&page, "login").await;
    wait_for(&page, LOGGED_IN).await;
    for button in ["me", "refresh"] {
        press(&page, button).await;
    }
    press(&page, "logout").await;
    wait_for(&page, LOGGED_OUT).await;
    let violations: Vec<String> = run(&page, "violations").await;
    assert_eq!(violations, [""; 0]);

    let inject = "const script = document.createElement('script');
        script.text = 'window.ran = true';
        document.body.append(script);
        document.body.setAttribute('style', 'color: red');";
    page.evaluate(inject).await.unwrap();
    wait_for(&page, "violations.length === 2").await;
    let ran: bool = run(&page, "'ran' in window").await;
    assert!(!ran);
    chromium.close().await;
}

/// The request that axios makes in a browser.
const AXIOS: &str = "url => new Promise(resolve => {
    const request = new XMLHttpRequest();
    request.open('POST', url + '/auth/logout', true);
    request.withCredentials = true;
    request.setRequestHeader('Accept', 'application/json, text/plain, */*');
    request.setRequestHeader('Content-Type', 'application/json');
    request.onloadend = () => resolve(request.status + ' ' + request.responseText);
    request.send('{}');
})";

#[tokio::test]
async fn a_page_of_another_origin_logs_out_by_axios() {
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
    let answer: String = run(&page, &format!("({AXIOS})('{api}')")).await;
    assert_eq!(answer, r#"200 {"message":"Logged out successfully"}"#);
    assert!(!is_live(&store, &token).await);
    assert_eq!(chromium.cookie_names().await, [""; 0]);
    chromium.close().await;
}
