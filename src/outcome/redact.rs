//! Removes the tokens of the request from an error text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::token::Token;

/// Limits how much text a request can cause in a log.
const MAX_DETAIL_LEN: usize = 1024;
/// A shorter token is no secret.
const MIN_SECRET_LEN: usize = 8;
/// The characters that a URL does not encode (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Redacts the tokens in one pass, the longest first. A token that the client chose must not uncover a part
/// of another token, and a replacement is not searched again.
pub(super) fn redact(detail: &str, tokens: &[Token]) -> String {
    let mut secrets: Vec<_> = tokens
        .iter()
        .filter(|token| token.expose().len() >= MIN_SECRET_LEN)
        .flat_map(spellings)
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut redacted = String::new();
    let mut rest = detail;
    while let Some(next) = rest.chars().next() {
        if redacted.len() > MAX_DETAIL_LEN {
            redacted.push('…');
            break;
        }
        let secret = secrets
            .iter()
            .find_map(|secret| rest.strip_prefix(secret.as_str()));
        if let Some(after) = secret {
            redacted.push_str("[redacted]");
            rest = after;
        } else {
            if next.is_control() {
                redacted.extend(next.escape_default());
            } else {
                redacted.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    redacted
}

/// The forms of a token that an error may contain.
fn spellings(token: &Token) -> impl Iterator<Item = Zeroizing<String>> {
    let token = token.expose();
    let hex = |digits: fn(u8) -> String| token.bytes().map(digits).collect::<String>();
    let encoded = |reserved, digits: fn(&str) -> String| -> String {
        utf8_percent_encode(token, reserved)
            .map(|piece| {
                if piece.starts_with('%') {
                    digits(piece)
                } else {
                    piece.to_owned()
                }
            })
            .collect()
    };
    [
        token.to_owned(),
        token.escape_debug().to_string(),
        token.escape_default().to_string(),
        encoded(NON_ALPHANUMERIC, str::to_ascii_uppercase),
        encoded(NON_ALPHANUMERIC, str::to_ascii_lowercase),
        encoded(UNRESERVED, str::to_ascii_uppercase),
        encoded(UNRESERVED, str::to_ascii_lowercase),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("{byte:02X}")),
    ]
    .into_iter()
    .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(detail: &str, tokens: &[&str]) -> String {
        let tokens: Vec<_> = tokens.iter().map(|&token| Token::new(token)).collect();
        redact(detail, &tokens)
    }

    #[test]
    fn a_token_is_cut_out_however_it_is_spelt() {
        let token = "to\"ken+/\u{e9}=";
        let hex = "746f226b656e2b2fc3a93d";
        let spelt = [
            token.to_owned(),
            format!("{token:?}").trim_matches('"').to_owned(),
            "to%22ken%2B%2F%C3%A9%3D".to_owned(),
            "to%22ken%2b%2f%c3%a9%3d".to_owned(),
            hex.to_uppercase(),
            hex.to_owned(),
        ];
        for spelling in spelt {
            let detail = format!("no row for '{spelling}'");
            assert_eq!(redacted(&detail, &[token]), "no row for '[redacted]'");
        }
    }

    #[test]
    fn a_token_that_begins_another_uncovers_nothing_of_it() {
        for tokens in [["abcdefgh", "abcdefghijk"], ["abcdefghijk", "abcdefgh"]] {
            assert_eq!(redacted("no abcdefghijk", &tokens), "no [redacted]");
        }
        assert_eq!(
            redacted("no abcdefgh", &["abcdefgh", "[redacted]"]),
            "no [redacted]"
        );
    }

    #[test]
    fn short_tokens_are_cut_out_of_no_word_and_do_not_blow_up_the_log() {
        assert_eq!(redacted("no session", &["session", "no"]), "no session");
        let detail = "e".repeat(1_000_000);
        assert!(redacted(&detail, &["e"]).len() < 1100);
        assert!(redacted(&detail, &["eeeeeeee"]).len() < 1100);
    }

    #[test]
    fn an_error_is_one_line_of_a_log() {
        assert_eq!(
            redacted("no\r\nlogout outcome=revoked\u{1b}[2J", &[]),
            r"no\r\nlogout outcome=revoked\u{1b}[2J"
        );
    }
}
