//! Whatever stands in the `Cookie` fields, the store gets all readings of the values that a plain reading
//! finds, each once, and a logout that presents more than is looked at fails. The input is the fields, parted
//! by line ends.

#![no_main]

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use http::{HeaderValue, Request};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;
use tower_logout::{LogoutLayer, Revocation, store_fn};

/// From `;` to `;`, without white space.
fn values(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        // Of ASCII's white space, a field can have no other than spaces and tabs.
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        (name == b"refreshToken" && !value.is_empty() && value != b"\"\"").then_some(value)
    })
}

/// As it is, without its quotes, percent-decoded; as UTF-8 and as Latin-1.
fn readings(value: &[u8]) -> Vec<String> {
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value);
    let decode = |bytes| percent_encoding::percent_decode(bytes).collect::<Vec<u8>>();
    let all = [value.to_vec(), bare.to_vec(), decode(value), decode(bare)];
    let utf8 = all
        .iter()
        .filter_map(|bytes| String::from_utf8(bytes.clone()).ok());
    let latin1 = all
        .iter()
        .map(|bytes| bytes.iter().copied().map(char::from).collect());
    utf8.chain(latin1).collect()
}

/// The tokens, and whether they are all that is presented.
fn expected(fields: &[HeaderValue]) -> (Vec<String>, bool) {
    let (mut tokens, mut counted, mut complete) = (Vec::new(), 0, true);
    for value in fields.iter().flat_map(|field| values(field.as_bytes())) {
        if value.len() > 4096 {
            complete = false;
            continue;
        }
        let mut new: Vec<_> = readings(value);
        new.sort();
        new.dedup();
        new.retain(|token| !tokens.contains(token));
        if new.is_empty() {
            continue;
        }
        if counted == 16 {
            complete = false;
            continue;
        }
        counted += 1;
        tokens.extend(new);
    }
    (tokens, complete)
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
    let (mut expected, complete) = expected(&fields);
    assert_eq!(response.status(), if complete { 200 } else { 500 });

    // They are revoked all at once.
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
});
