//! The kinds of places that hold tokens.

use std::fmt;

/// The kind of place where a request presented a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSourceKind {
    /// The refresh cookie.
    Cookie,
    /// The access cookie
    /// ([`access_token_too`](crate::builder::LogoutLayerBuilder::access_token_too)).
    AccessCookie,
    /// `Authorization: Bearer` ([`TokenSource::bearer`](super::TokenSource::bearer)).
    Bearer,
    /// A header ([`TokenSource::header`](super::TokenSource::header)).
    Header,
    /// gRPC metadata ([`TokenSource::metadata`](super::TokenSource::metadata)).
    Metadata,
    /// A closure ([`TokenSource::from_fn`](super::TokenSource::from_fn)).
    Custom,
    /// A field of the request body ([`BodyToken`](crate::body_token::BodyToken)).
    Body,
}

impl TokenSourceKind {
    const ALL: [Self; 7] = [
        Self::Cookie,
        Self::AccessCookie,
        Self::Bearer,
        Self::Header,
        Self::Metadata,
        Self::Custom,
        Self::Body,
    ];

    /// The name for logs and metrics: `"cookie"`, `"access_cookie"`, `"bearer"`, `"header"`, `"metadata"`,
    /// `"custom"` or `"body"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::AccessCookie => "access_cookie",
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::Metadata => "metadata",
            Self::Custom => "custom",
            Self::Body => "body",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`TokenSourceKind`]s.
///
/// `Display` joins the names with `+`, for example `cookie+bearer`. The empty set is `none`.
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
    /// Whether the set contains this kind.
    pub fn contains(self, kind: TokenSourceKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the kinds in the set.
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
