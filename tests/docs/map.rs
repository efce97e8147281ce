//! Tables whose rows link a file and name what is in it: CONTRIBUTING's map, and the tests of the siblings.

use std::path::Path;

use crate::read;

#[test]
fn the_map_names_what_is_there() {
    assert!(names_in("CONTRIBUTING.md", "| where is") > 7);
}

#[test]
fn the_tests_of_each_kind_of_fault_are_there() {
    assert!(names_in("docs/siblings.md", "| kind | tests |") > 60);
}

/// The number of names in the table that begins so: each must be in the file that is linked before it.
fn names_in(page: &str, table: &str) -> usize {
    let folder = Path::new(page).parent().unwrap();
    let page = read(page);
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with(table))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut names = 0;
    for row in rows {
        let mut rest = row;
        while let Some((_, behind)) = rest.split_once("](") {
            let (path, behind) = behind.split_once(')').unwrap();
            let (named, _) = behind.split_once("](").unwrap_or((behind, ""));
            let source = read(folder.join(path));
            for name in named.split('`').skip(1).step_by(2) {
                names += 1;
                assert!(source.contains(name), "{path} has no {name}");
            }
            rest = behind;
        }
    }
    names
}
