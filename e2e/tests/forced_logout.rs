//! No page of another origin logs a user out, by any request that it can make the browser send.

use std::future::ready;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderValue, Uri};
use axum::middleware::{Next, from_fn_with_state, map_request};
use axum::response::{Html, Redirect, Response};
use axum::routing::post;
use chromiumoxide::page::Page;
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_http::cors::CorsLayer;
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::csrf::OriginCheck;
use tower_logout::{AuthCookies, LogoutLayer, LogoutLayerBuilder, MemoryStore, Token};

use e2e::browser::{Chromium, ThirdPartyCookies, run};
use support::server::{serve, serve_https};
use support::*;

/// A script that attacks `url`, and whether its request is a `POST` that reaches the server.
const ATTACKS: [(&str, bool); 32] = [
    ("submit({ method: 'post' })", true),
    (
        "submit({ method: 'post', enctype: 'multipart/form-data' })",
        true,
    ),
    ("submit({ method: 'post', enctype: 'text/plain' })", true),
    ("submit({ method: 'post', target: 'frame' })", true),
    ("submit({ method: 'post', target: '_blank' })", true),
    // Redirects that repeat the request: by the attacker, and by a page of the site.
    (
        "submit({ method: 'post', action: '/repeat?to=' + encodeURIComponent(url) })",
        true,
    ),
    (
        "submit({ method: 'post', action: url.replace('/auth/logout', '/repeat') })",
        true,
    ),
    (
        "fetch(url.replace('/auth/logout', '/repeat'), { method: 'POST', mode: 'no-cors', credentials: 'include' })",
        true,
    ),
    ("submit({ method: 'get' })", false),
    (
        "fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include' })",
        true,
    ),
    (
        "fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' })",
        true,
    ),
    (
        "fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}',
        headers: { 'Content-Type': 'application/json' } })",
        true,
    ),
    (
        "fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: json })",
        true,
    ),
    (
        "fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: form })",
        true,
    ),
    (
        "fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', keepalive: true })",
        true,
    ),
    (
        "fetch(url, { method: 'POST', credentials: 'include' }).catch(() => {})",
        true,
    ),
    (
        "fetch(url, { method: 'POST', credentials: 'include', body: '{}',
        headers: { 'Content-Type': 'application/json' } }).catch(() => {})",
        false,
    ),
    (
        "fetch(url, { mode: 'no-cors', credentials: 'include' })",
        false,
    ),
    ("navigator.sendBeacon(url)", true),
    ("navigator.sendBeacon(url, '{}')", true),
    ("navigator.sendBeacon(url, form)", true),
    ("navigator.sendBeacon(url, json)", false),
    ("add('img', { src: url })", false),
    ("add('script', { src: url })", false),
    ("add('iframe', { src: url })", false),
    ("add('object', { data: url })", false),
    ("add('video', { src: url })", false),
    ("add('link', { rel: 'stylesheet', href: url })", false),
    (
        "add('link', { rel: 'preload', as: 'image', href: url })",
        false,
    ),
    ("add('link', { rel: 'prefetch', href: url })", false),
    ("open(url)", false),
    ("location = url", false),
];

/// Functions for the attacks.
const FUNCTIONS: &str = r#"
    const json = new Blob(['{}'], { type: 'application/json' });
    const form = new FormData();
    form.append('a', 'b');
    const add = (tag, attributes) => {
        const element = Object.assign(document.createElement(tag), attributes);
        document.documentElement.append(element);
        return element;
    };
    const submit = attributes => {
        add('iframe', { name: 'frame' });
        const element = add('form', { action: url, ...attributes });
        // A form with the method GET sends its fields as the query.
        for (const [name, value] of [[new URL(url).search.slice(1), ''], ['{"a":"', '"}']]) {
            const field = Object.assign(document.createElement('input'), { name, value });
            element.append(field);
        }
        element.submit();
    };"#;

type Builder = LogoutLayerBuilder<MemoryStore>;

#[tokio::test]
async fn no_other_origin_logs_a_user_out_by_default() {
    // Over http, browsers send no `Sec-Fetch-Site`.
    for scheme in ["https", "http"] {
        if let Some(mut victim) = Victim::start(scheme, |layer, _| layer).await {
            let attackers = victim.attackers();
            victim.withstands_all(&attackers).await;
            victim.chromium.close().await;
        }
    }
}

