//! Whatever the query says, the browser is sent to the fixed page or to the one of the list that was
//! asked for. And what can be configured is a page of the same site, or one of another by its name, as
//! a browser reads it. The input is the query, and the page to configure.

#![no_main]

use futures::executor::block_on;
use http::{Request, Uri};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;
use tower_logout::reply::Redirect;
use tower_logout::{LogoutLayer, Revocation, store_fn};
use url::Url;

const LISTED: [&str; 3] = ["/bye", "/shop?a=b", "https://www.example.com/bye"];

fn assert_is_read_as_it_looks(target: &str) {
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic()));
    let base = Url::parse("https://own.example/auth/logout").unwrap();
    let Ok(url) = base.join(target) else {
        return;
    };
    if target.starts_with('/') {
        assert_eq!(url.origin(), base.origin(), "{target:?}");
    } else {
        let named = target.split("://").nth(1).unwrap();
        let named = named.split(['/', '?', '#']).next().unwrap();
        assert!(!named.contains(['@', '\\']), "{target:?}");
        assert!(matches!(url.scheme(), "http" | "https"), "{target:?}");
        assert!(url.username().is_empty() && url.password().is_none());
    }
}

fuzz_target!(|text: &str| {
    if Redirect::to(text).is_ok() {
        assert_is_read_as_it_looks(text);
    }

    let Ok(uri) = format!("/auth/logout?{text}").parse::<Uri>() else {
        return;
    };
    let asked: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter_map(|(name, value)| (name == "return_to").then(|| value.into_owned()))
        .collect();
    let expected = match &asked[..] {
        [one] if LISTED.contains(&&**one) => one,
        _ => "/fixed",
    };
    let redirect = Redirect::to("/fixed").unwrap();
    let redirect = redirect.with_return_to("return_to", LISTED).unwrap();
    let store = store_fn(|_| async { Ok(Revocation::NotFound) });
    let layer = LogoutLayer::builder(store).reply(redirect).build().unwrap();
    let request = Request::post(uri)
        .header("content-type", "application/json")
        .body(Empty::<&[u8]>::new())
        .unwrap();
    let response = block_on(layer.endpoint().oneshot(request)).unwrap();
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], *expected);
});
