//! Reads the tokens from the cookies of a request.

use http::HeaderMap;
use http::header::COOKIE;
use memchr::memmem::Finder;

use super::bounds::Bounds;
use super::kind::TokenSourceKind;
use super::presented::{Presented, unquote};
use crate::cookies::CookieEncoding;
use crate::outcome::FailureKind;

/// How many cookies of a field the reader compares one by one. Most fields have fewer cookies. A long field
/// with few cookies has long values, and skipping a value costs less than searching it for the name.
const MAX_HOPS: usize = 8;
/// After how many false hits the reader stops searching for the rarest byte of the name and searches for
/// the whole name instead. A base64 value contains the byte every 64 bytes, so there the search for the
/// whole name is cheaper.
const MAX_MISSES: usize = 4;
/// How many signed or encrypted values the reader checks for each token of the limit. The check costs more
/// than the scan, so the number is bounded.
const TRIES_PER_TOKEN: usize = 4;

/// Reads the values of one cookie from all `Cookie` fields of a request.
///
/// - There can be several fields, because HTTP/2 splits cookies (RFC 9113 §8.2.3).
/// - There can be several values, because a browser sends the cookies of the host and of its parent
///   domains.
/// - The fields are scanned as bytes, so that another cookie in Latin-1 does not hide the token.
/// - White space around the name and the value is ignored.
/// - A quoted or percent-encoded value has several readings, because cookie jars differ. Each reading is
///   presented.
///
/// The scan is linear in the length of the fields.
pub(crate) struct CookieReader {
    name: Finder<'static>,
    /// The position of a byte of the name that is rare in most headers.
    rare: usize,
    encoding: CookieEncoding,
    kind: TokenSourceKind,
}

impl CookieReader {
    pub(crate) fn new(name: &str, encoding: CookieEncoding, kind: TokenSourceKind) -> Self {
        Self {
            name: Finder::new(name).into_owned(),
            rare: name
                .bytes()
                .position(|byte| !byte.is_ascii_lowercase())
                .unwrap_or(0),
            encoding,
            kind,
        }
    }

    pub(crate) fn read(&self, headers: &HeaderMap, bounds: &Bounds, found: &mut Presented) {
        if self.encoding.is_plain() {
            self.scan(headers, |value| {
                let max_len = bounds.cookie_len;
                let is_quoted = value.first() == Some(&b'"');
                if !is_quoted && memchr::memchr(b'%', value).is_none() {
                    found.add(self.kind, value, max_len, bounds);
                } else {
                    found.add_readings(self.kind, value, max_len, bounds);
                }
            });
        } else {
            self.read_sealed(headers, bounds, found);
        }
    }

    /// Not inlined, so that plain cookies do not pay for this code.
    #[inline(never)]
    fn read_sealed(&self, headers: &HeaderMap, bounds: &Bounds, found: &mut Presented) {
        let mut tries = bounds.tokens.saturating_mul(TRIES_PER_TOKEN);
        self.scan(headers, |value| {
            if unquote(value).is_empty() {
                return;
            }
            found.kinds.insert(self.kind);
            if value.len() > bounds.cookie_len {
                found.unread = Some(FailureKind::TokenTooLong);
            } else if tries == 0 {
                found.unread = Some(FailureKind::TooManyTokens);
            } else {
                tries -= 1;
                if let Some(token) = self.encoding.read(self.name.needle(), unquote(value)) {
                    found.add(self.kind, &token, bounds.cookie_len, bounds);
                }
            }
        });
    }

    fn scan(&self, headers: &HeaderMap, mut found: impl FnMut(&[u8])) {
        for field in headers.get_all(COOKIE) {
            if let Some(rest) = self.hop(field.as_bytes(), &mut found) {
                self.search(rest, &mut found);
            }
        }
    }