#[tokio::test]
async fn the_own_pages_log_out_without_a_body_and_without_a_content_type() {
    // `axios.post(url)` and `axios.post(url, null)` send such an `XMLHttpRequest`.
    const AXIOS: &str = "new Promise(resolve => {
        const request = new XMLHttpRequest();
        request.open('POST', '/auth/logout');
        request.onloadend = () => resolve(request.status);
        request.send(null);
    })";
    const STATUS: &str = ".then(answer => answer.status)";
    for scheme in ["https", "http"] {
        let Some(victim) = Victim::start(scheme, |layer, _| layer).await else {
            return;
        };
        for script in [
            &format!("fetch('/auth/logout', {{ method: 'POST' }}){STATUS}"),
            &format!("fetch('/auth/logout', {{ method: 'POST', body: '{{}}' }}){STATUS}"),
            AXIOS,
        ] {
            let token = victim.log_in().await;
            assert_eq!(run::<u16>(&victim.page, script).await, 200, "{script}");
            assert!(!is_live(&victim.store, &token).await, "{script}");
            assert_eq!(victim.chromium.cookie_names().await, [""; 0], "{script}");
        }
        victim.chromium.close().await;
    }
}

#[tokio::test]
async fn no_other_origin_logs_a_user_out_with_the_origin_check() {
    // Over http, browsers send no `Sec-Fetch-Site`.
    for scheme in ["https", "http"] {
        let started = Victim::start(scheme, |layer, _| {
            layer.require_json(false).origin_check(OriginCheck::new())
        });
        if let Some(mut victim) = started.await {
            let attackers = victim.attackers();
            victim.withstands_all(&attackers).await;
            victim.chromium.close().await;
        }
    }
}

#[tokio::test]
async fn without_either_check_each_post_from_another_site_logs_out() {
    let started = Victim::start_behind(as_json, "https", |layer, _| layer);
    let Some(mut victim) = started.await else {
        return;
    };
    let [.., another_site] = victim.attackers();
    for (attack, (script, posts)) in ATTACKS.into_iter().enumerate() {
        let attacked = victim.attacked(&another_site, attack).await;
        let lives = is_live(&victim.store, &attacked.token).await;
        assert_eq!(lives, !posts, "{script}");
        if posts {
            victim.chromium.wait_until_cookies_are_removed().await;
        }
        victim.chromium.close_page(&attacked.page).await;
    }
    victim.chromium.close().await;
}

#[tokio::test]
async fn only_a_trusted_origin_with_cors_logs_out() {
    let configurations: [fn(Builder, &str) -> Builder; 2] = [
        |layer, _| layer,
        |layer, friend| {
            let check = OriginCheck::new().add_trusted_origin(friend).unwrap();
            layer.require_json(false).origin_check(check)
        },
    ];
    for configure in configurations {
        let Some(mut victim) = Victim::start("https", configure).await else {
            return;
        };
        let [.., another_site] = victim.attackers();
        victim.withstands_all(&[another_site]).await;

        let page = victim.chromium.open(&victim.friend).await;
        let token = victim.log_in().await;
        let logout = format!(
            "fetch('{}/auth/logout', {{
                method: 'POST',
                credentials: 'include',
                headers: {{ 'Content-Type': 'application/json' }},
            }}).then(answer => answer.text())",
            victim.origin
        );
        let answer: String = run(&page, &logout).await;
        assert_eq!(answer, r#"{"message":"Logged out successfully"}"#);
        assert!(!is_live(&victim.store, &token).await);
        assert_eq!(victim.chromium.cookie_names().await, [""; 0]);
        victim.chromium.close().await;
    }
}

/// A user who is logged in at one site, and visits other sites with the same browser.
struct Victim {
    chromium: Chromium,
    store: MemoryStore,
    /// A page of the site of the login.
    page: Page,
    origin: String,
    /// The origin that may log the user out, if any.
    friend: String,
    attackers_port: u16,
    answers: UnboundedReceiver<Answered>,
}

/// An answer from the path of the logout.
struct Answered {
    attack: String,
    set_cookies: usize,
}

impl Victim {
    /// `None` if no browser is installed.
    async fn start(scheme: &str, configure: fn(Builder, &str) -> Builder) -> Option<Self> {
        Self::start_behind(|request| request, scheme, configure).await
    }

