//! A headless Chromium, and actions on its pages.

use std::time::Duration;

use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::cdp::browser_protocol::network::Cookie;
use chromiumoxide::cdp::browser_protocol::target::CloseTargetParams;
use chromiumoxide::page::Page;
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::find_program;

/// A headless Chromium with a profile of its own.
///
/// Each host name that ends in `.test` is this machine, and each certificate is valid.
pub struct Chromium {
    browser: Browser,
    driver: tokio::task::JoinHandle<()>,
    _profile: tempfile::TempDir,
}

/// Whether a site may set and read its cookies from the pages of another site. `Partitioned` cookies are
/// exempt.
#[derive(Clone, Copy, PartialEq)]
pub enum ThirdPartyCookies {
    Allowed,
    Blocked,
}

impl Chromium {
    /// `None` if no browser is installed.
    pub async fn start() -> Option<Self> {
        Self::start_with(ThirdPartyCookies::Blocked).await
    }

    pub async fn start_with(cookies: ThirdPartyCookies) -> Option<Self> {
        let program = find_program(&["chromium", "chromium-browser", "google-chrome"])?;
        let profile = tempfile::tempdir().unwrap();
        let blocked = cookies == ThirdPartyCookies::Blocked;
        let defaults = profile.path().join("Default");
        std::fs::create_dir(&defaults).unwrap();
        let preferences = format!(
            r#"{{"profile":{{"cookie_controls_mode":{},"block_third_party_cookies":{blocked}}}}}"#,
            u8::from(blocked),
        );
        std::fs::write(defaults.join("Preferences"), preferences).unwrap();
        let config = BrowserConfig::builder()
            .chrome_executable(program)
            .user_data_dir(profile.path())
            .no_sandbox()
            .disable_https_first()
            .args(["disable-gpu", "ignore-certificate-errors"])
            .arg(("host-resolver-rules", "MAP *.test 127.0.0.1"))
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

    pub async fn open(&self, url: &str) -> Page {
        self.browser.new_page(url).await.unwrap()
    }

    /// Closes a page, even one that is navigating.
    pub async fn close_page(&self, page: &Page) {
        let target = page.target_id().clone();
        self.browser
            .execute(CloseTargetParams::new(target))
            .await
            .unwrap();
    }

    /// All cookies of the browser: of each site and partition, `HttpOnly` or not.
    pub async fn cookies(&self) -> Vec<Cookie> {
        self.browser.get_cookies().await.unwrap()
    }

    /// Waits until an answer has removed all cookies.
    pub async fn wait_until_cookies_are_removed(&self) {
        for _ in 0..1000 {
            if self.cookies().await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the browser keeps {:?}", self.cookie_names().await);
    }

    pub async fn clear_cookies(&self) {
        self.browser.clear_cookies().await.unwrap();
    }

    pub async fn cookie_names(&self) -> Vec<String> {
        let cookies = self.cookies().await;
        let mut names: Vec<_> = cookies.into_iter().map(|cookie| cookie.name).collect();
        names.sort();
        names
    }

    pub async fn close(mut self) {
        self.browser.close().await.unwrap();
        self.browser.wait().await.unwrap();
        self.driver.await.unwrap();
    }
}

/// Runs a script on the page, and returns its value.
pub async fn run<T: DeserializeOwned>(page: &Page, script: &str) -> T {
    let result = page.evaluate(script).await;
    let result = result.unwrap_or_else(|error| panic!("{script}: {error}"));
    result.into_value().unwrap()
}

/// Brings the page back to an origin.
pub async fn return_to(page: &Page, origin: &str) {
    let navigation = format!("if (location.origin !== '{origin}') location = '{origin}'");
    page.evaluate(navigation).await.unwrap();
    let loaded = "document.readyState === 'complete'";
    wait_for(page, &format!("location.origin === '{origin}' && {loaded}")).await;
}

pub async fn click(page: &Page, selector: &str) {
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

pub async fn wait_for(page: &Page, condition: &str) {
    for _ in 0..1000 {
        // Between two documents, an evaluation fails.
        if let Ok(answer) = page.evaluate(condition).await
            && matches!(answer.into_value(), Ok(true))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never true: {condition}");
}
