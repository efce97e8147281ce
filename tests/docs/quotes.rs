//! The Rust of a page is the Rust of an example, which is compiled and run.

use crate::read;

fn quotes(page: &str, example: &str) {
    let text = read(page);
    let example = read(example);
    let blocks: Vec<_> = text
        .split("```rust\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() > 3, "{page} quotes nothing");
    for block in blocks {
        assert!(
            example.contains(block),
            "{page} has what is not in the example:\n{block}"
        );
    }
}

#[test]
fn the_guide_to_a_layer_quotes_its_example() {
    quotes("docs/write-a-layer.md", "examples/run_length.rs");
}

#[test]
fn the_guide_to_embedding_quotes_its_example() {
    quotes("docs/embed.md", "examples/embed.rs");
}
