//! Tables whose rows link a file and name what is in it: CONTRIBUTING's map, and the tests of the siblings.

use std::path::Path;

use crate::read;

/// What a newcomer looks for first.
const ASKED: [&str; 6] = [
    "a half-closed pair ended",
    "`EMFILE` handled",
    "a copy promoted to splice",
    "the two-letter reason made",
    "a certificate reloaded",
    "a bandwidth bound enforced",
];

#[test]
fn the_map_names_what_is_there() {
    assert!(names_in("CONTRIBUTING.md", "| where is") > 7);
}

#[test]
fn the_map_answers_what_is_asked_first() {
    let rows = rows_of("CONTRIBUTING.md", "| where is");
    for asked in ASKED {
        let row = rows.iter().find(|row| row.contains(asked));
        assert!(
            row.is_some_and(|row| row.contains("](")),
            "the map does not say where {asked} is"
        );
    }
}

#[test]
fn the_tests_of_each_kind_of_fault_are_there() {
    assert!(names_in("docs/siblings.md", "| kind | tests |") > 60);
}

/// The rows of the table that begins so.
fn rows_of(page: &str, table: &str) -> Vec<String> {
    let page = read(page);
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with(table))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(str::to_owned).collect()
}

/// The number of names in the table that begins so: the file that is linked before a name defines it.
fn names_in(page: &str, table: &str) -> usize {
    let folder = Path::new(page).parent().unwrap();
    let mut names = 0;
    for row in rows_of(page, table) {
        let mut rest = &*row;
        while let Some((_, behind)) = rest.split_once("](") {
            let (path, behind) = behind.split_once(')').unwrap();
            let (named, _) = behind.split_once("](").unwrap_or((behind, ""));
            let source = read(folder.join(path));
            for name in named.split('`').skip(1).step_by(2) {
                names += 1;
                let kinds = ["fn", "struct", "enum", "const", "trait"];
                let is_defined = kinds
                    .iter()
                    .any(|kind| source.contains(&format!("{kind} {name}")));
                assert!(is_defined, "{path} does not define {name}");
            }
            rest = behind;
        }
    }
    names
}
