//! A person logs out on the page, and the browser holds nothing of the login.

use std::time::Duration;

use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::page::Page;
use futures::StreamExt;

use crate::support::find_program;
use crate::support::process::ExampleServer;

#[tokio::test]
async fn after_the_button_the_browser_holds_neither_cookie() {
    let Some(chromium) = find_program(&["chromium", "chromium-browser", "google-chrome"]) else {
        return;
    };
    let server = ExampleServer::start().await;
    let profile = tempfile::tempdir().unwrap();
    let config = BrowserConfig::builder()
        .chrome_executable(chromium)
        .user_data_dir(profile.path())
        .no_sandbox()
        .args([
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-sync",
        ])
        .build()
        .unwrap();
    let (mut browser, mut events) = Browser::launch(config).await.unwrap();
    let driver = tokio::spawn(async move { while events.next().await.is_some() {} });

    let page = browser.new_page(&server.url).await.unwrap();
    click(&page, "#login").await;
    wait_for(
        &page,
        "document.querySelector('#username').textContent === 'alice'",
    )
    .await;
    let mut before = cookie_names(&page).await;
    before.sort();
    assert_eq!(before, ["accessToken", "refreshToken"]);

    click(&page, "#logout").await;
    wait_for(
        &page,
        "document.querySelector('#body').textContent === '{\"message\":\"Logged out successfully\"}'",
    )
    .await;
    wait_for(&page, "!document.querySelector('#out').hidden").await;
    assert_eq!(cookie_names(&page).await, [""; 0]);

    browser.close().await.unwrap();
    browser.wait().await.unwrap();
    driver.await.unwrap();
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
    cookies.into_iter().map(|cookie| cookie.name).collect()
}