    /// Goes from `;` to `;` for up to `MAX_HOPS` cookies. Returns the rest of the field.
    fn hop<'f>(&self, mut field: &'f [u8], found: &mut impl FnMut(&[u8])) -> Option<&'f [u8]> {
        let name = self.name.needle();
        for _ in 0..MAX_HOPS {
            let end = memchr::memchr(b';', field);
            let rest = trim_start(field).strip_prefix(name);
            if let Some(value) = rest.and_then(|rest| trim_start(rest).strip_prefix(b"=")) {
                let len = end.map_or(value.len(), |end| value.len() + end - field.len());
                found(trim(&value[..len]));
            }
            field = &field[end? + 1..];
        }
        Some(field)
    }

    /// Finds the next occurrence of the name. The search for one byte is several times as fast as the
    /// search for the name, as long as most hits are the name.
    fn find(&self, field: &[u8], from: usize, misses: &mut usize) -> Option<usize> {
        let name = self.name.needle();
        let byte = *name.get(self.rare)?;
        let mut start = from;
        while *misses < MAX_MISSES {
            let rest = field.get(start + self.rare..)?;
            start += memchr::memchr(byte, rest)?;
            if field[start..].starts_with(name) {
                return Some(start);
            }
            *misses += 1;
            start += 1;
        }
        Some(start + self.name.find(&field[start..])?)
    }

    /// Goes from one occurrence of the name to the next.
    fn search(&self, field: &[u8], found: &mut impl FnMut(&[u8])) {
        let name = self.name.needle();
        let (mut from, mut misses) = (0, 0);
        while let Some(start) = self.find(field, from, &mut misses) {
            from = start + name.len();
            let begins_pair = matches!(trim_end(&field[..start]).last(), None | Some(b';'));
            if !begins_pair {
                continue;
            }
            if let Some(value) = trim_start(&field[from..]).strip_prefix(b"=") {
                let len = memchr::memchr(b';', value).unwrap_or(value.len());
                found(trim(&value[..len]));
                from = field.len() - value.len() + len;
            }
        }
    }
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim(bytes: &[u8]) -> &[u8] {
    trim_start(trim_end(bytes))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::token::Token;

    fn read(fields: &[&[u8]]) -> Presented {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field).unwrap());
        }
        let mut found = Presented::default();
        CookieReader::new(
            "refreshToken",
            CookieEncoding::plain(),
            TokenSourceKind::Cookie,
        )
        .read(&headers, &Bounds::default(), &mut found);
        found
    }

    fn exposed(found: &Presented) -> Vec<&str> {
        found.tokens.iter().map(Token::expose).collect()
    }

    /// The expected result, by the simple algorithm of RFC 6265 §5.4: split, trim, compare.
    fn reference(fields: &[Vec<u8>]) -> (Vec<String>, bool, Option<FailureKind>) {
        let trim = |bytes: &[u8]| -> Vec<u8> {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
            let end = bytes
                .iter()
                .rposition(|b| !blank(b))
                .map_or(start, |at| at + 1);
            bytes[start..end].to_vec()
        };
        let mut tokens: Vec<String> = Vec::new();
        let (mut presented, mut unread, mut values) = (false, None, 0);
        for field in fields {
            for pair in field.split(|&byte| byte == b';') {
                let Some(equals) = pair.iter().position(|&byte| byte == b'=') else {
                    continue;
                };
                if trim(&pair[..equals]) != b"refreshToken" {
                    continue;
                }
                let value = trim(&pair[equals + 1..]);
                if value.is_empty() || value == b"\"\"" {
                    continue;
                }
                presented = true;
                if value.len() > 4096 {
                    unread = Some(FailureKind::TokenTooLong);
                    continue;
                }
                let mut new: Vec<String> = Vec::new();
                for reading in readings(&value) {
                    if !tokens.contains(&reading) && !new.contains(&reading) {
                        new.push(reading);
                    }
                }
                if !new.is_empty() && values == 16 {
                    unread = Some(FailureKind::TooManyTokens);
                } else if !new.is_empty() {
                    values += 1;
                    tokens.extend(new);
                }
            }
        }
        tokens.sort();
        (tokens, presented, unread)
    }

    /// The readings of a value: unchanged, without quotes and percent-decoded, each as UTF-8 and as
    /// Latin-1.
    fn readings(value: &[u8]) -> Vec<String> {
        let mut bare = value.to_vec();
        if value.len() >= 2 && value[0] == b'"' && value[value.len() - 1] == b'"' {
            bare = value[1..value.len() - 1].to_vec();
        }
        let decoded = [value, &bare[..]].map(|quoted| {
            let (mut decoded, mut at) = (Vec::new(), 0);
            while at < quoted.len() {
                let digits = quoted.get(at + 1..at + 3).filter(|_| quoted[at] == b'%');
                let byte = digits.and_then(|digits| {
                    let digits = std::str::from_utf8(digits).ok()?;
                    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    is_hex.then(|| u8::from_str_radix(digits, 16).unwrap())
                });
                decoded.push(byte.unwrap_or(quoted[at]));
                at += if byte.is_some() { 3 } else { 1 };
            }
            decoded
        });
        let [one, other] = decoded;
        let all = [value.to_vec(), bare, one, other];
        let utf8 = all
            .iter()
            .filter_map(|bytes| String::from_utf8(bytes.clone()).ok());
        let latin1 = all
            .iter()
            .map(|bytes| bytes.iter().copied().map(char::from).collect());
        utf8.chain(latin1).collect()
    }

    fn arbitrary_field() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"refreshToken".to_vec()),
            2 => Just(b"refreshToken=".to_vec()),
            2 => Just(b"=".to_vec()),
            4 => Just(b";".to_vec()),
            2 => Just(b"; ".to_vec()),
            1 => Just(b" \t".to_vec()),
            2 => Just(b"\"".to_vec()),
            2 => Just(b"%".to_vec()),
            1 => Just(b"%2f".to_vec()),
            1 => Just(b"%FC".to_vec()),
            1 => Just("ü".as_bytes().to_vec()),
            2 => Just(b"T".repeat(40)),
            3 => proptest::collection::vec(
                prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff],
                0..80,
            ),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn the_scan_reads_what_the_plain_reading_reads(
            fields in proptest::collection::vec(arbitrary_field(), 0..4)
        ) {
            let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            let found = read(&slices);
            let (tokens, presented, unread) = reference(&fields);
            let mut seen = exposed(&found);
            seen.sort_unstable();
            prop_assert_eq!(seen, tokens);
            prop_assert_eq!(!found.kinds.is_empty(), presented);
            prop_assert_eq!(found.unread, unread);
        }
    }

    #[test]
    fn a_name_is_found_after_text_that_looks_like_a_part_of_it() {
        for name in ["refreshToken", "sid", "__Host-r", "S"] {
            for filler in name.chars() {
                let hops = "a=b; ".repeat(MAX_HOPS);
                let field = format!("{hops}x={}; {name}=t", String::from(filler).repeat(1000));
                let mut headers = HeaderMap::new();
                headers.append(COOKIE, field.parse().unwrap());
                let mut found = Presented::default();
                CookieReader::new(name, CookieEncoding::plain(), TokenSourceKind::Cookie).read(
                    &headers,
                    &Bounds::default(),
                    &mut found,
                );
                assert_eq!(exposed(&found), ["t"], "{field}");
            }
        }
    }

    #[test]
    fn every_distinct_value_is_read_up_to_the_bound() {
        let fields = |values: usize| {
            let pairs: Vec<_> = (0..values).map(|n| format!("refreshToken=t{n}")).collect();
            pairs.join("; ")
        };
        let found = read(&[fields(16).as_bytes(), b"refreshToken=t1"]);
        assert_eq!((found.tokens.len(), found.unread), (16, None));
        let found = read(&[fields(17).as_bytes()]);
        assert_eq!(found.tokens.len(), 16);
        assert_eq!(found.unread, Some(FailureKind::TooManyTokens));
    }

    #[test]
    fn a_value_counts_once_however_many_readings_it_has() {
        let pairs: Vec<_> = (0..16)
            .map(|n| format!("refreshToken=\"%C3%A9{n}\""))
            .collect();
        let found = read(&[pairs.join(";").as_bytes()]);
        assert_eq!(found.unread, None);
        assert!(exposed(&found).contains(&"\"%C3%A90\""));
        assert!(exposed(&found).contains(&"%C3%A915"));
        assert!(exposed(&found).contains(&"\u{e9}15"));
        assert!(exposed(&found).contains(&"\u{c3}\u{a9}15"));
    }

    #[test]
    fn a_cookie_over_the_bound_is_presented_but_not_read() {
        let field = |len| format!("refreshToken={}", "x".repeat(len));
        let found = read(&[field(4097).as_bytes()]);
        assert!(found.tokens.is_empty() && !found.kinds.is_empty());
        assert_eq!(found.unread, Some(FailureKind::TokenTooLong));
        let found = read(&[field(4096).as_bytes()]);
        assert_eq!((found.tokens.len(), found.unread), (1, None));
    }
}
