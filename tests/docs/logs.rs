//! docs/logs.md, held to the code.

use crate::read;

/// The two letters that a source gives to ways in which a pair or a connection ends.
fn states(source: &str) -> Vec<String> {
    let source = read(source);
    let (source, _) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
    let letters = source.split(" => \"").skip(1).filter_map(|rest| {
        let (letters, _) = rest.split_once('"')?;
        let is_state = letters.len() == 2 && letters.ends_with(|c: char| c.is_ascii_uppercase());
        is_state.then(|| letters.to_owned())
    });
    letters.collect()
}

#[test]
fn every_state_of_the_access_log_is_explained() {
    let pairs = states("crates/endpoint/src/conn/close_reason.rs");
    let connections = states("crates/layers/src/observe/access_log/record.rs");
    assert!(
        pairs.len() > 15 && connections.len() == 10,
        "{pairs:?} {connections:?}"
    );
    let page = read("docs/logs.md");
    for state in pairs.iter().chain(&connections) {
        assert!(
            page.contains(&format!("`{state}`")),
            "docs/logs.md lacks `{state}`"
        );
    }
}
