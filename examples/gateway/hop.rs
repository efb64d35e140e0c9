//! What ends at this hop, and what this hop says of itself.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, COOKIE, FORWARDED, HOST, HeaderName, LOCATION,
    ORIGIN, SET_COOKIE, TE, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use tower_logout::BoxError;

/// Drops what is meant for one connection alone (RFC 9110 §7.6.1), but for an upgrade to WebSocket.
///
/// `h2c` is not upgraded to: what is said in it would pass by the layer.
pub(crate) fn end_of_hop(headers: &mut HeaderMap, websocket: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !is_for_everybody(name))
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
    // gRPC asks for trailers by it, and so may every hop.
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// Whether a `Connection` field may not name it. A client that names its cookie has no less of it:
/// else its logout would end nothing, and the upstream would take somebody for nobody.
fn is_for_everybody(name: &HeaderName) -> bool {
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

/// Says who asked for what, in place of all that the client says of it.
pub(crate) fn forwarded(
    headers: &mut HeaderMap,
    client: IpAddr,
    host: HeaderValue,
) -> Result<(), BoxError> {
    let theirs: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in theirs {
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
