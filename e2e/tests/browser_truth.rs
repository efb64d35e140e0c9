//! After a logout, Chromium holds no cookie of the login, with any attributes.
//!
//! The test compares its result with the tables in `docs/browsers.md`.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use chromiumoxide::page::Page;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_logout::cookie::{Cookie, CookieBuilder, SameSite};
use tower_logout::csrf::OriginCheck;
use tower_logout::{AuthCookies, ConfigError, LogoutLayer, MemoryStore, Token};

use e2e::browser::{Chromium, ThirdPartyCookies, return_to, run, wait_for};
use support::server::{serve, serve_https};
use support::*;

const DOCUMENT: &str = include_str!("../../docs/browsers.md");
const PARENT: &str = "site-a.test";
const NAMES: [&str; 2] = ["access", "refresh"];

#[tokio::test]
async fn after_a_logout_the_browser_holds_no_cookie_with_any_attributes() {
    let (mut complete, mut impossible) = (String::new(), String::new());
    for third_party in [ThirdPartyCookies::Allowed, ThirdPartyCookies::Blocked] {
        let Some(site) = Site::start(third_party).await else {
            return;
        };
        let ways = match third_party {
            ThirdPartyCookies::Allowed => site.ways(),
            ThirdPartyCookies::Blocked => site.ways_without_third_party_cookies(),
        };
        for way in ways {
            let table = match way.impossible {
                None => &mut complete,
                Some(_) => &mut impossible,
            };
            table.push_str(&site.try_all(&way).await);
        }
        site.chromium.close().await;
    }
    let documented = DOCUMENT.contains(&complete) && DOCUMENT.contains(&impossible);
    assert!(documented, "found:\n{complete}\n{impossible}");
}

#[tokio::test]
async fn a_browser_rejects_each_cookie_that_the_builder_rejects() {
    let Some(site) = Site::start(ThirdPartyCookies::Allowed).await else {
        return;
    };
    let home = Way::fetch("https", &site.https("app.site-a.test"));
    let page = site.chromium.open(&home.login_page).await;
    let mut rejected = 0;
    for attributes in Attributes::every_combination() {
        if attributes.cookies().is_err() {
            site.log_in(&page, &home, attributes).await;
            let held = site.chromium.cookie_names().await;
            assert_eq!(held, [""; 0], "{attributes:?}");
            rejected += 1;
        }
    }
    site.chromium.close().await;
    let line = format!("{rejected} of the 640 combinations");
    assert!(DOCUMENT.contains(&line), "found: {line}");
}

/// The attributes of both cookies of a login.
#[derive(Clone, Copy, Debug)]
struct Attributes {
    prefix: &'static str,
    path: &'static str,
    domain: Option<&'static str>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
    partitioned: bool,
}

impl Attributes {
    fn every_combination() -> Vec<Self> {
        let same_sites = [
            None,
            Some(SameSite::Lax),
            Some(SameSite::Strict),
            Some(SameSite::None),
        ];
        let mut all = Vec::new();
        for prefix in ["", "__Secure-", "__Host-", "__Http-", "__Host-Http-"] {
            for path in ["/", "/auth"] {
                for same_site in same_sites {
                    for bits in 0..16 {
                        all.push(Self {
                            prefix,
                            path,
                            domain: (bits & 1 != 0).then_some(PARENT),
                            secure: bits & 2 != 0,
                            http_only: bits & 4 != 0,
                            same_site,
                            partitioned: bits & 8 != 0,
                        });
                    }
                }
            }
        }
        all
    }

