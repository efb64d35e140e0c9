//! What a configuration can get wrong.

use std::fmt;

/// A configuration that could not keep the promise, refused when it is built.
///
/// Returned by [`AuthCookiesBuilder::build`](crate::AuthCookiesBuilder::build),
/// [`LogoutLayerBuilder::build`](crate::LogoutLayerBuilder::build),
/// [`OriginCheck::trust`](crate::OriginCheck::trust) and
/// [`Redirect`](crate::reply::Redirect). Its `Display` says what was wrong and what
/// to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The logout path is not one that a request line can hold.
    InvalidPath {
        /// The path as given.
        path: String,
    },
    /// Two logouts are described under the same path.
    DuplicatePath {
        /// The path they share.
        path: String,
    },
    /// A cookie's name is empty or holds a character that RFC 6265 §4.1.1 does not allow.
    InvalidCookieName {
        /// The name as given.
        name: String,
    },
    /// A cookie's `Path` or `Domain` is one that a browser would ignore.
    InvalidCookieAttribute {
        /// The cookie's name.
        name: String,
        /// `"Path"` or `"Domain"`.
        attribute: &'static str,
        /// The value as given.
        value: String,
    },
    /// A name prefix, `SameSite=None` or `Partitioned` demands what the cookie does not have, so
    /// that a browser would drop it when it is set, and its removal as well.
    UnmetCookieRequirement {
        /// The cookie's name.
        name: String,
        /// What makes the demand: `"__Host-"`, `"SameSite=None"`, …
        because: &'static str,
        /// What is demanded: `"Secure"`, `"Path=/"`, …
        requires: &'static str,
    },
    /// Two cookies are described under the same name, or one removal twice.
    DuplicateCookie {
        /// The name they share.
        name: String,
    },
    /// The refresh cookie's `Path` does not cover the logout path: no browser would send it there.
    RefreshCookieNotSent {
        /// The refresh cookie's name.
        name: String,
        /// Its `Path`.
        cookie_path: String,
        /// The logout path.
        logout_path: String,
    },
    /// The key of an HMAC is so short that it can be guessed.
    ShortKey {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The database has no such table, or shows it to somebody else.
    MissingTable {
        /// The table's name.
        table: String,
    },
    /// The table has no such column.
    MissingColumn {
        /// The table's name.
        table: String,
        /// The name that was looked for.
        column: String,
        /// The columns that there are.
        found: Vec<String>,
    },
    /// A column of the table is of a type that never equals what it is compared with.
    ColumnType {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// Its type.
        data_type: String,
        /// What it is to hold: `"bytes"`, `"text"` or `"text, whole numbers or bytes"`.
        wanted: &'static str,
    },
    /// A column of the table has no room for a digest, or more than it fills.
    ColumnLength {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// How many characters or bytes it has room for.
        length: usize,
        /// What it is to hold.
        wanted: &'static str,
    },
    /// A column of the table has values that are not equal to themselves after they were text, so that a
    /// session would not be found by its own id.
    UnequalColumn {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// The tokens in the table are of another format.
    OtherFormat {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// What it is to hold: `"64 lower-case hexadecimal digits"`, say.
        wanted: &'static str,
        /// What a row holds, in words.
        seen: String,
    },
    /// The rows of the table refer to each other in a way that lets none of them be deleted.
    RowsKeepEachOther {
        /// The table's name.
        table: String,
    },
    /// Row level security stands between the role that connects and the table's rows.
    RowSecurity {
        /// The table's name.
        table: String,
    },
    /// A token is to be read from a header that can hold none.
    InvalidTokenHeader {
        /// The header's name as given.
        name: String,
    },
    /// A token is to be read from gRPC metadata that can hold none.
    InvalidTokenMetadata {
        /// The key as given.
        key: String,
    },
    /// The target of a redirect is one that a browser might read as another.
    InvalidRedirect {
        /// The target as given.
        target: String,
    },
    /// A trusted origin is not one that a browser would send.
    InvalidOrigin {
        /// The origin as given.
        origin: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPath { path } => write!(
                f,
                "no request can have the path {path:?}: give it as on the request line, \
                 such as \"/auth/logout\", without host, query or fragment"
            ),
            Self::DuplicatePath { path } => write!(
                f,
                "two logouts have the path {path:?}: give each scope a path of its own"
            ),
            Self::InvalidCookieName { name } => write!(
                f,
                "no browser accepts a cookie named {name:?}: use letters, digits and \
                 !#$%&'*+-.^_`|~ only"
            ),
            Self::InvalidCookieAttribute {
                name,
                attribute,
                value,
            } => write!(
                f,
                "a browser would ignore {attribute}={value:?} of cookie {name:?}: a Path starts \
                 with '/', a Domain is a host name, both are ASCII of at most 1024 bytes without \
                 spaces, control characters or ';'"
            ),
            Self::UnmetCookieRequirement {
                name,
                because,
                requires,
            } => write!(
                f,
                "a browser would drop cookie {name:?}: {because} requires {requires}"
            ),
            Self::DuplicateCookie { name } => write!(
                f,
                "cookie {name:?} is described twice: give each cookie a name of its own, and each \
                 further removal another Path or Domain"
            ),
            Self::RefreshCookieNotSent {
                name,
                cookie_path,
                logout_path,
            } => write!(
                f,
                "no browser would send cookie {name:?} with Path={cookie_path} to {logout_path}: \
                 give it a Path that covers the logout path, or move the logout path below it"
            ),
            Self::ShortKey { bytes } => write!(
                f,
                "a key of {bytes} bytes can be guessed: give one of 16 random bytes at least"
            ),
            Self::MissingTable { .. }
            | Self::MissingColumn { .. }
            | Self::ColumnType { .. }
            | Self::ColumnLength { .. }
            | Self::UnequalColumn { .. }
            | Self::OtherFormat { .. }
            | Self::RowsKeepEachOther { .. }
            | Self::RowSecurity { .. } => self.fmt_of_table(f),
            Self::InvalidTokenHeader { name } => write!(
                f,
                "no token can be read from a header named {name:?}: give the name of a header that \
                 holds a token and nothing else, such as \"x-refresh-token\""
            ),
            Self::InvalidTokenMetadata { key } => write!(
                f,
                "no token can be read from gRPC metadata with the key {key:?}: give an ASCII key \
                 that neither ends in \"-bin\" nor begins with \"grpc-\", such as \
                 \"refresh-token\", or read it with token_fn"
            ),
            Self::InvalidRedirect { target } => write!(
                f,
                "a browser might read {target:?} as another page: give a path such as \"/login\", or \
                 an http or https URL without a user name, in ASCII without spaces and '\\\\'"
            ),
            Self::InvalidOrigin { origin } => write!(
                f,
                "no browser sends {origin:?} as an Origin: give scheme and host in lower case, \
                 and the port only where it is not the default, such as \
                 \"https://app.example.com\" or \"capacitor://localhost\"; international names in \
                 punycode"
            ),
        }
    }
}

