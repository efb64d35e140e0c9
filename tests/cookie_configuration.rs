//! The builders reject cookies that a browser would drop or never send.

use cookie::{Cookie, CookieBuilder, SameSite};
use http::StatusCode;
use http_body_util::Full;
use tower_logout::{
    AuthCookies, ConfigError, LogoutLayer, MemoryStore, Outcome, TokenSource, cookie,
};

use support::*;

fn build(refresh: CookieBuilder<'static>) -> Result<AuthCookies, ConfigError> {
    AuthCookies::builder().refresh(refresh).build()
}

#[test]
fn a_name_prefix_whose_requirements_are_not_met_is_rejected() {
    let host = || Cookie::build("__Host-r").path("/").secure(true);
    assert!(build(host()).is_ok());
    let rejected = [
        (host().secure(false), "Secure"),
        (Cookie::build("__Host-r").path("/"), "Secure"),
        (host().domain("example.com"), "no Domain"),
        (host().path("/auth"), "Path=/"),
        (Cookie::build("__HOST-r").path("/"), "Secure"),
        (Cookie::build("__Secure-r").path("/"), "Secure"),
        (Cookie::build("__sEcUrE-r").path("/"), "Secure"),
        (Cookie::build("__Http-r").path("/").secure(true), "HttpOnly"),
        (
            Cookie::build("__Host-Http-r").path("/").secure(true),
            "HttpOnly",
        ),
        (Cookie::build("r").same_site(SameSite::None), "Secure"),
        (Cookie::build("r").partitioned(true), "Secure"),
    ];
    for (cookie, required) in rejected {
        let text = cookie.clone().build().to_string();
        match build(cookie) {
            Err(ConfigError::UnmetCookieRequirement { requires, .. }) => {
                assert_eq!(requires, required, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn names_paths_and_domains_that_a_browser_ignores_are_rejected() {
    for name in ["", "a b", "a;b", "a=b", "a\r\nb", "ä", "a,b", "a\"b"] {
        let result = build(Cookie::build(name));
        assert!(
            matches!(result, Err(ConfigError::InvalidCookieName { .. })),
            "{name:?}"
        );
    }
    let attributes = [
        Cookie::build("r").path("auth"),
        Cookie::build("r").path("/a;b"),
        Cookie::build("r").path("/a b"),
        Cookie::build("r").path("/\r\nSet-Cookie: x=y"),
        Cookie::build("r").path(format!("/{}", "x".repeat(1024))),
        Cookie::build("r").domain("exa mple.com"),
        Cookie::build("r").domain("example.com; Secure"),
        Cookie::build("r").domain("http://example.com"),
    ];
    for cookie in attributes {
        let result = build(cookie);
        assert!(
            matches!(result, Err(ConfigError::InvalidCookieAttribute { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn two_equal_names_and_one_removal_twice_are_rejected() {
    let duplicate = |result| matches!(result, Err(ConfigError::DuplicateCookie { .. }));
    assert!(duplicate(build(Cookie::build("accessToken").path("/auth"))));
    let twice = Cookie::build("refreshToken")
        .path("/")
        .domain("example.com");
    assert!(duplicate(
        AuthCookies::builder()
            .also_clear(twice.clone())
            .also_clear(twice)
            .build()
    ));
}

#[test]
fn a_refresh_cookie_that_never_reaches_the_logout_path_is_rejected() {
    let cookies = build(Cookie::build("refreshToken").path("/auth/refresh")).unwrap();
    let result = LogoutLayer::builder(MemoryStore::new())
        .cookies(cookies.clone())
        .build();
    assert!(matches!(result, Err(ConfigError::CookieNotSent { .. })));
    // The order of the setters does not matter.
    let layer = LogoutLayer::builder(MemoryStore::new())
        .cookies(cookies.clone())
        .path("/auth/refresh/logout")
        .build();
    assert!(layer.is_ok());
}

#[tokio::test]
async fn a_session_cookie_is_the_only_one_that_is_read_and_removed() {
    let (store, token) = store_with_session().await;
    let session = Cookie::build("id").path("/").http_only(true);
    let cookies = AuthCookies::session(session).unwrap();
    assert_eq!(
        cookies.refresh("7d1c").to_string(),
        "id=7d1c; HttpOnly; Path=/"
    );
    let layer = LogoutLayer::builder(store.clone())
        .cookies(cookies)
        .build()
        .unwrap();
    let request = logout().header("cookie", format!("id={}", token.expose()));
    let answer = through(&layer, request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let removal = "id=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly";
    assert_eq!(answer.set_cookies(), [removal]);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn without_cookies_none_is_read_and_none_is_removed() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .cookies(AuthCookies::none())
        .token_source(TokenSource::bearer())
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&token)).await;
    assert!(matches!(answer.outcome, Some(Outcome::NoToken)));
    assert!(answer.set_cookies().is_empty());

    let request = logout().header("authorization", format!("Bearer {}", token.expose()));
    let answer = through(&layer, request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.set_cookies().is_empty());
    assert!(!is_live(&store, &token).await);
}

#[test]
fn a_cookie_that_is_not_described_cannot_be_stored() {
    let session = AuthCookies::session(Cookie::build("id")).unwrap();
    for cookie in [session.access("a"), AuthCookies::none().refresh("r")] {
        assert_eq!(cookie.value(), "");
        assert_eq!(cookie.max_age(), Some(cookie::time::Duration::ZERO));
    }
}

#[test]
fn every_error_says_what_was_wrong_and_what_to_do() {
    let error = build(Cookie::build("__Host-r").path("/")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a browser would drop cookie \"__Host-r\": __Host- requires Secure"
    );
    // `unwrap` and `expect` print the `Debug` text.
    assert_eq!(format!("{error:?}"), error.to_string());
    let error = LogoutLayer::builder(MemoryStore::new())
        .path("logout?x")
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no request can have the path \"logout?x\": write it as on the request line, for example \
         \"/auth/logout\", without host, query or fragment"
    );
}

#[tokio::test]
async fn a_logout_removes_the_described_cookies_with_their_attributes() {
    let cookies = AuthCookies::builder()
        .access(
            Cookie::build("__Secure-a")
                .domain("example.com")
                .secure(true),
        )
        .refresh(
            Cookie::build("__Host-r")
                .path("/")
                .secure(true)
                .partitioned(true)
                .same_site(SameSite::None)
                .max_age(cookie::time::Duration::days(30)),
        )
        .also_clear(Cookie::build("sid").path("/old"))
        .build()
        .unwrap();
    assert_eq!(
        cookies.refresh("v").to_string(),
        "__Host-r=v; SameSite=None; Partitioned; Secure; Path=/; Max-Age=2592000"
    );
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .cookies(cookies.clone())
        .build()
        .unwrap();
    let request = logout()
        .header("cookie", format!("__Host-r={}", token.expose()))
        .body(TestBody::default())
        .unwrap();
    let answer = through(&layer, request).await;
    assert!(!is_live(&store, &token).await);
    let gone = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0";
    assert_eq!(
        answer.set_cookies(),
        [
            format!("__Secure-a=; Path=/; {gone}; Domain=example.com; Secure"),
            format!("__Host-r=; Path=/; {gone}; SameSite=None; Secure; Partitioned"),
            format!("sid=; Path=/old; {gone}"),
        ]
    );
}
