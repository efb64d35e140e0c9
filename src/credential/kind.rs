//! The kinds of place that a token is read from.

use std::fmt;

/// Where a request had a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum CredentialKind {
    /// In the refresh cookie.
    Cookie = 1 << 0,
    /// In `Authorization: Bearer` ([`bearer`](crate::LogoutLayerBuilder::bearer)).
    Bearer = 1 << 1,
    /// In a named header ([`token_header`](crate::LogoutLayerBuilder::token_header)).
    Header = 1 << 2,
    /// In gRPC metadata ([`token_metadata`](crate::LogoutLayerBuilder::token_metadata)).
    Metadata = 1 << 3,
    /// Where a closure found it ([`token_fn`](crate::LogoutLayerBuilder::token_fn)).
    Custom = 1 << 4,
}

impl CredentialKind {
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
        self as u8
    }
}

/// A set of [`CredentialKind`]s. `Display` joins their names: `"cookie+bearer"`, or `"none"`.
///
/// ```
/// use tower_logout::{CredentialKind, CredentialKinds};
///
/// let kinds: CredentialKinds = [CredentialKind::Bearer, CredentialKind::Cookie].into_iter().collect();
/// assert!(kinds.contains(CredentialKind::Cookie));
/// assert_eq!(kinds.to_string(), "cookie+bearer");
/// assert_eq!(CredentialKinds::default().to_string(), "none");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CredentialKinds(u8);

impl CredentialKinds {
    /// Whether this kind is among them.
    pub fn contains(self, kind: CredentialKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them once.
    pub fn iter(self) -> impl Iterator<Item = CredentialKind> {
        CredentialKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }

    pub(crate) fn insert(&mut self, kind: CredentialKind) {
        self.0 |= kind.bit();
    }
}

impl FromIterator<CredentialKind> for CredentialKinds {
    fn from_iter<I: IntoIterator<Item = CredentialKind>>(kinds: I) -> Self {
        let mut set = Self::default();
        for kind in kinds {
            set.insert(kind);
        }
        set
    }
}

impl fmt::Debug for CredentialKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for CredentialKinds {
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
