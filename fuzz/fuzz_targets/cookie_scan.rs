//! Whatever stands in the `Cookie` fields, the store gets the tokens of a plain reading: each once, the
//! first eight of at most 4096 bytes. The input is the fields, parted by line ends.

#![no_main]

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use http::{HeaderValue, Request};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;
use tower_logout::{LogoutLayer, Revocation, store_fn};

/// From `;` to `;`, without white space and one pair of quotes.
fn values(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        // Of ASCII's white space, a field can have no other than spaces and tabs.
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        let inner = value
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        (name == b"refreshToken").then_some(inner.unwrap_or(value))
    })
}

fn expected(fields: &[HeaderValue]) -> Vec<String> {
    let mut tokens = Vec::new();
    for value in fields.iter().flat_map(|field| values(field.as_bytes())) {
        let Ok(value) = String::from_utf8(value.to_vec()) else {
            continue;
        };
        if !value.is_empty() && value.len() <= 4096 && !tokens.contains(&value) {
            tokens.push(value);
        }
    }
    tokens.truncate(8);
    tokens
}

fuzz_target!(|data: &[u8]| {
    let fields: Vec<_> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|field| HeaderValue::from_bytes(field).ok())
        .collect();
    let mut request = Request::post("/auth/logout").header("content-type", "application/json");
    for field in &fields {
        request = request.header("cookie", field);
    }
    let request = request.body(Empty::<&[u8]>::new()).unwrap();

    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let layer = LogoutLayer::new(store_fn(move |token| {
        record.lock().unwrap().push(token.expose().to_owned());
        async { Ok(Revocation::NotFound) }
    }));
    let response = block_on(layer.endpoint().oneshot(request)).unwrap();
    assert_eq!(response.status(), 200);

    // They are revoked all at once.
    let (mut seen, mut expected) = (seen.lock().unwrap().clone(), expected(&fields));
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
});
