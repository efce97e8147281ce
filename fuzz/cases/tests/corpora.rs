//! Each fuzz target, on its corpus and on copies of it that are changed at random, the same each time.
//!
//! That is a check that targets and corpora are sound, not fuzzing: see docs/reliability.md.

use std::{fs, path::Path};

use couplet_fuzz_cases::{CASES, Case};

/// How many changed copies of each input.
const COPIES: u64 = 20;

#[test]
fn all_targets_on_their_corpora() {
    for case in CASES {
        let corpus = corpus(case);
        assert!(!corpus.is_empty(), "{} has no corpus", case.name);
        for (name, input) in &corpus {
            check(case, name, input);
            for copy in 0..COPIES {
                check(case, &format!("{name}, copy {copy}"), &changed(input, copy));
            }
        }
    }
}

#[test]
fn each_target_is_built_by_cargo_fuzz() {
    let manifest = include_str!("../../Cargo.toml");
    for Case { name, .. } in CASES {
        assert!(
            manifest.contains(&format!("fuzz_targets/{name}.rs")),
            "{name}"
        );
    }
    assert_eq!(manifest.matches("[[bin]]").count(), CASES.len());
}

fn corpus(case: &Case) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(case.name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut corpus: Vec<_> = files
        .map(|file| {
            let path = file.expect("it is readable").path();
            let name = path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(&path).expect("it is readable"))
        })
        .collect();
    corpus.sort();
    corpus
}

fn check(case: &Case, name: &str, input: &[u8]) {
    let checked = std::panic::catch_unwind(|| (case.run)(input));
    assert!(checked.is_ok(), "{}, {name}: {input:?}", case.name);
}

/// Some bytes changed, taken out, doubled.
fn changed(input: &[u8], seed: u64) -> Vec<u8> {
    let mut random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut below = |n: usize| {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as usize % n.max(1)
    };
    let mut output = input.to_vec();
    for _ in 0..1 + below(4) {
        let at = below(output.len());
        match below(4) {
            0 if at < output.len() => output[at] = below(256) as u8,
            1 if at < output.len() => drop(output.remove(at)),
            2 => output.truncate(at),
            _ => {
                let end = (at + below(16)).min(output.len());
                output.extend_from_within(at.min(end)..end);
            }
        }
    }
    output
}
