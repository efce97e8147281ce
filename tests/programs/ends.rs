//! The table of docs/ends.md: what reaches the other end over each carrier.

use std::{collections::BTreeMap, fs, path::Path};

use couplet_tests::{Couplet, need, program};

/// The cells of each row, by its name.
fn rows(text: &str) -> BTreeMap<String, Vec<String>> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line
            .strip_prefix("| ")?
            .strip_suffix(" |")?
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect();
        let (name, cells) = cells.split_first()?;
        Some((name.clone(), cells.to_vec()))
    });
    rows.collect()
}

/// `15 KiB`.
fn kib(cell: &str) -> u64 {
    cell.strip_suffix(" KiB").unwrap().parse().unwrap()
}

#[test]
fn each_carrier_is_as_its_row_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join("ends.md")).unwrap();
    let (table, _) = page.split_once("\n## Others").unwrap();
    need("openssl");
    let mut script = program("python3");
    script
        .arg(docs.join("compare-ends"))
        .arg(Couplet::binary())
        .arg("--matrix=couplet");
    let measured = couplet_tests::Process::spawn("compare-ends", &mut script);
    // Longer than one wait of a test.
    let number = rows(table).len();
    for done in 1..=number {
        measured.look(&format!("row {done}"), |lines| {
            (lines.iter().filter(|line| line.starts_with('|')).count() > done).then_some(())
        });
    }
    let measured = measured.finish().ok().log;
    let (documented, measured) = (rows(table), rows(&measured));
    assert!(documented.len() >= 15, "{documented:?}");
    assert_eq!(
        documented.keys().collect::<Vec<_>>(),
        measured.keys().collect::<Vec<_>>()
    );
    for (name, cells) in &documented {
        let now = &measured[name];
        let [.., idle] = &cells[..] else {
            panic!("{name}")
        };
        let [.., idle_now] = &now[..] else {
            panic!("{name}")
        };
        // A machine that reaches itself over vsock has there what it has over a Unix socket.
        let cells = match name == "vsock" && idle_now.ends_with(" KiB") {
            true => &documented["Unix socket"],
            false => cells,
        };
        assert_eq!(cells[..6], now[..6], "{name}");
        if !idle.ends_with(" KiB") {
            continue;
        }
        // The page has those of the build that ships; another build, another allocator's mood. A process of its own
        // has 1525 KiB in that build and 3358 in an unoptimized one, for what its loader writes to.
        let more = if name.contains("exec") { 3 } else { 2 };
        assert!(
            kib(idle_now) <= more * kib(idle) + 8,
            "{name}: {idle_now} in place of {idle}"
        );
    }
}
