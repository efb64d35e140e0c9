//! Whether Chromium shows a private page after the logout, for each cache that can keep the page.
//!
//! The test compares its result with the table in `docs/browsers.md`. The pages drive the browser
//! themselves, because Chromium prerenders nothing while a debugger is attached.

use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio::process::{Child, Command};
use tower_logout::reply::SiteData::{self, PrefetchCache, PrerenderCache, Storage};
use tower_logout::{AuthCookies, LogoutLayer, MemoryStore, Token};

use e2e::find_program;
use support::server::serve;
use support::*;

const DOCUMENT: &str = include_str!("../../docs/browsers.md");

/// The values of `Clear-Site-Data`, one for each column.
const CLEARED: [&[SiteData]; 5] = [
    &[],
    &[Storage],
    &[PrefetchCache],
    &[PrerenderCache],
    &[PrefetchCache, PrerenderCache],
];

#[tokio::test]
async fn a_private_page_is_shown_after_the_logout_exactly_where_the_document_says_so() {
    let Some(program) = find_program(&["chromium", "chromium-browser", "google-chrome"]) else {
        return;
    };
    let profile = tempfile::tempdir().unwrap();
    // From the last site to the first, because each site sends the browser to its successor.
    let mut next = "about:blank".to_owned();
    let mut sites = Vec::new();
    for cache in Cache::ALL {
        for cache_control in ["private, max-age=600", "no-store"] {
            for cleared in CLEARED {
                let site = Site::new(cache, cache_control, next);
                next = site.serve(cleared).await;
                sites.push(site);
            }
        }
    }
    let mut browser = browse(&program, profile.path(), &next);
    let mut shown = Vec::new();
    for site in sites.iter().rev() {
        shown.push(site.shown_after_the_logout().await);
    }
    browser.kill().await.unwrap();
    shown.reverse();

    let mut table = String::new();
    for (sites, shown) in sites.chunks(CLEARED.len()).zip(shown.chunks(CLEARED.len())) {
        let row = shown.join(" | ");
        let name = sites[0].cache.name();
        writeln!(table, "| {name} | `{}` | {row} |", sites[0].cache_control).unwrap();
    }
    assert!(DOCUMENT.contains(&table), "found:\n{table}");
}

/// Starts a Chromium without a debugger.
fn browse(program: &Path, profile: &Path, url: &str) -> Child {
    Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--no-first-run",
            "--disable-gpu",
        ])
        .args(["--remote-debugging-port=0", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Which cache keeps the page, and how the user returns to the page.
#[derive(Clone, Copy, PartialEq)]
enum Cache {
    BackForward,
    Http,
    Prefetch,
    Prerender,
    ServiceWorker,
}

impl Cache {
    const ALL: [Self; 5] = [
        Self::BackForward,
        Self::Http,
        Self::Prefetch,
        Self::Prerender,
        Self::ServiceWorker,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::BackForward => "Back: the page as it was left (bfcache)",
            Self::Http => "a link: the HTTP cache",
            Self::Prefetch => "a link: prefetched",
            Self::Prerender => "a link: prerendered",
            Self::ServiceWorker => "a link: a service worker's cache",
        }
    }

    /// The script of the first page.
    fn home(self) -> &'static str {
        match self {
            Self::BackForward | Self::Http => "location = '/private';",
            Self::Prefetch => "await ahead('prefetch'); await logout(); location = '/private';",
            Self::Prerender => "await ahead('prerender'); await logout(); location = '/private';",
            Self::ServiceWorker => {
                "await new Promise(resolve => {
                    navigator.serviceWorker.oncontrollerchange = resolve;
                    navigator.serviceWorker.register('/worker.js');
                });
                location = '/private';"
            }
        }
    }

    /// The script of the page after the private one.
    fn out(self) -> &'static str {
        match self {
            Self::BackForward => "await logout(); history.back();",
            _ => "await logout(); location = '/private';",
        }
    }

    /// How often the user sees the private page.
    fn views(self) -> usize {
        match self {
            Self::Prefetch | Self::Prerender => 1,
            _ => 2,
        }
    }

    /// Whether the browser has loaded the private page ahead.
    fn is_loaded(self, private: &Private) -> bool {
        match self {
            Self::Prerender => private.prerendered,
            _ => private.requested,
        }
    }
}

const FUNCTIONS: &str = "
const logout = () => fetch('/auth/logout', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}'
});
const ahead = async kind => {
    const rules = document.createElement('script');
    rules.type = 'speculationrules';
    rules.text = JSON.stringify({ [kind]: [{ urls: ['/private'], eagerness: 'immediate' }] });
    document.head.append(rules);
    while (await (await fetch('/is-loaded')).text() !== 'true') ;
};
";