    fn cookie(self, name: &str) -> CookieBuilder<'static> {
        let mut cookie = Cookie::build(format!("{}{name}", self.prefix))
            .path(self.path)
            .secure(self.secure)
            .http_only(self.http_only)
            .partitioned(self.partitioned);
        if let Some(domain) = self.domain {
            cookie = cookie.domain(domain);
        }
        match self.same_site {
            Some(same_site) => cookie.same_site(same_site),
            None => cookie,
        }
    }

    fn cookies(self) -> Result<AuthCookies, ConfigError> {
        let [access, refresh] = NAMES.map(|name| self.cookie(name));
        AuthCookies::builder()
            .access(access)
            .refresh(refresh)
            .build()
    }

    /// The `Set-Cookie` header without the attributes that the `cookie` crate adds.
    fn raw_cookie(self, name: &str) -> String {
        let mut text = format!("{}{name}=v; Path={}", self.prefix, self.path);
        if let Some(domain) = self.domain {
            text = format!("{text}; Domain={domain}");
        }
        if let Some(same_site) = self.same_site {
            text = format!("{text}; SameSite={same_site}");
        }
        for (attribute, set) in [
            ("Secure", self.secure),
            ("HttpOnly", self.http_only),
            ("Partitioned", self.partitioned),
        ] {
            if set {
                text = format!("{text}; {attribute}");
            }
        }
        text
    }

    fn stays_on_its_site(self) -> bool {
        matches!(self.same_site, Some(SameSite::Lax | SameSite::Strict))
    }

    fn crosses_sites(self) -> bool {
        self.same_site == Some(SameSite::None)
    }
}

/// From where a user logs in and out, and which attributes the test tries.
struct Way {
    login: &'static str,
    logout: &'static str,
    /// The origins of the pages, and of the servers that the pages call.
    login_page: String,
    login_server: String,
    logout_page: String,
    logout_server: String,
    removal: Removal,
    among: fn(Attributes) -> bool,
    /// Why no logout can be complete, if browsers prevent it.
    impossible: Option<&'static str>,
}

impl Way {
    fn fetch(login: &'static str, origin: &str) -> Self {
        Self {
            login,
            logout: "fetch from there",
            login_page: origin.into(),
            login_server: origin.into(),
            logout_page: origin.into(),
            logout_server: origin.into(),
            removal: Removal::Json,
            among: |_| true,
            impossible: None,
        }
    }
}

/// Who answers the logout.
#[derive(Clone, Copy, PartialEq)]
enum Removal {
    /// The layer, called with JSON.
    Json,
    /// The layer, called without a body and without a content type.
    Bodyless,
    /// The layer, called by a form.
    Form,
    /// A handler by hand that ignores attributes.
    NameAndPath,
}

/// What the servers do next.
#[derive(Clone)]
struct Scenario {
    attributes: Attributes,
    token: Token,
    removal: Removal,
    trusted: String,
}

#[derive(Clone, Default)]
struct Servers {
    store: MemoryStore,
    scenario: Arc<Mutex<Option<Scenario>>>,
    outcomes: Shared<&'static str>,
}

impl Servers {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let scenario = self.scenario.lock().unwrap().clone();
        let Some(scenario) = scenario else {
            return Ok(Response::new("a page".into()));
        };
        let attributes = scenario.attributes;
        match (request.uri().path(), scenario.removal) {
            ("/auth/login", _) => {
                let token = scenario.token.expose();
                Ok(with_cookies(match attributes.cookies() {
                    Ok(cookies) => [cookies.access("a"), cookies.refresh(token)]
                        .map(|cookie| cookie.to_string()),
                    Err(_) => NAMES.map(|name| attributes.raw_cookie(name)),
                }))
            }
            ("/auth/logout", Removal::NameAndPath) => {
                let removal = |name| format!("{}{name}=; Path=/; Max-Age=0", attributes.prefix);
                Ok(with_cookies(NAMES.map(removal)))
            }
            ("/auth/logout", removal) => {
                let cookies = attributes.cookies().unwrap();
                let outcomes = Arc::clone(&self.outcomes);
                let mut logout = LogoutLayer::builder(self.store.clone())
                    .cookies(cookies.clone())
                    .on_outcome(move |outcome, _| outcomes.lock().unwrap().push(outcome.name()));
                if removal == Removal::Form {
                    let check = OriginCheck::new()
                        .add_trusted_origin(scenario.trusted)
                        .unwrap();
                    logout = logout.require_json(false).origin_check(check);
                }
                let endpoint = logout.build().unwrap().endpoint();
                Ok(endpoint.oneshot(request).await?.map(Body::new))
            }
            _ => Ok(Response::new("a page".into())),
        }
    }
}

fn with_cookies(cookies: [String; 2]) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    for cookie in cookies {
        response
            .headers_mut()
            .append(SET_COOKIE, cookie.parse().unwrap());
    }
    response
}

