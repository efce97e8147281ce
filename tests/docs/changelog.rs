//! The changelog names nothing that does not exist.

use std::{collections::HashSet, fs};

use crate::{files, read};

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[test]
fn every_name_in_the_changelog_exists() {
    let sources: String = files("crates", "rs")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let known: HashSet<_> = words(&sources).collect();
    let changelog = read("CHANGELOG.md");
    let in_code = changelog.split('`').skip(1).step_by(2);
    // Names of Rust: `Relay::splice`, `take_line`. Commands and features have other characters.
    let is_rust = |code: &&str| {
        code.chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == ':')
    };
    let unknown: Vec<_> = in_code
        .filter(is_rust)
        .filter(|code| words(code).any(|word| !word.is_empty() && !known.contains(word)))
        .collect();
    assert!(unknown.is_empty(), "the changelog names {unknown:?}");
}
