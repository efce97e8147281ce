//! The Rust of a page is the whole of an example, which is compiled and run: from top to bottom it can be pasted
//! into a file.

use crate::read;

fn quotes(page: &str, example: &str) {
    let text = read(page);
    let example = read(example);
    let blocks = text
        .split("```rust\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap());
    let page_has: Vec<_> = blocks.flat_map(code).collect();
    let example_has: Vec<_> = code(&example).collect();
    assert!(example_has.len() > 50, "{example} is found");
    for (line, expected) in page_has.iter().zip(&example_has) {
        assert_eq!(line, expected, "{page} is not as the example");
    }
    assert_eq!(page_has.len(), example_has.len(), "{page} is not all of it");
}

/// The lines that say something to the compiler.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//!"))
}

#[test]
fn the_guide_to_a_layer_quotes_its_example() {
    quotes("docs/write-a-layer.md", "examples/run_length.rs");
}

#[test]
fn the_guide_to_embedding_quotes_its_example() {
    quotes("docs/embed.md", "examples/embed.rs");
}
