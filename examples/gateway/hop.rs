//! The headers that end at this hop, and the headers that this hop adds.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, COOKIE, FORWARDED, HOST, HeaderName, LOCATION,
    ORIGIN, SET_COOKIE, TE, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use tower_logout::BoxError;

/// Removes the headers that concern only one connection (RFC 9110 §7.6.1), except for an upgrade to
/// WebSocket.
///
/// There is no upgrade to `h2c`, because its requests would bypass the layer.
pub(crate) fn end_of_hop(headers: &mut HeaderMap, websocket: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "connection",
    ] {
        headers.remove(name);
    }
    // gRPC requests trailers by `TE`, and each hop may do so.
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// Whether a header stays even if the `Connection` header names it. A client that names `Cookie` there
/// keeps its cookies. Otherwise its logout would end nothing, and the upstream would treat a user who is
/// logged in as anonymous.
fn is_end_to_end(name: &HeaderName) -> bool {
    [
        AUTHORIZATION,
        CACHE_CONTROL,
        COOKIE,
        HOST,
        LOCATION,
        ORIGIN,
        SET_COOKIE,
    ]
    .contains(name)
        || name.as_str().starts_with("content-")
        || name.as_str().starts_with("sec-")
}

pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).map_or(&b""[..], HeaderValue::as_bytes);
    upgrade.eq_ignore_ascii_case(b"websocket")
}

/// Sets the forwarding headers, and replaces those of the client.
pub(crate) fn forwarded(
    headers: &mut HeaderMap,
    client: IpAddr,
    host: HeaderValue,
) -> Result<(), BoxError> {
    let of_client: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in of_client {
        headers.remove(name);
    }
    headers.remove(FORWARDED);
    headers.remove("x-real-ip");
    headers.insert("x-forwarded-for", client.to_string().parse()?);
    headers.insert("x-forwarded-host", host.clone());
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.insert(HOST, host);
    Ok(())
}
