//! The whole table, with very little work.
#![cfg(target_os = "linux")]

use std::{
    process::Command,
    sync::{Mutex, PoisonError},
};

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// Runs the benchmark, which prints all these parts. One run after the other: each measures, and picks
/// its ports from the same range.
fn measures(args: &[&str], parts: &[&str]) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args(args)
        .arg("--profile=dev")
        .output()
        .expect("the benchmark starts");
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}\n{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in\n{said}\n{told}");
    }
}

fn written(file: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{file}")).expect("the benchmark has written it")
}

#[test]
fn the_driver_writes_its_table() {
    measures(
        &["--quick", "--relays=couplet", "--out", FOLDER],
        &[
            "bulk, 16 connections: s/GiB",
            "both ways, 16 connections: GiB/s",
            "64 B requests × 512: 99th percentile, µs",
            "connect, echo, close × 32: connections/s",
            "idle pairs: bytes/pair",
            "idle pairs: descriptors/pair",
            "idle pairs: bytes/pair kept after their end",
            "stuck pairs: bytes/pair",
            "listen and listen × 32: pairs/s",
            "start-up: ms",
            "size: MiB",
        ],
    );
    for (file, part) in [
        ("performance.md", "# Performance"),
        ("performance.svg", "</svg>"),
    ] {
        let text = written(file);
        assert!(text.contains(part));
        assert!(
            !text.contains(FOLDER),
            "a path of this machine is in {file}"
        );
    }
}

#[test]
fn the_rendezvous_by_key_is_measured() {
    measures(
        &["keyed", "--quick"],
        &[
            "waiting: bytes each",
            "joins/s",
            "a join: 99th percentile, µs",
            "sockets, 64 clients",
            "`cargo run --release -p couplet-bench -- keyed --quick --profile=dev` on ",
        ],
    );
}

#[test]
fn a_program_of_others_sends_its_load_through_a_relay() {
    measures(
        &[
            "programs",
            "--loads=redis,redis-connect",
            "--relays=couplet-one-thread",
            "--rounds=1",
            "--seconds=1",
        ],
        &[
            "| Couplet, 1 thread ",
            "redis-benchmark, GET × 64: µs/request",
            "redis-benchmark, a connection each × 64: connections/s",
        ],
    );
}

#[test]
fn a_short_soak_loses_nothing() {
    measures(
        &["soak", "--minutes=0.05", "--parallel=2", "--out", FOLDER],
        &[" 0 failed.", "the client resets", "rendezvous by key"],
    );
    assert!(written("soak.svg").contains("</svg>"));
}

#[test]
fn a_missing_relay_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args(["--columns", "bluk"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("there is no `bluk`; there are bulk-1"),
        "{told}"
    );
}
