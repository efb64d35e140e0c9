//! A logout from another origin than its own and the trusted one never reaches the store, and every
//! other one does. The input is `Sec-Fetch-Site`, `Origin`, `Host` and the authority that HTTP/2 has
//! besides, parted by line ends; an empty line stands for none.

#![no_main]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::executor::block_on;
use http::{HeaderValue, Request, Uri};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;
use tower_logout::csrf::OriginCheck;
use tower_logout::reply::Redirect;
use tower_logout::{LogoutLayer, Revocation, store_fn};

const TRUSTED: &str = "https://app.example.com";

struct Asked<'a> {
    site: &'a [u8],
    origin: &'a [u8],
    host: &'a [u8],
    authority: &'a [u8],
}

impl<'a> Asked<'a> {
    /// `None` for what is no header's value, or no authority.
    fn read(data: &'a [u8]) -> Option<Self> {
        let mut lines = data.splitn(4, |byte| *byte == b'\n');
        let mut next = || lines.next().unwrap_or_default();
        let asked = Self {
            site: next(),
            origin: next(),
            host: next(),
            authority: next(),
        };
        let values = [asked.site, asked.origin, asked.host];
        let legal = values
            .iter()
            .all(|value| HeaderValue::from_bytes(value).is_ok());
        (legal && asked.uri().is_some()).then_some(asked)
    }

    fn uri(&self) -> Option<Uri> {
        if self.authority.is_empty() {
            return Some(Uri::from_static("/auth/logout"));
        }
        let builder = Uri::builder().scheme("http").authority(self.authority);
        builder.path_and_query("/auth/logout").build().ok()
    }

    fn request(&self, content_type: &str) -> Request<Empty<&'static [u8]>> {
        let mut request = Request::post(self.uri().unwrap())
            .header("content-type", content_type)
            .header("cookie", "refreshToken=t");
        let headers = [
            ("sec-fetch-site", self.site),
            ("origin", self.origin),
            ("host", self.host),
        ];
        for (name, value) in headers {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        request.body(Empty::new()).unwrap()
    }

    /// As one is that no browser has sent.
    fn is_silent(&self) -> bool {
        self.site.is_empty() && self.origin.is_empty()
    }

    fn is_from_here(&self) -> bool {
        let own = match (self.authority, self.host) {
            (b"", host) => host,
            (authority, _) => authority,
        };
        let own = [&b"http://"[..], b"https://"].map(|scheme| [scheme, own].concat());
        match self.site {
            b"same-origin" | b"none" => true,
            b"" => own.iter().any(|own| own == self.origin) && !self.has_no_host(),
            _ => false,
        }
    }

    fn has_no_host(&self) -> bool {
        self.authority.is_empty() && self.host.is_empty()
    }
}

fn assert_is_an_origin(text: &str) {
    let (scheme, host) = text.split_once("://").unwrap();
    let opaque = [
        "about",
        "blob",
        "data",
        "file",
        "ftp",
        "javascript",
        "ws",
        "wss",
    ];
    assert!(!opaque.contains(&scheme), "{text:?}");
    assert!(!host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', '*']));
    assert!(!text.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => ":",
    };
    assert!(!host.ends_with(default) && !host.ends_with(':'), "{text:?}");
}

fuzz_target!(|data: &[u8]| {
    let Some(asked) = Asked::read(data) else {
        return;
    };
    if let Ok(text) = str::from_utf8(asked.origin)
        && OriginCheck::new().add_trusted_origin(text).is_ok()
    {
        assert_is_an_origin(text);
    }

    let called = Arc::new(AtomicBool::new(false));
    let record = Arc::clone(&called);
    let store = store_fn(move |_| {
        record.store(true, Ordering::Relaxed);
        async { Ok(Revocation::NotFound) }
    });
    let layer = LogoutLayer::builder(store)
        .origin_check(OriginCheck::new().add_trusted_origin(TRUSTED).unwrap())
        .forms(Redirect::to("/").unwrap())
        .build()
        .unwrap();
    let proved = asked.is_from_here() || asked.origin == TRUSTED.as_bytes();
    // A form needs a proof, JSON only that nothing speaks against it.
    for (content_type, allowed) in [
        ("application/json", proved || asked.is_silent()),
        ("application/x-www-form-urlencoded", proved),
    ] {
        called.store(false, Ordering::Relaxed);
        let request = asked.request(content_type);
        let response = block_on(layer.endpoint().oneshot(request)).unwrap();
        assert_eq!(response.status(), if allowed { 200 } else { 403 });
        assert_eq!(called.load(Ordering::Relaxed), allowed);
        assert_eq!(response.headers().contains_key("set-cookie"), allowed);
    }
});
