//! A browser is redirected only to a page of the list.

use http::{Request, StatusCode};
use http_body_util::Full;
use tower_logout::reply::Redirect;
use tower_logout::{LogoutLayer, MemoryStore};

use support::*;

const LISTED: [&str; 5] = [
    "/bye",
    "/shop?from=logout",
    "https://www.example.com/bye",
    "https://www.example.com:8443/",
    "https://app.example.com",
];

/// The redirect target of a logout with this query.
async fn sent_to(query: &str) -> String {
    let redirect = Redirect::to("/login").unwrap();
    let redirect = redirect.with_return_to("return_to", LISTED).unwrap();
    let layer = LogoutLayer::builder(MemoryStore::new())
        .reply(redirect)
        .build()
        .unwrap();
    let request = Request::post(format!("/auth/logout?{query}"))
        .header("content-type", "application/json")
        .body(Full::default())
        .unwrap();
    let answer = through(&layer, request).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.set_cookies().len(), 2);
    assert_eq!(answer.headers.get_all("location").iter().count(), 1);
    answer.headers["location"].to_str().unwrap().to_owned()
}

fn encoded(target: &str) -> String {
    form_urlencoded::byte_serialize(target.as_bytes()).collect()
}

#[tokio::test]
async fn a_listed_page_is_accepted_encoded_or_not() {
    for target in LISTED {
        assert_eq!(
            sent_to(&format!("return_to={}", encoded(target))).await,
            target
        );
        assert_eq!(sent_to(&format!("return_to={target}")).await, target);
        assert_eq!(sent_to(&format!("a=b&return_to={target}&c")).await, target);
    }
}

#[tokio::test]
async fn without_exactly_one_parameter_the_target_is_the_fixed_page() {
    for query in [
        "",
        "return_to",
        "return_to=",
        "Return_To=/bye",
        "return_to[]=/bye",
        "xreturn_to=/bye",
        "next=/bye",
        "return_to=/bye&return_to=/bye",
        "return_to=/bye&return_to=//evil.example",
        "return_to=//evil.example&return_to=/bye",
        "return_to=/bye&return%5fto=//evil.example",
        "return_to=/bye;return_to=//evil.example",
    ] {
        assert_eq!(sent_to(query).await, "/login", "{query}");
    }
}

/// Targets of known and possible attacks.
const HOSTILE: &[&str] = &[
    // Another host, in all forms that a browser reads.
    "https://evil.example",
    "https://evil.example/bye",
    "http://evil.example",
    "//evil.example",
    "//evil.example/bye",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "\\\\\\evil.example",
    "/\\/evil.example",
    "/bye//evil.example",
    "/bye/..//evil.example",
    "/./\\evil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    " //evil.example",
    "\u{0}//evil.example",
    "\u{b}//evil.example",
    "ht\ntps://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "https://evil.example\\@www.example.com/bye",
    // A listed host as a user name, a password, a label, a path, a query or a fragment.
    "https://www.example.com@evil.example/bye",
    "https://www.example.com:443@evil.example/bye",
    "https://www.example.com%2f@evil.example/bye",
    "https://www.example.com\\.evil.example/bye",
    "https://www.example.com.evil.example/bye",
    "https://evil.example/www.example.com/bye",
    "https://evil.example?https://www.example.com/bye",
    "https://evil.example#https://www.example.com/bye",
    "https://evilwww.example.com/bye",
    "https://www-example.com/bye",
    "https://wwwXexample.com/bye",
    "https://example.com/bye",
    "https://app.example.com.",
    "https://app.example.com/",
    "https://app.example.comevil.example",
    // Other spellings of a listed page.
    "https://www.example.com/bye/",
    "https://www.example.com/bye?",
    "https://www.example.com/bye#x",
    "https://www.example.com/bye/../admin",
    "https://www.example.com/BYE",
    "HTTPS://www.example.com/bye",
    "https://WWW.example.com/bye",
    "https://www.example.com:443/bye",
    "https://www.example.com:8444/",
    "https://www.example.com:8443",
    "https://user@www.example.com/bye",
    "http://www.example.com/bye",
    "wss://www.example.com/bye",
    "//www.example.com/bye",
    "www.example.com/bye",
    "bye",
    "/bye ",
    " /bye",
    "/bye\u{0}",
    "/bye/",
    "/bye?x",
    "/bye#",
    "/byebye",
    "/%62ye",
    "/shop?from=logout&x",
    // Look-alikes: Cyrillic, full width, ideographic full stop, invisible, right to left.
    "https://www.ex\u{430}mple.com/bye",
    "https://www\u{ff0e}example.com/bye",
    "https://www\u{3002}example\u{3002}com/bye",
    "https://www.example.com\u{2044}@evil.example/bye",
    "https://www.exa\u{200b}mple.com/bye",
    "https://www.example.com/\u{202e}eyb",
    "https://www.ex\u{e4}mple.com/bye",
    "https://[::ffff:7f00:1]/bye",
    "https://2130706433/bye",
    // Targets that are not a page.
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "javascript://www.example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://www.example.com/x",
    "about:blank",
    // Injected headers.
    "/bye\r\nSet-Cookie: refreshToken=x",
    "/bye\nLocation: https://evil.example",
    "/bye\r\n\r\n<script>alert(1)</script>",
    "https://www.example.com/bye\r\nX: y",
    "/bye\u{560a}\u{560d}X: y",
];

#[tokio::test]
async fn every_hostile_target_is_rejected() {
    assert!(HOSTILE.len() >= 60);
    for target in HOSTILE {
        let query = format!("return_to={}", encoded(target));
        assert_eq!(sent_to(&query).await, "/login", "{target:?}");
        // Encoded twice, against decoding twice.
        let query = format!("return_to={}", encoded(&encoded(target)));
        assert_eq!(sent_to(&query).await, "/login", "{target:?}, encoded twice");
        // Not encoded, if a request line can contain the target. Then `%`, `&` and `#` belong to the query,
        // so the rest may be a listed page, but no other page.
        let raw = format!("return_to={target}");
        if format!("/auth/logout?{raw}").parse::<http::Uri>().is_ok() {
            let sent_to = sent_to(&raw).await;
            let known = sent_to == "/login" || LISTED.contains(&&*sent_to);
            assert!(known, "{target:?}: {sent_to}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_are_rejected() {
    for value in [
        "%ff",
        "/bye%ff",
        "%2",
        "%",
        "/bye%",
        "%c0%af%c0%afevil.example",
    ] {
        let query = format!("return_to={value}");
        assert_eq!(sent_to(&query).await, "/login", "{value}");
    }
}
