//! A token as a table holds it.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use tower_logout::Token;

use super::column::Holds;
use crate::pool::Value;

/// The token of a row, as text. Bytes are written as hexadecimal digits.
#[derive(Clone, Debug)]
pub(super) struct Held(Token);

/// The token of a row, as a value of its column.
pub(super) enum HeldValue<'h> {
    Text(&'h str),
    Bytes(Vec<u8>),
}

impl Held {
    pub(super) fn new(text: String) -> Self {
        Self(Token::new(text))
    }

    pub(super) fn value(&self, holds: Holds) -> HeldValue<'_> {
        let text = self.0.expose();
        if holds != Holds::Bytes {
            return HeldValue::Text(text);
        }
        let byte = |pair| {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            u8::from_str_radix(pair, 16).unwrap_or_default()
        };
        HeldValue::Bytes(text.as_bytes().chunks(2).map(byte).collect())
    }
}

impl HeldValue<'_> {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.expose().cmp(other.0.expose())
    }
}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.expose().hash(state);
    }
}
