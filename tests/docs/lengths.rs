//! A file has one subject, and with it an end.

use std::fs;

use crate::{files, root};

const MOST_LINES: usize = 500;

#[test]
fn no_file_has_more_than_500_lines() {
    let folders = ["crates", "examples", "tests", "fuzz", "models"];
    let files = folders.map(|folder| files(folder, "rs")).concat();
    let long = files.iter().filter_map(|path| {
        let lines = fs::read_to_string(path).unwrap().lines().count();
        let path = path.strip_prefix(root()).unwrap().display();
        (lines > MOST_LINES).then(|| format!("{path} has {lines}"))
    });
    let long: Vec<_> = long.collect();
    assert!(files.len() > 1000, "only {} files were found", files.len());
    assert!(long.is_empty(), "{}: split by subject", long.join(", "));
}
