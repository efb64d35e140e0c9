//! A column of an application's table is of any type: each is either refused when the store connects,
//! or a logout ends what it should. None is a 200 with something left.

use sqlx::AssertSqlSafe;
use tower_logout::require::SessionLookup;
use tower_logout::store::SessionId;
use tower_logout::{LogoutLayer, Revocation, Scope, Token, TokenStore};
use tower_logout_sqlx::{TableError, TableStore, TokenDigest, WithSubjects};

use e2e::own_table::{Database, run};
use support::*;

/// A type of a column, and two values of it that are not the same.
struct Type {
    name: &'static str,
    one: &'static str,
    other: &'static str,
}

const fn of(name: &'static str, one: &'static str, other: &'static str) -> Type {
    Type { name, one, other }
}

/// What the store is asked for, and the tokens that it has to leave.
const AS_SUBJECT: [(&str, &[&str]); 2] = [
    ("/auth/logout-all", &["theirs"]),
    ("/auth/logout-others", &["theirs", "this"]),
];
const AS_SESSION: [(&str, &[&str]); 3] = [
    ("/auth/logout", &["theirs"]),
    ("/auth/logout-all", &[]),
    ("/auth/logout-others", &["older", "this"]),
];

fn layer(store: TableStore<WithSubjects>) -> LogoutLayer<TableStore<WithSubjects>> {
    LogoutLayer::builder(store)
        .scoped_path("/auth/logout-all", Scope::All)
        .scoped_path("/auth/logout-others", Scope::Others)
        .build()
        .unwrap()
}

async fn left(database: &Database, table: &str) -> String {
    let select = format!("SELECT token FROM {table} ORDER BY token");
    let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(select))
        .fetch_all(&database.pool)
        .await
        .unwrap();
    let tokens: Vec<_> = rows.into_iter().map(|(token,)| token).collect();
    tokens.join(" ")
}

/// The types that the ids of sessions have.
const IDS: [&str; 9] = [
    "BINARY(16)",
    "BLOB",
    "INTEGER",
    "TEXT",
    "UUID",
    "bigint",
    "bytea",
    "text",
    "uuid",
];

/// A look-up finds a session by the id that its logout names.
async fn is_found_until_its_logout(
    database: &Database,
    store: &TableStore<WithSubjects>,
    insert: &str,
    name: &str,
) {
    let ended = store.revoke(&Token::new("this")).await.unwrap();
    let Revocation::Sessions(ids) = ended else {
        panic!("{insert}: {ended:?}");
    };
    let gone = store.look_up(&ids[0]).await.unwrap();
    assert_eq!(gone, None, "{insert}");
    run(&database.pool, insert).await.unwrap();
    let live = store.look_up(&ids[0]).await.unwrap();
    let live = live.unwrap_or_else(|| panic!("{insert}: not found by {}", ids[0]));
    assert_eq!((&live.id, live.subject.as_deref()), (&ids[0], Some("o")));
    // The ids of no session, whatever the type of the column is.
    for other in ["", "no session", "7\0", "-1", "99999999999999999999999"] {
        let found = store.look_up(&SessionId::new(other)).await;
        if IDS.contains(&name) {
            assert_eq!(found.unwrap(), None, "{other:?} in {insert}");
        } else {
            // Some types of Postgres refuse a text by an error of their own.
            assert!(!matches!(found, Ok(Some(_))), "{other:?} in {insert}");
        }
    }
}

