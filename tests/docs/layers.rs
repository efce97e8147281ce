//! The README's table of layers.

use std::{fs, path::PathBuf};

use crate::{files, read, root};

/// The macros that implement `Layer` or `Handshake` for the type that they name first.
const MACROS: [&str; 3] = ["mapped_layer!(", "layer_and_service!(", "boxed_handshake!("];

/// The types for which a source says `impl Layer<…> for`, or `impl Handshake<…> for`, itself or by a macro.
fn implemented_in(source: &str) -> impl Iterator<Item = String> {
    let (source, _) = source
        .split_once("#[cfg(test)]\nmod tests {")
        .unwrap_or((source, ""));
    source.lines().filter_map(|line| {
        if let Some(named) = MACROS.iter().find_map(|it| line.strip_prefix(it)) {
            return named.split([' ', ')']).next().map(str::to_owned);
        }
        let (of, name) = line.strip_prefix("impl")?.split_once(" for ")?;
        let is_layer = [" Layer<", " Handshake<"].iter().any(|it| of.contains(it));
        let name = name.split(['<', ' ']).next()?;
        // Closures are handshakes too: `for F`.
        (is_layer && name.len() > 1).then(|| name.to_owned())
    })
}

#[test]
fn every_layer_is_in_the_readme() {
    let readme = read("README.md");
    let sources = files("crates/layers/src", "rs");
    let is_source = |path: &&PathBuf| {
        let below = path.strip_prefix(root()).unwrap();
        let mut names = below.iter().map(|name| name.to_str().unwrap());
        !names.any(|name| ["tests", "tests.rs", "testing.rs"].contains(&name))
    };
    let names: Vec<_> = sources
        .iter()
        .filter(is_source)
        .flat_map(|path| implemented_in(&fs::read_to_string(path).unwrap()).collect::<Vec<_>>())
        .collect();
    assert!(names.len() > 30, "{names:?}");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !readme.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}