/// A browser, and one site that has several names, over https and http.
struct Site {
    chromium: Chromium,
    servers: Servers,
    https_port: u16,
    http_port: u16,
    forms: AtomicU64,
}

impl Site {
    /// `None` if no browser is installed.
    async fn start(third_party: ThirdPartyCookies) -> Option<Self> {
        let chromium = Chromium::start_with(third_party).await?;
        let servers = Servers::default();
        let answering = servers.clone();
        let service = CorsLayer::new()
            .allow_origin(AllowOrigin::mirror_request())
            .allow_headers([CONTENT_TYPE])
            .allow_credentials(true)
            .layer(service_fn(move |request| answering.clone().answer(request)));
        Some(Self {
            chromium,
            servers,
            https_port: serve_https(service.clone()).await.port(),
            http_port: serve(service).await.port(),
            forms: AtomicU64::new(0),
        })
    }

    fn https(&self, host: &str) -> String {
        format!("https://{host}:{}", self.https_port)
    }

    fn http(&self, host: &str) -> String {
        format!("http://{host}:{}", self.http_port)
    }

    fn ways(&self) -> Vec<Way> {
        let app = self.https("app.site-a.test");
        let other = self.https("app.site-b.test");
        let localhost = self.http("localhost");
        let plain = self.http("app.site-a.test");
        let form = |way| Way {
            logout: "form from there",
            removal: Removal::Form,
            ..way
        };
        let bodyless = |way| Way {
            logout: "fetch without a body from there",
            removal: Removal::Bodyless,
            ..way
        };
        let home = || Way::fetch("https", &app);
        let abroad = || Way {
            logout_page: other.clone(),
            ..home()
        };
        vec![
            home(),
            bodyless(home()),
            form(home()),
            Way {
                logout: "fetch from another origin of the site",
                logout_page: self.https("www.site-a.test"),
                ..home()
            },
            Way {
                logout: "fetch from another site, `SameSite=None`",
                among: |a| a.crosses_sites() && !a.partitioned,
                ..abroad()
            },
            Way {
                logout: "form on another, trusted site, `SameSite=None`",
                removal: Removal::Form,
                among: |a| a.crosses_sites() && !a.partitioned,
                ..abroad()
            },
            Way {
                login: "https, from another site, `SameSite=None`",
                login_page: other.clone(),
                among: Attributes::crosses_sites,
                ..abroad()
            },
            Way {
                among: |a| a.domain.is_none(),
                ..Way::fetch("http, `localhost`", &localhost)
            },
            Way {
                among: |a| !a.secure,
                ..Way::fetch("http", &plain)
            },
            Way {
                among: |a| !a.secure,
                ..bodyless(Way::fetch("http", &plain))
            },
            Way {
                among: |a| !a.secure,
                ..form(Way::fetch("http", &plain))
            },
            Way {
                logout: "fetch over http, `Secure`",
                logout_page: plain.clone(),
                logout_server: plain.clone(),
                among: |a| a.secure,
                impossible: Some("a browser sends and removes no `Secure` cookie over http"),
                ..home()
            },
            Way {
                logout: "fetch from another site, not `SameSite=None`",
                among: |a| !a.crosses_sites(),
                impossible: Some(
                    "a browser neither sends nor removes these cookies for another site",
                ),
                ..abroad()
            },
            Way {
                logout: "form on another, trusted site, `SameSite=Lax` or `Strict`, no name prefix",
                removal: Removal::Form,
                among: |a| a.prefix.is_empty() && a.stays_on_its_site(),
                impossible: Some(
                    "the cookies go, but are not sent: nothing says which session is to end",
                ),
                ..abroad()
            },
            Way {
                logout: "fetch from another site, `Partitioned`",
                among: |a| a.crosses_sites() && a.partitioned,
                impossible: Some("each site that a page is on has a partition of its own"),
                ..abroad()
            },
        ]
    }

    /// For a browser that blocks third-party cookies.
    fn ways_without_third_party_cookies(&self) -> Vec<Way> {
        let app = self.https("app.site-a.test");
        let other = self.https("app.site-b.test");
        vec![
            Way {
                login: "https, from another site, third-party cookies blocked, `Partitioned`",
                login_page: other.clone(),
                logout_page: other.clone(),
                among: |a| a.crosses_sites() && a.partitioned,
                ..Way::fetch("", &app)
            },
            Way {
                logout: "fetch from another site, third-party cookies blocked",
                logout_page: other,
                among: Attributes::crosses_sites,
                impossible: Some("third-party cookies are neither sent nor removed"),
                ..Way::fetch("https", &app)
            },
        ]
    }

