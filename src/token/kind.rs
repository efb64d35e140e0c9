//! The kinds of place that a token is read from.

use std::fmt;

/// Where a request had a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSourceKind {
    /// In the refresh cookie.
    Cookie,
    /// In `Authorization: Bearer` ([`TokenSource::bearer`](super::TokenSource::bearer)).
    Bearer,
    /// In a named header ([`TokenSource::header`](super::TokenSource::header)).
    Header,
    /// In gRPC metadata ([`TokenSource::metadata`](super::TokenSource::metadata)).
    Metadata,
    /// Where a closure found it ([`TokenSource::from_fn`](super::TokenSource::from_fn)).
    Custom,
}

impl TokenSourceKind {
    const ALL: [Self; 5] = [
        Self::Cookie,
        Self::Bearer,
        Self::Header,
        Self::Metadata,
        Self::Custom,
    ];

    /// A name for logs and metrics: `"cookie"`, `"bearer"`, `"header"`, `"metadata"` or `"custom"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::Metadata => "metadata",
            Self::Custom => "custom",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`TokenSourceKind`]s. `Display` joins their names: `"cookie+bearer"`, or `"none"`.
///
/// ```
/// use tower_logout::token::{TokenSourceKind, TokenSourceKinds};
///
/// let kinds: TokenSourceKinds = [TokenSourceKind::Bearer, TokenSourceKind::Cookie].into_iter().collect();
/// assert!(kinds.contains(TokenSourceKind::Cookie));
/// assert_eq!(kinds.to_string(), "cookie+bearer");
/// assert_eq!(TokenSourceKinds::default().to_string(), "none");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TokenSourceKinds(u8);

impl TokenSourceKinds {
    /// Whether this kind is among them.
    pub fn contains(self, kind: TokenSourceKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them once.
    pub fn iter(self) -> impl Iterator<Item = TokenSourceKind> {
        TokenSourceKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }

    pub(crate) fn insert(&mut self, kind: TokenSourceKind) {
        self.0 |= kind.bit();
    }
}

impl FromIterator<TokenSourceKind> for TokenSourceKinds {
    fn from_iter<I: IntoIterator<Item = TokenSourceKind>>(kinds: I) -> Self {
        let mut set = Self::default();
        for kind in kinds {
            set.insert(kind);
        }
        set
    }
}

impl fmt::Debug for TokenSourceKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for TokenSourceKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, kind) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("+")?;
            }
            f.write_str(kind.name())?;
        }
        Ok(())
    }
}
