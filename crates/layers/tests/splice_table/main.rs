//! The table of layers on the front page of the crate says what each costs: here each layer is put on
//! TCP connections, and the result is asked whether it can be spliced.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
// Each layer can be measured only where it is there.
#![cfg(all(
    unix,
    feature = "access-list",
    feature = "challenge",
    feature = "connect",
    feature = "fault",
    feature = "lz4",
    feature = "meet",
    feature = "noise",
    feature = "proxy-protocol",
    feature = "rate-limit",
    feature = "signed-token",
    feature = "socks",
    feature = "tls",
    feature = "zstd"
))]

mod pairs;
mod rig;
mod shakes;
mod sides;

use std::{fs, path::Path};

const FRONT_PAGE: &str = include_str!("../../src/lib.rs");

/// What a layer costs, as the tables say it.
type Cost = &'static str;

const NOTHING: Cost = "no";
const AHEAD: Cost = "until what was read ahead is delivered";
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

/// The rows of the table whose header begins and ends like this.
fn rows(text: &'static str) -> Vec<Row<'static>> {
    let lines = text.lines().map(|line| {
        let line = line.strip_prefix("//!").unwrap_or(line);
        line.trim()
    });
    let table = lines
        .skip_while(|line| !(line.starts_with("| layer |") && line.ends_with("| costs splice |")))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    let rows: Vec<_> = table.map(row).collect();
    assert!(!rows.is_empty(), "there is no table of layers");
    rows
}

fn row(line: &'static str) -> Row<'static> {
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

async fn check(text: &'static str) {
    for row in rows(text) {
        for name in row.names {
            assert_eq!(row.cost, measure(name).await, "{name}");
        }
    }
}

#[tokio::test]
async fn the_front_page_tells_what_each_layer_costs() {
    check(FRONT_PAGE).await;
}

/// What `impl Layer<…> for`, or `impl Handshake<…> for`, is said of in the sources.
fn implemented() -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_stem().unwrap().to_str().unwrap() {
                "tests" | "testing" => {}
                _ if path.is_dir() => folders.push(path),
                _ => names.extend(implemented_in(&fs::read_to_string(path).unwrap())),
            }
        }
    }
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
fn every_layer_is_checked_to_conform() {
    let own = include_str!("../conformance.rs");
    for name in implemented() {
        // It is no layer of a stack: what it makes of a connection is the dial's.
        let checked = name == "DialledForLayer" || own.contains(&name);
        assert!(checked, "{name} does not go through the conformance kit");
    }
}

#[test]
fn every_layer_has_a_row() {
    let implemented = implemented();
    assert!(implemented.len() > 30, "{implemented:?}");
    let rows = rows(FRONT_PAGE);
    for name in &implemented {
        let there = rows.iter().any(|row| row.names.contains(&&**name));
        assert!(
            there,
            "{name} has no row in the front page's table of layers"
        );
    }
}
