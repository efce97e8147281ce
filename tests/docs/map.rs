//! CONTRIBUTING's map: a function that a row names is in the file that the row links.

use crate::read;

#[test]
fn the_map_names_what_is_there() {
    let page = read("CONTRIBUTING.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| where is"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut places = 0;
    for row in rows {
        let mut rest = row;
        while let Some((_, behind)) = rest.split_once("](") {
            let (path, behind) = behind.split_once(')').unwrap();
            let (named, _) = behind.split_once("](").unwrap_or((behind, ""));
            let source = read(path);
            for name in named.split('`').skip(1).step_by(2) {
                places += 1;
                assert!(source.contains(name), "{path} has no {name}");
            }
            rest = behind;
        }
    }
    assert!(places > 7, "there is no map");
}