/// Whether the sessions of a type end, by a store that has seen no row before and by one that has. The
/// store has to refuse the column otherwise.
async fn ends_by_id(database: &Database, table: &str, as_session: bool, of: &Type) -> bool {
    let Type { name, one, other } = of;
    let rows = if as_session {
        [
            ("this", "'o'", one),
            ("older", "'o'", one),
            ("theirs", "'o'", other),
        ]
    } else {
        [
            ("this", "'1'", one),
            ("older", "'2'", one),
            ("theirs", "'3'", other),
        ]
    };
    let rows = rows.map(|(token, plain, typed)| format!("('{token}', {plain}, {typed})"));
    let insert = format!(
        "INSERT INTO {table} (token, plain, typed) VALUES {}",
        rows.join(", ")
    );
    let (session, subject) = if as_session {
        ("typed", "plain")
    } else {
        ("plain", "typed")
    };
    let mut ends = true;
    let cases = if as_session {
        &AS_SESSION[..]
    } else {
        &AS_SUBJECT[..]
    };
    for connects_first in [true, false] {
        run(&database.pool, &format!("DELETE FROM {table}"))
            .await
            .unwrap();
        if !connects_first {
            run(&database.pool, &insert).await.unwrap();
        }
        let store =
            TableStore::builder(table, "token", TokenDigest::clear()).session_column(session);
        let store = match store
            .subject_column(subject)
            .connect(database.sql.clone())
            .await
        {
            Ok(store) => store,
            Err(error) => {
                assert!(error.is::<TableError>(), "{name}: {error:?}");
                ends = false;
                continue;
            }
        };
        if as_session {
            run(&database.pool, &format!("DELETE FROM {table}"))
                .await
                .unwrap();
            run(&database.pool, &insert).await.unwrap();
            is_found_until_its_logout(database, &store, &insert, name).await;
        }
        let layer = layer(store);
        for (path, expected) in cases {
            run(&database.pool, &format!("DELETE FROM {table}"))
                .await
                .unwrap();
            run(&database.pool, &insert).await.unwrap();
            let mut request = logout_with(&Token::new("this"));
            *request.uri_mut() = path.parse().unwrap();
            let answer = through(&layer, request).await;
            assert_eq!(
                (answer.status.as_u16(), left(database, table).await),
                (200, expected.join(" ")),
                "{name} as {session}, connected first: {connects_first}, {path}: {:?}",
                answer.outcome.unwrap()
            );
        }
    }
    ends
}