/// The private page reports its text, and follows the answer to the next page.
const PRIVATE: &str = "
const post = (path, body) => fetch(path, { method: 'POST', body });
const show = async () => {
    location = await (await post('/shown', document.querySelector('p').textContent)).text();
};
if (document.prerendering) {
    document.addEventListener('prerenderingchange', show);
    await post('/prerendered');
} else {
    addEventListener('pageshow', show);
}
";

const WORKER: &str = "
onactivate = event => event.waitUntil(clients.claim());
onfetch = event => {
    if (new URL(event.request.url).pathname !== '/private') return;
    event.respondWith(caches.open('pages').then(async pages => {
        const kept = await pages.match(event.request);
        if (kept) return kept;
        const fresh = await fetch(event.request);
        await pages.put(event.request, fresh.clone());
        return fresh;
    }));
};
";

/// A server with one login and a private page.
#[derive(Clone)]
struct Site {
    cache: Cache,
    cache_control: &'static str,
    /// Where the browser goes after this site.
    next: String,
    store: MemoryStore,
    cookies: AuthCookies,
    private: Arc<Mutex<Private>>,
}

/// The history of the private page.
#[derive(Default)]
struct Private {
    requested: bool,
    prerendered: bool,
    shown: Vec<String>,
}

impl Site {
    fn new(cache: Cache, cache_control: &'static str, next: String) -> Self {
        Self {
            cache,
            cache_control,
            next,
            store: MemoryStore::new(),
            cookies: AuthCookies::default(),
            private: Arc::default(),
        }
    }

    /// Serves the site, and returns the URL of its first page.
    async fn serve(&self, cleared: &[SiteData]) -> String {
        let logout = LogoutLayer::builder(self.store.clone())
            .clear_site_data(cleared.iter().copied())
            .build()
            .unwrap();
        let router = Router::new()
            .route("/home", get(Self::home))
            .route("/private", get(Self::private))
            .route(
                "/prerendered",
                post(async |State(site): State<Self>| site.set_prerendered()),
            )
            .route(
                "/is-loaded",
                get(async |State(site): State<Self>| site.is_loaded()),
            )
            .route(
                "/shown",
                post(async |State(site): State<Self>, text: String| site.add_shown(text)),
            )
            .route("/out", get(async |State(site): State<Self>| site.out()))
            .route("/worker.js", get(worker))
            .with_state(self.clone())
            .layer(logout);
        // Browsers treat `localhost` as secure.
        format!("http://localhost:{}/home", serve(router).await.port())
    }

    /// Logs in.
    async fn home(State(site): State<Self>) -> impl IntoResponse {
        let token = open(&site.store, "alice").await;
        let page = script(&[FUNCTIONS, site.cache.home()]);
        (login(&site.cookies, token.expose()), page)
    }

    async fn private(State(site): State<Self>, jar: CookieJar) -> impl IntoResponse {
        site.private.lock().unwrap().requested = true;
        let token = jar
            .get(site.cookies.refresh_name())
            .map(|cookie| Token::new(cookie.value()));
        let text = match token {
            Some(token) if is_live(&site.store, &token).await => "private",
            _ => "–",
        };
        let page = format!("<!doctype html><meta charset=utf-8><p>{text}</p>");
        let headers = [(CACHE_CONTROL, site.cache_control)];
        (headers, Html(page + &script(&[PRIVATE]).0))
    }

    fn set_prerendered(&self) {
        self.private.lock().unwrap().prerendered = true;
    }

    fn is_loaded(&self) -> String {
        let private = self.private.lock().unwrap();
        self.cache.is_loaded(&private).to_string()
    }

    /// Returns the next page.
    fn add_shown(&self, text: String) -> String {
        let mut private = self.private.lock().unwrap();
        private.shown.push(text);
        if private.shown.len() < self.cache.views() {
            return "/out".into();
        }
        self.next.clone()
    }

    fn out(&self) -> Html<String> {
        script(&[FUNCTIONS, self.cache.out()])
    }

    async fn shown_after_the_logout(&self) -> String {
        let views = self.cache.views();
        for _ in 0..2000 {
            let shown = self.private.lock().unwrap().shown.clone();
            if shown.len() == views {
                assert!(views == 1 || shown[0] == "private");
                return shown[views - 1].clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "{}, {}: the browser did not return",
            self.cache.name(),
            self.cache_control
        );
    }
}

async fn worker() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript")], WORKER)
}

fn script(parts: &[&str]) -> Html<String> {
    let parts = parts.concat();
    Html(format!("<script type=module>{parts}</script>"))
}
