//! Finds the values of a field in JSON and in forms.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::token::Token;

/// The values of the field in a form. `None` if a value is not UTF-8.
pub(super) fn form_tokens(field: &str, bytes: &[u8]) -> Option<Vec<Token>> {
    form_urlencoded::parse(bytes)
        .filter(|(name, _)| name == field)
        .map(|(_, value)| (!value.contains(char::REPLACEMENT_CHARACTER)).then(|| Token::new(value)))
        .collect()
}

/// The values of the field in a JSON object. `None` if the text is neither an object nor `null`, or a value is
/// neither text nor `null`.
pub(super) fn json_tokens(field: &str, bytes: &[u8]) -> Option<Vec<Token>> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let tokens = json.deserialize_any(Values { field }).ok()?;
    json.end().ok()?;
    Some(tokens)
}

/// Collects each value of the field, because parsers differ in which of several they take.
struct Values<'f> {
    field: &'f str,
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<Token>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with text in {:?}", self.field)
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<Token>, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Vec<Token>, A::Error> {
        let mut tokens = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            if name == self.field {
                if let Some(value) = object.next_value::<Option<String>>()? {
                    tokens.push(Token::new(Zeroizing::new(value).as_str()));
                }
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tokens: &[Token]) -> Vec<&str> {
        tokens.iter().map(Token::expose).collect()
    }

    fn json(text: &str) -> Option<Vec<Token>> {
        json_tokens("refresh_token", text.as_bytes())
    }

    #[test]
    fn each_value_of_the_field_is_a_token() {
        let rows: [(&str, &[&str]); 11] = [
            ("", &[]),
            (" \r\n", &[]),
            ("{}", &[]),
            ("null", &[]),
            ("{\"other\":{\"refresh_token\":\"a\"}}", &[]),
            ("{\"refresh_token\":null}", &[]),
            ("{\"refresh_token\":\"a\"}", &["a"]),
            (" {\"x\":[1,{}], \"refresh_token\" : \"a\" } ", &["a"]),
            (
                "{\"refresh_token\":\"a\",\"refresh_token\":\"b\"}",
                &["a", "b"],
            ),
            ("{\"refresh\\u005ftoken\":\"\\u0061\"}", &["a"]),
            ("{\"refresh_token\":\"\"}", &[""]),
        ];
        for (text, expected) in rows {
            assert_eq!(texts(&json(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_body_that_may_hold_a_token_and_cannot_be_read_is_malformed() {
        for text in [
            "{",
            "refresh_token=a",
            "5",
            "\"a\"",
            "[]",
            "[{\"refresh_token\":\"a\"}]",
            "{\"refresh_token\":5}",
            "{\"refresh_token\":[\"a\"]}",
            "{\"refresh_token\":\"a\"} trailing",
            "{\"refresh_token\":\"a\",}",
            "\u{1f}\u{8b}",
        ] {
            assert!(json(text).is_none(), "{text}");
        }
        assert!(json_tokens("refresh_token", b"{\"refresh_token\":\"\xff\"}").is_none());
    }

    #[test]
    fn each_field_of_a_form_with_the_name_is_a_token() {
        let form = |text: &str| {
            let tokens = form_tokens("refresh_token", text.as_bytes())?;
            Some(texts(&tokens).join("|"))
        };
        let fields = "a=b&refresh_token=x%2Fy+z&refresh%5Ftoken=w";
        assert_eq!(form(fields).unwrap(), "x/y z|w");
        assert_eq!(form("").unwrap(), "");
        // Decoded lossily, the text would be another token.
        assert!(form("refresh_token=%FF").is_none());
        assert!(form("a=%FF&refresh_token=x").is_some());
    }
}