async fn each_ends_or_is_refused(database: &Database, ending: &[Type], refused: &[Type]) {
    let text = match database.kind {
        "mariadb" => "VARCHAR(64)",
        _ => "TEXT",
    };
    let all = ending.iter().map(|of| (of, true));
    let all = all.chain(refused.iter().map(|of| (of, false)));
    for (index, (of, ends)) in all.enumerate() {
        let options = if of.name.contains("ANY") {
            "STRICT"
        } else {
            ""
        };
        let table = format!("tokens_{index}");
        let create = format!(
            "CREATE TABLE {table} (token {text} NOT NULL, plain {text}, typed {}) {options}",
            of.name
        );
        run(&database.pool, &create).await.unwrap();
        for as_session in [true, false] {
            let ended = ends_by_id(database, &table, as_session, of).await;
            println!("{:60} {}", of.name, if ended { "ends" } else { "rejected" });
            assert_eq!(ended, ends, "{}", of.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sessions_and_subjects_in_sqlite() {
    let ending = [
        of("TEXT", "'Zoë'", "'zoë'"),
        of("VARCHAR(64)", "'a '", "'a'"),
        of("CLOB", "'7'", "'07'"),
        of("TEXT COLLATE NOCASE", "'Zoe'", "'zoe'"),
        of("TEXT COLLATE RTRIM", "'a '", "'a'"),
        of("NCHAR(55)", "x'faaaaaaae89b42d3'", "x'00'"),
        of("INTEGER", "7", "8"),
        of("BIGINT", "9223372036854775807", "9223372036854775806"),
        of("INT", "'Zoë'", "'zoë'"),
        of("NUMERIC", "7", "7.5"),
        of("NUMERIC(1)", "0.1", "0.2"),
        of("DECIMAL(10, 2)", "1.50", "1.25"),
        of("BOOLEAN", "TRUE", "FALSE"),
        of("DATE", "'2026-01-02'", "'2026-01-03'"),
        of("DATETIME", "1767312000", "1767312001"),
        of("STRING", "'007'", "'8'"),
        of(
            "UUID",
            "'6f1d0c2a-9a53-4c1e-8b7d-0123456789ab'",
            "'6F1D0C2A-9A53-4C1E-8B7D-0123456789AB'",
        ),
        of("BLOB", "x'faaaaaaae89b42d3a456426655440000'", "x'fa'"),
        of("BLOB(1)", "x'616c696365'", "'616C696365 '"),
        of("", "'Zoë'", "'zoë'"),
        of("/* none */", "7", "8"),
        of("/* at all */", "0.1", "0.2"),
        of("ANY /* of strict tables */", "'7'", "'07'"),
        of("ANY", "x'00ff'", "x'00'"),
    ];
    let refused = [
        of("REAL", "0.1", "0.2"),
        of("FLOAT", "0.1", "0.2"),
        of("DOUBLE PRECISION", "7", "8"),
    ];
    each_ends_or_is_refused(&Database::sqlite().await.unwrap(), &ending, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sessions_and_subjects_in_postgres() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let types = "CREATE EXTENSION citext; CREATE EXTENSION hstore; \
         CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN plain AS citext; \
         CREATE DOMAIN name_of_one AS varchar(20) CHECK (VALUE <> ''); \
         CREATE DOMAIN name_of_two AS name_of_one; CREATE TYPE pair AS (a int, b text); \
         CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    for sql in types.split("; ") {
        run(&database.pool, sql).await.unwrap();
    }
    let ending = [
        of("text", "'Zoë'", "'zoë'"),
        of("text COLLATE any_case", "'Zoë'", "'Zoe'"),
        of("varchar(64)", "'a '", "'a'"),
        of("char(20)", "'Zoë'", "'zoë'"),
        of("char", "'a'", "'A'"),
        of("\"char\"", "'a'", "'A'"),
        of("name", "'Zoë'", "'zoë'"),
        of("citext", "'Zoë'", "'Zoe'"),
        of("plain", "'Zoë'", "'Zoe'"),
        of("name_of_one", "'a '", "'a'"),
        of("name_of_two", "'Zoë'", "'zoë'"),
        of("mood", "'sad'", "'ok'"),
        of(
            "uuid",
            "'6f1d0c2a-9a53-4c1e-8b7d-0123456789ab'",
            "'6f1d0c2a-9a53-4c1e-8b7d-0123456789ac'",
        ),
        of("bytea", "'\\xfaaaaaaae89b42d3a456426655440000'", "'\\x00'"),
        of("smallint", "7", "8"),
        of("integer", "7", "-7"),
        of("bigint", "9223372036854775807", "9223372036854775806"),
        of("numeric", "0.1", "0.10000000000000000001"),
        of("numeric(10, 2)", "1.50", "1.25"),
        of("real", "0.1", "0.2"),
        of("double precision", "0.30000000000000004", "0.3"),
        of("money", "1.50", "1.25"),
        of("boolean", "TRUE", "FALSE"),
        of("bit(4)", "B'1010'", "B'1011'"),
        of("bit varying", "B'1010'", "B'10100'"),
        of("date", "'2026-01-02'", "'2026-01-03'"),
        of("time", "'01:02:03.000004'", "'01:02:03'"),
        of("timetz", "'01:02:03+02'", "'01:02:03+03'"),
        of(
            "timestamp",
            "'2026-01-02 03:04:05.000006'",
            "'2026-01-02 03:04:05'",
        ),
        of(
            "timestamptz",
            "'2026-01-02 03:04:05.000006+02'",
            "'2026-01-02 03:04:05+02'",
        ),
        of("interval", "'1 day 00:00:01'", "'1 day'"),
        of("inet", "'2001:db8::1'", "'192.0.2.7'"),
        of("cidr", "'192.0.2.0/24'", "'192.0.2.0/25'"),
        of("macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'"),
        of(
            "macaddr8",
            "'08:00:2b:01:02:03:04:05'",
            "'08:00:2b:01:02:03:04:06'",
        ),
        of("jsonb", "'{\"id\": \"Zoë\"}'", "'{\"id\": \"zoë\"}'"),
        of("hstore", "'a=>1'", "'a=>2'"),
        of("pair", "'(1,\"Zoë\")'", "'(1,\"zoë\")'"),
        of("int[]", "'{1,2}'", "'{1,3}'"),
        of("text[]", "'{\"a b\",NULL}'", "'{\"a b\"}'"),
        of("int4range", "'[1,2)'", "'[1,3)'"),
        of("tsvector", "'a:1'", "'b:1'"),
        of("tsquery", "'a & b'", "'a | b'"),
        of("oid", "7", "8"),
        of("regclass", "'pg_class'", "'pg_type'"),
        of("pg_lsn", "'16/B374D848'", "'16/B374D849'"),
    ];
    let refused = [
        of("json", "'{}'", "'[]'"),
        of("xml", "'<a/>'", "'<b/>'"),
        of("point", "'(1,2)'", "'(1,3)'"),
        of("box", "'((1,2),(3,4))'", "'((0,0),(2,2))'"),
        of("circle", "'<(1,2),3>'", "'<(2,2),3>'"),
        of("line", "'{1,2,3}'", "'{1,2,4}'"),
        of("lseg", "'[(1,2),(3,4)]'", "'[(1,2),(3,5)]'"),
        of("path", "'((1,2),(3,4))'", "'((1,2),(3,5))'"),
        of("polygon", "'((1,2),(3,4))'", "'((1,2),(3,5))'"),
    ];
    each_ends_or_is_refused(&database, &ending, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sessions_and_subjects_in_mariadb() {
    if let Some(database) = Database::mariadb().await {
        each_ends_or_is_refused(&database, ENDING_IN_MARIADB, REFUSED_IN_MARIADB).await;
    }
}

static ENDING_IN_MARIADB: &[Type] = &[
    of("CHAR(20)", "'Zoë'", "'ZOE'"),
    of("VARCHAR(64)", "'a '", "'a'"),
    of("VARCHAR(64) CHARACTER SET latin1", "'Zoë'", "'zoë'"),
    of(
        "VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_bin",
        "'Zoë'",
        "'Zoë '",
    ),
    of(
        "VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_german2_ci",
        "'Zoë'",
        "'Zoe'",
    ),
    of("VARCHAR(64) CHARACTER SET ascii", "'Zoe'", "'zoe'"),
    of("VARCHAR(64) CHARACTER SET utf8mb3", "'Zoë'", "'zoë'"),
    of("VARCHAR(64) CHARACTER SET utf16", "'Zoë 😀'", "'zoë 😀'"),
    of("VARCHAR(64) CHARACTER SET utf16le", "'Zoë 😀'", "'zoë 😀'"),
    of("VARCHAR(64) CHARACTER SET ucs2", "'Zoë'", "'zoë'"),
    of("VARCHAR(64) CHARACTER SET utf32", "'Zoë 😀'", "'zoë 😀'"),
    of("VARCHAR(64) CHARACTER SET koi8r", "'Зоя'", "'зоя'"),
    of("VARCHAR(64) CHARACTER SET sjis", "'ゾエ'", "'ゾ'"),
    of("VARCHAR(64) COLLATE utf8mb4_bin", "'Zoë '", "'Zoë'"),
    of("VARCHAR(64) COLLATE utf8mb4_unicode_ci", "'Zoë'", "'ZOE'"),
    of("VARCHAR(64) COLLATE utf8mb4_general_ci", "'😀'", "'😎'"),
    of(
        "VARCHAR(64) COLLATE utf8mb4_uca1400_ai_ci",
        "'Zoë'",
        "'ZOE'",
    ),
    of("VARCHAR(64) COLLATE utf8mb4_nopad_bin", "'a '", "'a'"),
    of("TINYTEXT", "'Zoë'", "'zoë'"),
    of("TEXT", "'7'", "'07'"),
    of("MEDIUMTEXT CHARACTER SET utf16", "'Zoë'", "'zoë'"),
    of("LONGTEXT", "'Zoë'", "'zoë'"),
    of("JSON", "'{\"id\": \"Zoë\"}'", "'{\"id\": \"zoë\"}'"),
    of("ENUM('Zoë', 'zo') CHARACTER SET latin1", "'Zoë'", "'zo'"),
    of("SET('a', 'b')", "'a,b'", "'a'"),
    of(
        "BINARY(16)",
        "UNHEX('faaaaaaae89b42d3a456426655440000')",
        "UNHEX('fa')",
    ),
    of(
        "VARBINARY(16)",
        "UNHEX('faaaaaaae89b42d3a456426655440000')",
        "UNHEX('fa')",
    ),
    of("VARBINARY(64)", "'616C696365'", "'alice'"),
    of("TINYBLOB", "'Zoë'", "'zoë'"),
    of("BLOB", "UNHEX('00ff')", "UNHEX('00')"),
    of("LONGBLOB", "'7'", "'07'"),
    of("BOOLEAN", "1", "0"),
    of("TINYINT", "7", "-7"),
    of("SMALLINT", "7", "8"),
    of("MEDIUMINT", "7", "8"),
    of("INT", "7", "8"),
    of("INT(8) ZEROFILL", "7", "8"),
    of("BIGINT", "9223372036854775807", "9223372036854775806"),
    of(
        "BIGINT UNSIGNED",
        "18446744073709551615",
        "18446744073709551614",
    ),
    of("DECIMAL(10, 2)", "1.50", "1.25"),
    of(
        "DECIMAL(40, 20)",
        "12345678901234567890.00000000000000000001",
        "12345678901234567890",
    ),
    of("BIT(1)", "1", "0"),
    of("BIT(64)", "18446744073709551615", "9"),
    of("DATE", "'2026-01-02'", "'2026-01-03'"),
    of("DATETIME", "'2026-01-02 03:04:05'", "'2026-01-02 03:04:06'"),
    of(
        "DATETIME(6)",
        "'2026-01-02 03:04:05.000006'",
        "'2026-01-02 03:04:05'",
    ),
    of(
        "TIMESTAMP(3)",
        "'2026-01-02 03:04:05.006'",
        "'2026-01-02 03:04:05'",
    ),
    of("TIME(3)", "'-01:02:03.004'", "'01:02:03.004'"),
    of("YEAR", "2026", "2027"),
    of(
        "UUID",
        "'6f1d0c2a-9a53-4c1e-8b7d-0123456789ab'",
        "'6f1d0c2a-9a53-4c1e-8b7d-0123456789ac'",
    ),
    of("INET6", "'2001:db8::1'", "'::ffff:192.0.2.7'"),
    of("INET4", "'192.0.2.7'", "'192.0.2.8'"),
];

static REFUSED_IN_MARIADB: &[Type] = &[
    of("FLOAT", "0.1", "0.2"),
    of("DOUBLE", "0.1", "0.2"),
    of("POINT", "POINT(1, 2)", "POINT(1, 3)"),
    of("GEOMETRY", "POINT(1, 2)", "POINT(1, 3)"),
];

/// SHA-256 of "this" and of "theirs", as `sha256sum` has them.
const THIS: &str = "1eb79602411ef02cf6fe117897015fff89f80face4eccd50425c45149b148408";
const THEIRS: &str = "4c55a8552a2c7261f61f798c2265e6f13358f326ae5b934096ff16bd15e62c33";

/// The formats, and what each of them writes for a digest of hexadecimal digits: as a literal of SQL, or
/// an expression that a database makes it of.
fn formats(database: &Database) -> Vec<(&'static str, TokenDigest, [String; 2])> {
    let bytes = |digest: &str| match database.kind {
        "sqlite" => format!("x'{digest}'"),
        "postgres" => format!("decode('{digest}', 'hex')"),
        _ => format!("UNHEX('{digest}')"),
    };
    let digests = [THIS, THEIRS];
    let text =
        |write: &dyn Fn(&str) -> String| digests.map(|digest| format!("'{}'", write(digest)));
    let base64 = |digest: &str| base64(digest);
    let sha256 = TokenDigest::sha256;
    vec![
        (
            "clear",
            TokenDigest::clear(),
            ["'this'".into(), "'THIS'".into()],
        ),
        (
            "clear with blanks",
            TokenDigest::clear(),
            ["'this'".into(), "'thisë '".into()],
        ),
        ("bytes", sha256(), digests.map(bytes)),
        ("hex", sha256().hex(), text(&str::to_owned)),
        ("upper hex", sha256().upper_hex(), text(&str::to_uppercase)),
        ("base64", sha256().base64(), text(&base64)),
        (
            "base64 unpadded",
            sha256().base64_unpadded(),
            text(&|digest| base64(digest).replace('=', "")),
        ),
        (
            "base64 url",
            sha256().base64_url(),
            text(&|digest| base64(digest).replace('+', "-").replace('/', "_")),
        ),
        (
            "base64 url unpadded",
            sha256().base64_url_unpadded(),
            text(&|digest| {
                let url = base64(digest).replace('+', "-").replace('/', "_");
                url.replace('=', "")
            }),
        ),
    ]
}

/// RFC 4648, of hexadecimal digits.
fn base64(hex: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |hex: &str| u32::from_str_radix(&format!("{hex:0<3}"), 16).unwrap();
    let mut text = String::new();
    // Three hexadecimal digits are two of these.
    for start in (0..hex.len()).step_by(3) {
        let chunk = &hex[start..hex.len().min(start + 3)];
        let value = digit(chunk);
        text.push(char::from(DIGITS[(value >> 6) as usize]));
        if chunk.len() > 1 {
            text.push(char::from(DIGITS[(value & 63) as usize]));
        }
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The types of which each format's logout ends its row, and the store refuses the others.
async fn of_tokens(database: Database, types: &[&'static str]) -> Vec<(&'static str, usize)> {
    let mut ends = Vec::new();
    for (index, name) in types.iter().enumerate() {
        let mut formats_that_end = Vec::new();
        let options = if name.contains("ANY") { "STRICT" } else { "" };
        let table = format!("hashes_{index}");
        let create = format!("CREATE TABLE {table} (hash {name}, id INT) {options}");
        run(&database.pool, &create).await.unwrap();
        for (format_name, format, values) in formats(&database) {
            let insert = format!(
                "INSERT INTO {table} (hash, id) VALUES ({}, 1), ({}, 2)",
                values[0], values[1]
            );
            for connects_first in [true, false] {
                let delete = format!("DELETE FROM {table}");
                run(&database.pool, &delete).await.unwrap();
                let mut held = true;
                if !connects_first {
                    held = run(&database.pool, &insert).await.is_ok();
                }
                let store = TableStore::builder(&table, "hash", format.clone());
                let store = match store.connect(database.sql.clone()).await {
                    Ok(store) => store,
                    Err(error) => {
                        assert!(error.is::<TableError>(), "{name}: {error}");
                        continue;
                    }
                };
                if connects_first {
                    held = run(&database.pool, &insert).await.is_ok();
                }
                if !held {
                    // The application cannot write such tokens there.
                    continue;
                }
                let request = logout_with(&Token::new("this"));
                let answer = through(&LogoutLayer::new(store), request).await;
                let left: Vec<(i32,)> =
                    sqlx::query_as(AssertSqlSafe(format!("SELECT id FROM {table}")))
                        .fetch_all(&database.pool)
                        .await
                        .unwrap();
                let outcome = answer.outcome.unwrap();
                assert_eq!(
                    (answer.status.as_u16(), &*left),
                    (200, &[(2,)][..]),
                    "{format_name} in {name}, connected first: {connects_first}: {outcome:?}"
                );
                formats_that_end.push(format_name);
            }
        }
        println!("{name:40} {formats_that_end:?}");
        ends.push((*name, formats_that_end.len()));
    }
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tokens_in_sqlite() {
    let database = Database::sqlite().await.unwrap();
    let ends = [
        ("TEXT", 16),
        ("VARCHAR(64)", 16),
        ("CLOB", 16),
        ("TEXT COLLATE NOCASE", 16),
        ("TEXT COLLATE RTRIM", 16),
        ("BLOB", 18),
        ("", 18),
        ("INTEGER", 0),
        ("NUMERIC", 0),
        ("STRING", 0),
        ("REAL", 0),
        ("ANY", 0),
    ];
    assert_eq!(of_tokens(database, &ends.map(|(name, _)| name)).await, ends);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tokens_in_postgres() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let types = "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('this', 'THIS'); \
         CREATE DOMAIN digest AS char(64) CHECK (VALUE <> ''); CREATE DOMAIN digest2 AS digest; \
         CREATE DOMAIN bytes AS bytea CHECK (length(VALUE) = 32); \
         CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    for sql in types.split("; ") {
        run(&database.pool, sql).await.unwrap();
    }
    let ends = [
        ("text", 16),
        ("text COLLATE any_case", 16),
        ("varchar", 16),
        ("varchar(64)", 16),
        ("char(64)", 16),
        ("char(80)", 16),
        ("varchar(43)", 8),
        ("citext", 16),
        ("digest", 16),
        ("digest2", 16),
        ("bytea", 2),
        ("bytes", 2),
        ("name", 0),
        ("mood", 0),
        ("uuid", 0),
        ("integer", 0),
        ("numeric", 0),
        ("jsonb", 0),
        ("json", 0),
        ("xml", 0),
        ("text[]", 0),
        ("timestamptz", 0),
        ("boolean", 0),
        ("bit varying", 0),
        ("inet", 0),
        ("\"char\"", 0),
    ];
    assert_eq!(of_tokens(database, &ends.map(|(name, _)| name)).await, ends);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tokens_in_mariadb() {
    let Some(database) = Database::mariadb().await else {
        return;
    };
    let ends = [
        ("CHAR(64)", 16),
        ("VARCHAR(64)", 16),
        ("VARCHAR(43)", 8),
        ("VARCHAR(64) CHARACTER SET latin1", 16),
        ("VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_bin", 16),
        ("VARCHAR(64) CHARACTER SET ascii", 14),
        ("VARCHAR(64) CHARACTER SET utf16", 16),
        ("VARCHAR(64) CHARACTER SET ucs2", 16),
        ("VARCHAR(64) CHARACTER SET utf32", 16),
        ("VARCHAR(64) COLLATE utf8mb4_bin", 16),
        ("VARCHAR(64) COLLATE utf8mb4_uca1400_ai_ci", 16),
        ("TINYTEXT", 16),
        ("TEXT CHARACTER SET utf16", 16),
        ("LONGTEXT", 16),
        ("BINARY(32)", 2),
        ("BINARY(64)", 0),
        ("VARBINARY(64)", 18),
        ("VARBINARY(16)", 4),
        ("BLOB", 18),
        ("TINYBLOB", 18),
        ("ENUM('this', 'that')", 0),
        ("INT", 0),
        ("BIGINT", 0),
        ("DECIMAL(60, 0)", 0),
        ("FLOAT", 0),
        ("BIT(64)", 0),
        ("DATETIME", 0),
        ("UUID", 0),
        ("INET6", 0),
        ("POINT", 0),
    ];
    assert_eq!(of_tokens(database, &ends.map(|(name, _)| name)).await, ends);
}

#[test]
fn the_digests_are_right() {
    assert_eq!(base64("616263"), "YWJj");
    assert_eq!(base64("6162"), "YWI=");
    assert_eq!(base64("61"), "YQ==");
}
