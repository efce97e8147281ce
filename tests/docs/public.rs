//! The public API of the connector stays short, as CONTRIBUTING has it.

use std::fs;

use crate::files;

/// Before this is raised: does an embedder need the new item?
const MOST: usize = 104;

const ITEMS: [&str; 9] = [
    "fn", "async fn", "const fn", "struct", "enum", "trait", "type", "mod", "use",
];

#[test]
fn the_connector_has_few_public_items() {
    let is_item = |line: &str| {
        let item = line.trim_start().strip_prefix("pub ");
        item.is_some_and(|item| {
            ITEMS
                .iter()
                .any(|kind| item.starts_with(&format!("{kind} ")))
        })
    };
    let mut items = Vec::new();
    for path in files("crates/connector/src", "rs") {
        let text = fs::read_to_string(path).unwrap();
        items.extend(text.lines().filter(|line| is_item(line)).map(str::to_owned));
    }
    assert!(items.len() > 50, "{items:#?}");
    assert!(
        items.len() <= MOST,
        "{} are more than {MOST}: {items:#?}",
        items.len()
    );
}
