//! The content type of a request.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

const JSON: &[u8] = b"application/json";
const GRPC: &[u8] = b"application/grpc";

#[inline]
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|value| {
        // Nearly every client sends exactly this text.
        value == JSON || essence(value).eq_ignore_ascii_case(JSON)
    })
}

/// Whether the content type is `application/grpc`, with or without a message format after a `+`. gRPC-Web
/// does not count, because its trailers are part of the body.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let split = content_type(headers).and_then(|value| essence(value).split_at_checked(GRPC.len()));
    split.is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+'))
    })
}

/// Whether the content type is that of a form with fields.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    is_url_encoded(headers)
        || content_type(headers)
            .is_some_and(|value| essence(value).eq_ignore_ascii_case(b"multipart/form-data"))
}

/// Whether the content type is that of a form whose fields are written as in a query.
pub(crate) fn is_url_encoded(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|value| {
        essence(value).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

/// Whether `Accept` names `text/html`, as a navigation of a browser does.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|field| {
        let mut ranges = field.as_bytes().split(|&byte| byte == b',');
        ranges.any(|range| essence(range).eq_ignore_ascii_case(b"text/html"))
    })
}

/// The value of `Content-Type`. With two values, none counts.
fn content_type(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// The value without its parameters (WHATWG MIME Sniffing §4.2). `text/plain; application/json` is
/// `text/plain`, which a cross-site request can have without a preflight.
fn essence(value: &[u8]) -> &[u8] {
    match memchr::memchr(b';', value) {
        Some(end) => &value[..end],
        None => value,
    }
    .trim_ascii()
}

#[cfg(test)]
pub(crate) mod tests {
    use http::HeaderValue;

    use super::*;

    pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_the_essence_of_a_single_content_type_counts() {
        for json in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            " application/json ;x",
        ] {
            assert!(is_json(&headers(&[("content-type", json)])), "{json}");
        }
        for other in [
            "",
            "text/plain; application/json",
            "text/plain;application/json",
            "application/jsonp",
            "application/x-www-form-urlencoded",
            "application/json, text/plain",
        ] {
            assert!(!is_json(&headers(&[("content-type", other)])), "{other}");
        }
        assert!(!is_json(&headers(&[])));
        assert!(!is_json(&headers(&[
            ("content-type", "application/json"),
            ("content-type", "text/plain"),
        ])));
    }

    #[test]
    fn only_grpc_counts_and_no_type_that_only_begins_like_it() {
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC; charset=utf-8",
        ] {
            assert!(is_grpc(&headers(&[("content-type", grpc)])), "{grpc}");
        }
        for other in [
            "",
            "application/json",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpcx",
            "text/plain; application/grpc",
        ] {
            assert!(!is_grpc(&headers(&[("content-type", other)])), "{other}");
        }
    }
}
