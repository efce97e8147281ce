//! What the pages promise: their links lead somewhere, each command can be
//! written to a file, a page that quotes an example quotes it as it is, and the connector's API stays short.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod changelog;
mod commands;
mod lengths;
mod links;
mod logs;
mod map;
mod public;
mod quotes;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files with this extension below a folder of the project, without build output.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_program_of_the_tests_is_installed() {
    let needed = read("tests/src/need.rs");
    let table = needed.split("&[\n").nth(1).unwrap();
    let (table, _) = table.split_once("];").unwrap();
    let installs = read("tests/run");
    for line in table.lines().filter(|line| line.contains("(\"")) {
        let package = line.split('"').nth(3).unwrap();
        let there = installs.contains(&format!(":{package}:"));
        assert!(there, "tests/run does not install {package}");
    }
}
