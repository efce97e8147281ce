//! The tables on the front pages of the crates say what each layer and each protocol costs: here each is put
//! on TCP connections, and the result is asked whether it can be spliced. Each is in a table and in the README,
//! and goes through the conformance kit.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(unix)]

mod pairs;
mod rig;
mod shakes;
mod sides;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The crates with such a table, and how the table begins.
const CRATES: [(&str, &str); 2] = [("layers", "| layer |"), ("protocols", "| handshake |")];

/// What a layer costs, as the tables say it.
type Cost = &'static str;

const NOTHING: Cost = "no";
const AHEAD: Cost = "until what was read ahead is delivered";
const FROM_PEER: Cost = "from the peer";
const BOTH: Cost = "in both directions";
const BOTH_WHILE_ON: Cost = "in both directions, while on";
const DIRECTION: Cost = "in its direction";
const DIRECTION_WHILE_ON: Cost = "in its direction, while on";
const AS_THE_STEP: Cost = "as the step does";

/// The layers of a row, and what it says they cost.
struct Row<'a> {
    names: Vec<&'a str>,
    cost: &'a str,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder of a crate.
fn folder(name: &str) -> PathBuf {
    root().join("crates").join(name)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The rows of the table that begins so.
fn rows<'a>(text: &'a str, begins: &str) -> Vec<Row<'a>> {
    let lines = text.lines().map(|line| {
        let line = line.strip_prefix("//!").unwrap_or(line);
        line.trim()
    });
    let table = lines
        .skip_while(|line| !(line.starts_with(begins) && line.ends_with("| costs splice |")))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    let rows: Vec<_> = table.map(row).collect();
    assert!(
        !rows.is_empty(),
        "there is no table that begins with {begins}"
    );
    rows
}

fn row(line: &str) -> Row<'_> {
    let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    // In code are the layers, and the features, which have no capital letter.
    let in_code = cells[0].split('`').skip(1).step_by(2);
    let mut names: Vec<_> = in_code
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .collect();
    // A handshake is run by the layer for all of them, which has a row of its own.
    if names.len() > 1 {
        names.retain(|name| *name != "HandshakeLayer");
    }
    assert!(!names.is_empty(), "no layer in {line}");
    Row {
        names,
        cost: cells[cells.len() - 1],
    }
}

/// What a layer turned out to cost.
async fn measure(name: &str) -> Cost {
    if ["HandshakeLayer", "Replaceable"].contains(&name) {
        return as_the_step().await;
    }
    if let Some(cost) = pairs::measure(name).await {
        return cost;
    }
    if let Some(cost) = sides::measure(name).await {
        return cost;
    }
    match shakes::measure(name).await {
        Some(cost) => cost,
        None => panic!("nobody has measured what {name} costs: it is to be done in this test"),
    }
}

async fn as_the_step() -> Cost {
    assert_eq!(sides::free_step().await, NOTHING);
    assert_eq!(sides::dear_step().await, BOTH);
    assert_eq!(pairs::free_step().await, NOTHING);
    assert_eq!(pairs::dear_step().await, BOTH);
    assert_eq!(sides::replaceable_step().await, NOTHING);
    AS_THE_STEP
}

#[tokio::test]
async fn the_front_pages_tell_what_each_costs() {
    for (name, begins) in CRATES {
        let page = read(folder(name).join("src/lib.rs"));
        for row in rows(&page, begins) {
            for name in row.names {
                assert_eq!(row.cost, measure(name).await, "{name}");
            }
        }
    }
}

/// What `impl Layer<…> for`, or `impl Handshake<…> for`, is said of in the sources of a crate.
fn implemented(krate: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder(krate).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_stem().unwrap().to_str().unwrap() {
                "tests" | "testing" => {}
                _ if path.is_dir() => folders.push(path),
                _ => names.extend(implemented_in(&read(path))),
            }
        }
    }
    assert!(names.len() > 15, "{names:?}");
    names
}

/// The macros that implement `Layer` or `Handshake` for the type that they name first.
const MACROS: [&str; 3] = ["mapped_layer!(", "layer_and_service!(", "boxed_handshake!("];

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
fn each_is_checked_to_conform() {
    for (krate, _) in CRATES {
        let checks = read(folder(krate).join("tests/conformance.rs"));
        for name in implemented(krate) {
            // It is no layer of a stack: what it makes of a connection is the dial's.
            let checked = name == "DialledForLayer" || checks.contains(&name);
            assert!(checked, "{name} does not go through the conformance kit");
        }
    }
}

#[test]
fn each_has_a_row_and_is_in_the_readme() {
    let readme = read(root().join("README.md"));
    for (krate, begins) in CRATES {
        let page = read(folder(krate).join("src/lib.rs"));
        let rows = rows(&page, begins);
        for name in &implemented(krate) {
            let there = rows.iter().any(|row| row.names.contains(&&**name));
            assert!(there, "{name} has no row in the table of couplet-{krate}");
            let named = readme.contains(&format!("`{name}`"));
            assert!(named, "README.md does not name {name}");
        }
    }
}
