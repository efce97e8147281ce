//! No flag and no option exists on the command line alone: each command of the pages can be written to a
//! file, and is read back from there.

use std::fs;

use crate::{files, read};

/// The words of a line as a shell cuts them; `None` where it is more than one command.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (' ', None) => words.extend(word.take()),
            ('|' | '>' | '&' | ';' | '<' | '`' | '$' | '…', None) => return None,
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The commands of a page: in its blocks, and between backticks.
fn commands(page: &str) -> Vec<Vec<String>> {
    let page = page.replace("\\\n", " ");
    let blocks = page.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.split_once("$ ").map_or(line, |(_, line)| line);
        line.starts_with("couplet ").then_some(line.to_owned())
    });
    let inline = page.split('`').skip(1).step_by(2);
    let inline = inline
        .filter(|code| code.starts_with("couplet "))
        .map(|code| code.replace('\n', " "));
    let lines: Vec<_> = blocks.chain(inline).collect();
    lines.iter().filter_map(|line| words(line)).collect()
}

#[test]
fn every_command_of_the_pages_can_be_written_to_a_file_and_read_back() {
    let mut pages = vec![
        read("README.md"),
        read("crates/cli/README.md"),
        // What the help shows below the flags.
        read("crates/cli/src/args/notes.rs"),
    ];
    for page in files("docs", "md") {
        pages.push(fs::read_to_string(page).unwrap());
    }
    let mut checked = 0;
    for words in pages.iter().flat_map(|page| commands(page)) {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match couplet::file_round_trip(&words) {
            Some(Err(wrong)) => panic!("{words:?}: {wrong}"),
            Some(Ok(())) => checked += 1,
            None => {}
        }
    }
    assert!(checked > 30, "only {checked} commands were found");
}
