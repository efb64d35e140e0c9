//! The columns of an application's table: what they can hold, and how a value of theirs is told.

use super::dialect::{Dialect, Holds};
use super::driver::{Pool, Value};
use tower_logout::BoxError;

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type, in Postgres that which a domain is made of.
    pub(super) data_type: String,
    /// The character set and the collation, in MySQL.
    text: Option<(String, String)>,
    /// How many characters or bytes there are at most.
    pub(super) length: Option<usize>,
    pub(super) nullable: bool,
    kind: Kind,
    dialect: Dialect,
}

/// What a type's values are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// One of a few texts.
    Choice,
    Bytes,
    /// As many bytes as the type says.
    FixedBytes,
    Bits,
    /// What the database makes of a text.
    Value,
    /// What is equal to no text, or only to some.
    Other,
}

/// Table and schema → the columns: name, type, character set, collation, length, nullability. Without a
/// schema it is the connection's own.
const SQLITE: &str = "SELECT name, type, NULL, NULL, NULL, \
    CASE \"notnull\" WHEN 0 THEN 'YES' ELSE 'NO' END \
    FROM pragma_table_info(?) WHERE ? = '' AND ? = ''";

const POSTGRES: &str = "WITH RECURSIVE typed AS ( \
    SELECT attname, attnum, atttypid AS type, atttypmod AS modifier, attnotnull AS required \
    FROM pg_catalog.pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = \
    (SELECT to_regclass(coalesce(quote_ident(nullif(?, '')) || '.', '') || quote_ident(?))) \
    UNION ALL \
    SELECT attname, attnum, typbasetype, typtypmod, required OR typnotnull \
    FROM typed JOIN pg_catalog.pg_type ON pg_type.oid = typed.type WHERE typtype = 'd') \
    SELECT CAST(attname AS TEXT), quote_ident(nspname) || '.' || quote_ident(typname), \
    CAST(NULL AS TEXT), CAST(NULL AS TEXT), \
    CASE WHEN typname IN ('bpchar', 'varchar') AND modifier > 4 THEN CAST(modifier - 4 AS TEXT) END, \
    CASE WHEN required THEN 'NO' ELSE 'YES' END \
    FROM typed JOIN pg_catalog.pg_type ON pg_type.oid = typed.type \
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = typnamespace \
    WHERE typtype <> 'd' ORDER BY attnum";

const MYSQL: &str = "SELECT column_name, data_type, character_set_name, collation_name, \
    CAST(character_maximum_length AS CHAR), is_nullable \
    FROM information_schema.columns WHERE table_name = ? \
    AND table_schema = COALESCE(NULLIF(?, ''), DATABASE()) ORDER BY ordinal_position";

/// A table's columns. None where there is no such table.
pub(super) async fn columns(
    pool: &Pool,
    schema: &str,
    table: &str,
) -> Result<Vec<Column>, BoxError> {
    let dialect = pool.dialect();
    let (sql, values) = match dialect {
        Dialect::Sqlite => (SQLITE, vec![table, schema, schema]),
        Dialect::Postgres => (POSTGRES, vec![schema, table]),
        Dialect::MySql => (MYSQL, vec![table, schema]),
    };
    let values: Vec<_> = values.into_iter().map(Value::Text).collect();
    let rows = pool.fetch(&dialect.numbered(sql).into(), &values).await?;
    rows.iter()
        .map(|row| {
            let data_type = row.text(1)?;
            Ok(Column {
                name: row.text(0)?,
                text: row.text_or_null(2)?.zip(row.text_or_null(3)?),
                length: row.text_or_null(4)?.and_then(|length| length.parse().ok()),
                nullable: row.text(5)? == "YES",
                kind: Kind::of(dialect, &data_type),
                data_type,
                dialect,
            })
        })
        .collect()
}

/// The column of this name, as the database compares names.
pub(super) fn column<'c>(columns: &'c [Column], name: &str) -> Option<&'c Column> {
    let same = |column: &&Column| column.dialect.same_name(&column.name, name);
    columns.iter().find(same)
}

impl Kind {
    fn of(dialect: Dialect, data_type: &str) -> Self {
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
    /// Whether a value of this type can equal what it is compared with. One of another kind may never
    /// do so, without an error, and the logout would find nothing.
    pub(super) fn can_hold(&self, holds: Holds) -> bool {
        match holds {
            Holds::Bytes => matches!(self.kind, Kind::Bytes | Kind::FixedBytes),
            Holds::Text if self.dialect == Dialect::Postgres => self.kind == Kind::Text,
            Holds::Text => matches!(self.kind, Kind::Text | Kind::Bytes),
            Holds::Id => self.kind != Kind::Other,
        }
    }

    /// Whether what is this long fits.
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

    /// The column as text that no other value has. Bytes that are no text are their upper-case
    /// hexadecimal digits, and so are those of a UUID in MySQL's `BINARY(16)`, say.
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

    /// Whether the column is what [`as_text`](Self::as_text) has made the parameter of. The first
    /// comparison is that of the column's type, for its index, and takes more for the same than the
    /// second one.
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

    /// Whether the column is this token, in whatever form it is held. Neither case nor blanks behind it
    /// make two tokens one.
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

    /// The token as text: that of bytes is their hexadecimal digits.
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

    /// A parameter that the column is set to, or compared with beside its index.
    pub(super) fn written(&self, parameter: &str) -> String {
        if self.dialect == Dialect::Postgres {
            self.made_up(parameter)
        } else {
            parameter.to_owned()
        }
    }

    /// A parameter as a value of this column's type, whatever the type makes of it.
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
