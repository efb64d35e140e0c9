//! A person logs out on the page, and the browser holds nothing of the login.

use std::time::Duration;

use axum::Router;
use axum::response::{AppendHeaders, Html};
use axum::routing::get;
use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::page::Page;
use futures::StreamExt;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use tower_http::cors::CorsLayer;
use tower_logout::{AuthCookies, LogoutLayer};

use crate::support::process::ExampleServer;
use crate::support::server::serve;
use crate::support::*;

/// A headless Chromium with a profile of its own.
struct Chromium {
    browser: Browser,
    driver: tokio::task::JoinHandle<()>,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// `None` where there is none.
    async fn start() -> Option<Self> {
        let program = find_program(&["chromium", "chromium-browser", "google-chrome"])?;
        let profile = tempfile::tempdir().unwrap();
        let config = BrowserConfig::builder()
            .chrome_executable(program)
            .user_data_dir(profile.path())
            .no_sandbox()
            .args([
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-sync",
            ])
            .build()
            .unwrap();
        let (browser, mut events) = Browser::launch(config).await.unwrap();
        let driver = tokio::spawn(async move { while events.next().await.is_some() {} });
        Some(Self {
            browser,
            driver,
            _profile: profile,
        })
    }

    async fn open(&self, url: &str) -> Page {
        self.browser.new_page(url).await.unwrap()
    }

    async fn close(mut self) {
        self.browser.close().await.unwrap();
        self.browser.wait().await.unwrap();
        self.driver.await.unwrap();
    }
}

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
    assert_eq!(cookie_names(&page).await, ["accessToken", "refreshToken"]);

    click(&page, "#logout").await;
    wait_for(
        &page,
        "document.querySelector('#body').textContent === '{\"message\":\"Logged out successfully\"}'",
    )
    .await;
    wait_for(&page, "!document.querySelector('#out').hidden").await;
    assert_eq!(cookie_names(&page).await, [""; 0]);
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
    let cookies = AuthCookies::default();
    let login = (
        AppendHeaders([
            (SET_COOKIE, cookies.access("a").to_string()),
            (SET_COOKIE, cookies.refresh(token.expose()).to_string()),
        ]),
        "logged in",
    );
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
    assert_eq!(cookie_names(&page).await, ["accessToken", "refreshToken"]);
    page.goto(&origin).await.unwrap();
    let answer: String = page
        .evaluate(format!("({AS_AXIOS_DOES})('{api}')"))
        .await
        .unwrap()
        .into_value()
        .unwrap();
    assert_eq!(answer, r#"200 {"message":"Logged out successfully"}"#);
    assert!(!is_live(&store, &token).await);
    assert_eq!(cookie_names(&page).await, [""; 0]);
    chromium.close().await;
}

async fn click(page: &Page, selector: &str) {
    wait_for(
        page,
        &format!("document.querySelector('{selector}').offsetParent !== null"),
    )
    .await;
    page.find_element(selector)
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
}

async fn wait_for(page: &Page, condition: &str) {
    for _ in 0..200 {
        let value = page.evaluate(condition).await.unwrap().into_value();
        if matches!(value, Ok(true)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never true: {condition}");
}

/// Through the DevTools protocol, which shows `HttpOnly` cookies.
async fn cookie_names(page: &Page) -> Vec<String> {
    let cookies = page.get_cookies().await.unwrap();
    let mut names: Vec<_> = cookies.into_iter().map(|cookie| cookie.name).collect();
    names.sort();
    names
}