impl ConfigError {
    /// What is wrong with a table of the application's.
    fn fmt_of_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTable { table } => write!(
                f,
                "the database has no table {table:?}: check its name, its schema and the rights of \
                 the user who connects"
            ),
            Self::MissingColumn {
                table,
                column,
                found,
            } => write!(
                f,
                "the table {table:?} has no column {column:?}: it has {}",
                found.join(", ")
            ),
            Self::ColumnType {
                table,
                column,
                data_type,
                wanted,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has the type {data_type:?}, and has to \
                 hold {wanted}: check the format of the tokens, and the columns' names"
            ),
            Self::ColumnLength {
                table,
                column,
                length,
                wanted,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has a length of {length}, and has to hold \
                 {wanted}: check the format of the tokens, or change the column's length"
            ),
            Self::UnequalColumn {
                table,
                column,
                data_type,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has the type {data_type:?}, and its values \
                 are not equal to themselves as text: give a column of text, whole numbers or UUIDs"
            ),
            Self::OtherFormat {
                table,
                column,
                wanted,
                seen,
            } => write!(
                f,
                "the column {column:?} of the table {table:?} has to hold {wanted}, and holds {seen}: give \
                 the TokenFormat that the application writes"
            ),
            Self::RowsKeepEachOther { table } => write!(
                f,
                "each row of the table {table:?} has to refer to another one, and MySQL deletes none that \
                 refers to itself: let the column that refers be NULL, or mark the rows with mark_ended"
            ),
            Self::RowSecurity { table } => write!(
                f,
                "row level security hides rows of the table {table:?}, or keeps them from being deleted: \
                 connect as a role that bypasses it, or say policies_allow_all() if its policies let the \
                 role see, change and delete all rows"
            ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}
