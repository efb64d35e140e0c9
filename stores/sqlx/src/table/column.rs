//! A column: which values it can hold, and how SQL compares them.

use crate::dialect::Dialect;
use crate::digest::TokenDigest;
use crate::encoding::Encoding;

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type, in Postgres the type behind a domain.
    pub(super) data_type: String,
    /// The character set and the collation, in MySQL.
    pub(super) text: Option<(String, String)>,
    /// The maximum number of characters or bytes.
    pub(super) length: Option<usize>,
    pub(super) nullable: bool,
    pub(super) kind: Kind,
    pub(super) dialect: Dialect,
}

/// The values that a column has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Bytes,
    Text,
    /// The id of a session or a subject.
    Id,
}

impl Holds {
    pub(super) fn of_digest(digest: &TokenDigest) -> Self {
        if digest.encoding() == Some(Encoding::Bytes) {
            Self::Bytes
        } else {
            Self::Text
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Text => "text",
            Self::Id => "text, whole numbers or bytes",
        }
    }
}

/// How the values of a type are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// One of a few texts.
    Choice,
    Bytes,
    /// A fixed number of bytes.
    FixedBytes,
    Bits,
    /// Values that the database makes from a text.
    Value,
    /// Values that equal no text, or only some texts.
    Other,
}

impl Kind {
    pub(super) fn of(dialect: Dialect, data_type: &str) -> Self {
        let name = data_type.to_ascii_lowercase();
        match dialect {
            Dialect::Sqlite => Self::of_sqlite(&name),
            Dialect::Postgres => match &*name.replace('"', "") {
                "pg_catalog.text" | "pg_catalog.varchar" | "pg_catalog.bpchar" => Self::Text,
                name if name.ends_with(".citext") => Self::Text,
                "pg_catalog.bytea" => Self::Bytes,
                _ => Self::Value,
            },
            Dialect::MySql => Self::of_mysql(&name),
        }
    }

    /// The affinity of a type (<https://sqlite.org/datatype3.html#determination_of_column_affinity>).
    fn of_sqlite(name: &str) -> Self {
        let is = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if is(&["int"]) {
            Self::Value
        } else if is(&["char", "clob", "text"]) {
            Self::Text
        } else if is(&["blob"]) || name.is_empty() {
            Self::Bytes
        } else if is(&["real", "floa", "doub"]) {
            Self::Other
        } else {
            Self::Value
        }
    }

    fn of_mysql(name: &str) -> Self {
        match name {
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Self::Text,
            "enum" | "set" => Self::Choice,
            "binary" => Self::FixedBytes,
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Bytes,
            "bit" => Self::Bits,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "date"
            | "datetime" | "timestamp" | "time" | "year" | "uuid" | "inet4" | "inet6" => {
                Self::Value
            }
            _ => Self::Other,
        }
    }
}

impl Column {
    /// Whether a value of this type can equal the value that it is compared with. Values of other types may
    /// never be equal, without an error, and the logout would find nothing.
    pub(super) fn can_hold(&self, holds: Holds) -> bool {
        match holds {
            Holds::Bytes => matches!(self.kind, Kind::Bytes | Kind::FixedBytes),
            Holds::Text if self.dialect == Dialect::Postgres => self.kind == Kind::Text,
            Holds::Text => matches!(self.kind, Kind::Text | Kind::Bytes),
            Holds::Id => self.kind != Kind::Other,
        }
    }

    /// Whether a value of this length fits.
    pub(super) fn has_room_for(&self, length: usize) -> bool {
        match self.length {
            Some(room) if self.kind == Kind::FixedBytes => room == length,
            Some(room) => room >= length,
            None => true,
        }
    }

    fn quoted(&self) -> String {
        self.dialect.quote(&self.name)
    }

    /// The value as text, unlike the text of each other value. Bytes that are no text are written as
    /// upper-case hexadecimal digits, for example a UUID in MySQL's `BINARY(16)`.
    pub(super) fn as_text(&self) -> String {
        let name = self.quoted();
        match (self.dialect, self.kind) {
            (Dialect::Postgres, _) => format!("CAST({name} AS TEXT)"),
            (Dialect::Sqlite, _) => format!(
                "CASE typeof({name}) WHEN 'blob' THEN hex({name}) \
                 WHEN 'real' THEN printf('%!.17g', {name}) ELSE CAST({name} AS TEXT) END"
            ),
            (Dialect::MySql, Kind::Text | Kind::Choice) => format!("CONVERT({name} USING utf8mb4)"),
            (Dialect::MySql, Kind::FixedBytes) => format!("HEX({name})"),
            (Dialect::MySql, Kind::Bytes) => format!(
                "CASE WHEN CAST(CONVERT({name} USING utf8mb4) AS BINARY) = {name} \
                 THEN CONVERT({name} USING utf8mb4) ELSE HEX({name}) END"
            ),
            (Dialect::MySql, Kind::Bits) => format!("CAST({name} + 0 AS CHAR)"),
            (Dialect::MySql, Kind::Value | Kind::Other) => format!("CAST({name} AS CHAR)"),
        }
    }

