//! The programs of this machine.

use std::path::PathBuf;

/// The path of a program, or `None` said aloud. Missing servers are a failure where
/// `REQUIRE_SERVERS=1`.
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian has the servers that are not for everybody's PATH.
    let debian = [
        "/usr/sbin",
        "/usr/lib/postgresql/17/bin",
        "/usr/lib/postgresql/15/bin",
    ];
    let folders: Vec<_> = std::env::split_paths(&path)
        .chain(debian.map(PathBuf::from))
        .collect();
    let found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        let required = std::env::var_os("REQUIRE_SERVERS").is_some_and(|value| value == "1");
        assert!(!required, "{} not found, and REQUIRE_SERVERS=1", names[0]);
        eprintln!("skipped: {} not found", names[0]);
    }
    found
}