    /// Also changes each request before the layer receives it.
    async fn start_behind(
        change: fn(Request) -> Request,
        scheme: &str,
        configure: fn(Builder, &str) -> Builder,
    ) -> Option<Self> {
        let chromium = Chromium::start_with(ThirdPartyCookies::Allowed).await?;
        let repeat = |Query(target): Query<Target>| async move { Redirect::temporary(&target.to) };
        let pages = Router::new()
            .route("/repeat", post(repeat))
            .fallback(|| async { Html("<p>a page") });
        let secure = scheme == "https";
        let attackers_port = if secure {
            serve_https(pages).await
        } else {
            serve(pages).await
        }
        .port();
        let friend = format!("{scheme}://friend.site-b.test:{attackers_port}");

        let store = MemoryStore::new();
        let mut description = AuthCookies::builder();
        if secure {
            // Browsers send these cookies from each site.
            let cookie = |name| Cookie::build(name).secure(true).same_site(SameSite::None);
            description = description.access(cookie("a")).refresh(cookie("r"));
        }
        let cookies = description.build().unwrap();
        let layer = LogoutLayer::builder(store.clone()).cookies(cookies.clone());
        let (answered, answers) = unbounded_channel();
        let log_in = |Path(token): Path<String>| async move { login(&cookies, &token) };
        let site = Router::new()
            .route("/auth/login/{token}", post(log_in))
            .route("/repeat", post(repeat_at_logout))
            .fallback(|| async { Html("<p>the site") })
            .layer(configure(layer, &friend).build().unwrap())
            .layer(map_request(move |request: Request| ready(change(request))))
            .layer(
                CorsLayer::new()
                    .allow_origin([friend.parse().unwrap()])
                    .allow_headers([CONTENT_TYPE])
                    .allow_credentials(true),
            )
            .layer(from_fn_with_state(answered, report));
        let port = if secure {
            serve_https(site).await
        } else {
            serve(site).await
        }
        .port();
        let origin = format!("{scheme}://app.site-a.test:{port}");
        Some(Self {
            page: chromium.open(&origin).await,
            chromium,
            store,
            origin,
            friend,
            attackers_port,
            answers,
        })
    }

    /// Another port, another name of the same site, another site.
    fn attackers(&self) -> [String; 3] {
        let (scheme, _) = self.origin.split_once(':').unwrap();
        ["app.site-a.test", "evil.site-a.test", "evil.test"]
            .map(|host| format!("{scheme}://{host}:{}", self.attackers_port))
    }

    /// Logs in, and replaces any earlier login.
    async fn log_in(&self) -> Token {
        let token = open(&self.store, "alice").await;
        let login = format!(
            "fetch('/auth/login/{}', {{ method: 'POST' }}).then(answer => answer.status)",
            token.expose()
        );
        assert_eq!(run::<u16>(&self.page, &login).await, 200);
        assert_eq!(self.chromium.cookies().await.len(), 2);
        token
    }

    /// Logs in, attacks, and waits for the answer of the site.
    async fn attacked(&mut self, attacker: &str, attack: usize) -> Attacked {
        let token = self.log_in().await;
        let page = self.chromium.open(attacker).await;
        let (script, _) = ATTACKS[attack];
        let url = format!("{}/auth/logout?{attack}", self.origin);
        let script = format!("{{ const url = '{url}'; {FUNCTIONS} {script}; 0 }}");
        page.evaluate(script).await.unwrap();
        loop {
            let answer = tokio::time::timeout(Duration::from_secs(10), self.answers.recv()).await;
            let answer = answer.unwrap_or_else(|_| panic!("{} never arrives", ATTACKS[attack].0));
            let answer = answer.unwrap();
            // Some attacks send more than one request.
            if answer.attack == attack.to_string() {
                let set_cookies = answer.set_cookies;
                return Attacked {
                    token,
                    set_cookies,
                    page,
                };
            }
        }
    }

    async fn withstands_all(&mut self, attackers: &[String]) {
        for attacker in attackers {
            for (attack, (script, _)) in ATTACKS.into_iter().enumerate() {
                let attacked = self.attacked(attacker, attack).await;
                let row = format!("{script} from {attacker}");
                assert_eq!(attacked.set_cookies, 0, "{row}");
                assert!(is_live(&self.store, &attacked.token).await, "{row}");
                assert_eq!(self.chromium.cookies().await.len(), 2, "{row}");
                self.chromium.close_page(&attacked.page).await;
            }
        }
    }
}

/// The result of an attack.
struct Attacked {
    token: Token,
    set_cookies: usize,
    /// Must stay open until the browser has processed the answer.
    page: Page,
}

/// Where the page of an attacker redirects to.
#[derive(Deserialize)]
struct Target {
    to: String,
}

/// A page of the site that repeats any request as a logout.
async fn repeat_at_logout(uri: Uri) -> Redirect {
    Redirect::temporary(&format!("/auth/logout?{}", uri.query().unwrap_or_default()))
}

/// Switches the check of the content type off, which no configuration of the layer does alone.
fn as_json(mut request: Request) -> Request {
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

/// Reports each answer from the path of the logout.
async fn report(
    State(answered): State<UnboundedSender<Answered>>,
    request: Request,
    next: Next,
) -> Response {
    let uri = request.uri().clone();
    let response = next.run(request).await;
    if uri.path() == "/auth/logout" {
        let query = uri.query().unwrap_or_default();
        let answer = Answered {
            attack: query.split('=').next().unwrap_or_default().to_owned(),
            set_cookies: response.headers().get_all(SET_COOKIE).iter().count(),
        };
        // The test may be over.
        let _ = answered.send(answer);
    }
    response
}