    /// Whether the column holds the value that [`as_text`](Self::as_text) made the parameter from. The first
    /// comparison is in the column's type, for the sake of its index. It takes more values for equal than the
    /// second comparison does.
    pub(super) fn is_id(&self, parameter: &str) -> String {
        let name = self.quoted();
        let same = match (self.dialect, self.kind) {
            (Dialect::Postgres, _) => {
                return format!(
                    "{name} = CAST(CAST({parameter} AS TEXT) AS {})",
                    self.data_type
                );
            }
            (Dialect::Sqlite, _) => {
                return format!(
                    "({name} IN ({parameter}, CAST({parameter} AS NUMERIC), unhex({parameter})) \
                     AND {} = {parameter} COLLATE BINARY)",
                    self.as_text()
                );
            }
            (Dialect::MySql, Kind::FixedBytes) => return format!("{name} = UNHEX({parameter})"),
            (Dialect::MySql, Kind::Text | Kind::Choice) => {
                format!("{name} = {}", self.in_its_character_set(parameter))
            }
            (Dialect::MySql, Kind::Bytes) => {
                format!("{name} IN (CAST({parameter} AS BINARY), UNHEX({parameter}))")
            }
            (Dialect::MySql, Kind::Bits) => format!("{name} = CAST({parameter} AS UNSIGNED)"),
            (Dialect::MySql, Kind::Value | Kind::Other) => format!("{name} = {parameter}"),
        };
        format!(
            "({same} AND CAST({} AS BINARY) = CAST(CONVERT({parameter} USING utf8mb4) AS BINARY))",
            self.as_text()
        )
    }

    /// MySQL would convert the column instead, and use no index.
    fn in_its_character_set(&self, parameter: &str) -> String {
        match &self.text {
            Some((set, collation)) => {
                format!("CONVERT({parameter} USING {set}) COLLATE {collation}")
            }
            None => parameter.to_owned(),
        }
    }

    /// Whether the column holds this token. Tokens that differ in case, or in blanks at the end, are
    /// different.
    pub(super) fn is_token(&self, holds: Holds, parameter: &str) -> String {
        let name = self.quoted();
        match (self.dialect, holds) {
            (_, Holds::Bytes) => format!("{name} = {parameter}"),
            (Dialect::Postgres, _) => format!(
                "({name} = CAST({parameter} AS {}) \
                 AND CAST({name} AS TEXT) COLLATE \"C\" = {parameter})",
                self.data_type
            ),
            (Dialect::Sqlite, _) => format!(
                "({name} IN ({parameter}, CAST({parameter} AS BLOB)) \
                 AND CAST({name} AS TEXT) = {parameter} COLLATE BINARY)"
            ),
            (Dialect::MySql, _) if self.kind == Kind::Bytes => {
                format!("{name} = CAST({parameter} AS BINARY)")
            }
            (Dialect::MySql, _) => self.is_id(parameter),
        }
    }

    /// The token as text. Bytes are written as hexadecimal digits.
    pub(super) fn token_as_text(&self, holds: Holds) -> String {
        let name = self.quoted();
        match (self.dialect, holds) {
            (Dialect::Postgres, Holds::Bytes) => format!("encode({name}, 'hex')"),
            (_, Holds::Bytes) => format!("HEX({name})"),
            (Dialect::Sqlite, _) => format!("CAST({name} AS TEXT)"),
            (Dialect::MySql, _) => format!("CONVERT({name} USING utf8mb4)"),
            (Dialect::Postgres, _) => self.as_text(),
        }
    }

    /// A parameter that the column is set to, or compared with without its index.
    pub(super) fn written(&self, parameter: &str) -> String {
        if self.dialect == Dialect::Postgres {
            self.made_up(parameter)
        } else {
            parameter.to_owned()
        }
    }

    /// A parameter, converted to the type of the column.
    pub(super) fn made_up(&self, parameter: &str) -> String {
        let of = |data_type: &str| format!("CAST({parameter} AS {data_type})");
        match (self.dialect, self.kind) {
            (Dialect::Postgres, _) => {
                format!("CAST(CAST({parameter} AS TEXT) AS {})", self.data_type)
            }
            (Dialect::Sqlite, Kind::Text) => of("TEXT"),
            (Dialect::Sqlite, Kind::Bytes) => of("BLOB"),
            (Dialect::Sqlite, _) => of("NUMERIC"),
            (Dialect::MySql, Kind::Text | Kind::Choice) => self.in_its_character_set(parameter),
            (Dialect::MySql, Kind::FixedBytes | Kind::Bytes) => of("BINARY"),
            (Dialect::MySql, Kind::Bits) => of("UNSIGNED"),
            (Dialect::MySql, _) => of(match &*self.data_type {
                "decimal" => "DECIMAL(65, 10)",
                "datetime" | "timestamp" => "DATETIME(6)",
                "time" => "TIME(6)",
                kind @ ("date" | "uuid" | "inet4" | "inet6") => kind,
                _ => "SIGNED",
            }),
        }
    }
}
