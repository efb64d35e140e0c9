//! The two crates differ in the version of sqlx, and in nothing that a user sees.

#![allow(clippy::unwrap_used)]

use std::fs::{read_dir, read_to_string};
use std::path::Path;

const OTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sqlx");

fn manifest(path: &str) -> String {
    read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The lines between a heading and the next one.
fn table<'m>(manifest: &'m str, heading: &str) -> Vec<&'m str> {
    let lines = manifest.lines().skip_while(|line| *line != heading);
    let lines = lines.skip(1).take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn each_source_is_a_link_except_one() {
    for entry in read_dir(Path::new(OTHER).join("src")).unwrap() {
        let name = entry.unwrap().file_name();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(&name);
        let is_link = ours.symlink_metadata().unwrap().is_symlink();
        assert_eq!(is_link, name != "sql_text.rs", "{name:?}");
    }
}

#[test]
fn the_manifests_agree() {
    let (ours, root) = (manifest("Cargo.toml"), manifest("../../Cargo.toml"));
    let theirs = manifest("../sqlx/Cargo.toml").replace("sqlite-bundled", "sqlite");
    assert_eq!(table(&ours, "[features]"), table(&theirs, "[features]"));
    for lints in ["rust", "rustdoc", "clippy"] {
        let of_workspace = table(&root, &format!("[workspace.lints.{lints}]"));
        assert_eq!(table(&ours, &format!("[lints.{lints}]")), of_workspace);
    }
    for line in table(&root, "[workspace.package]") {
        assert!(ours.contains(&format!("\n{line}\n")), "{line}");
    }
}