    /// Tries all attributes of this way, and returns its row of the table.
    async fn try_all(&self, way: &Way) -> String {
        let login_page = self.chromium.open(&way.login_page).await;
        let logout_page = self.chromium.open(&way.logout_page).await;
        let compared = way.impossible.is_none() && way.removal == Removal::Json;
        let (mut combinations, mut set, mut left, mut alive, mut left_by_name) = (0, 0, 0, 0, 0);
        for attributes in Attributes::every_combination() {
            if attributes.cookies().is_err() || !(way.among)(attributes) {
                continue;
            }
            combinations += 1;
            let token = self.log_in(&login_page, way, attributes).await;
            set += self.chromium.cookies().await.len();
            self.log_out(&logout_page, way, way.removal).await;
            let held = self.chromium.cookie_names().await;
            let lives = is_live(&self.servers.store, &token).await;
            left += held.len();
            alive += usize::from(lives);
            let outcome = self.servers.outcomes.lock().unwrap().pop();
            let row = format!("{}: {held:?} of {attributes:?}", way.logout);
            if way.impossible.is_some() {
                assert_eq!(outcome, Some("no_token"), "{row}");
            } else {
                assert_eq!(outcome, Some("revoked"), "{row}");
                assert!(held.is_empty() && !lives, "{row}");
            }
            if compared {
                self.log_in(&login_page, way, attributes).await;
                self.log_out(&logout_page, way, Removal::NameAndPath).await;
                left_by_name += self.chromium.cookies().await.len();
            }
        }
        login_page.close().await.unwrap();
        logout_page.close().await.unwrap();
        let last = match way.impossible {
            Some(why) => why.to_owned(),
            None if compared => left_by_name.to_string(),
            None => "–".to_owned(),
        };
        let Way { login, logout, .. } = way;
        format!("| {login} | {logout} | {combinations} | {set} | {left} | {alive} | {last} |\n")
    }

    /// Logs in with cookies of these attributes, after the browser has dropped all cookies.
    async fn log_in(&self, page: &Page, way: &Way, attributes: Attributes) -> Token {
        self.chromium.clear_cookies().await;
        let token = open(&self.servers.store, "alice").await;
        *self.servers.scenario.lock().unwrap() = Some(Scenario {
            attributes,
            token: token.clone(),
            removal: Removal::Json,
            trusted: self.https("app.site-b.test"),
        });
        let login = format!(
            "fetch('{}/auth/login', {{ method: 'POST', credentials: 'include' }})
                .then(answer => answer.status)",
            way.login_server,
        );
        assert_eq!(run::<u16>(page, &login).await, 200);
        token
    }

    async fn log_out(&self, page: &Page, way: &Way, removal: Removal) {
        if let Some(scenario) = &mut *self.servers.scenario.lock().unwrap() {
            scenario.removal = removal;
        }
        let server = &way.logout_server;
        if removal == Removal::Form {
            // The page may show the answer to the last form.
            return_to(page, &way.logout_page).await;
            let id = self.forms.fetch_add(1, Ordering::Relaxed);
            let submit = format!(
                "{{
                    const form = document.createElement('form');
                    form.method = 'post';
                    form.action = '{server}/auth/logout?{id}';
                    document.documentElement.append(form);
                    form.submit();
                }}"
            );
            page.evaluate(submit).await.unwrap();
            let answered = "document.readyState === 'complete'
                && document.documentElement.textContent.includes('Logged out successfully')";
            wait_for(page, &format!("location.search === '?{id}' && {answered}")).await;
        } else {
            let headers = if removal == Removal::Bodyless {
                "{}"
            } else {
                "{ 'Content-Type': 'application/json' }"
            };
            let logout = format!(
                "fetch('{server}/auth/logout', {{
                    method: 'POST',
                    credentials: 'include',
                    headers: {headers},
                }}).then(answer => answer.status)"
            );
            assert_eq!(run::<u16>(page, &logout).await, 200);
        }
    }
}
