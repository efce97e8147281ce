//! The whole table, with very little work.
#![cfg(target_os = "linux")]

use std::{
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One after the other: each measures, and picks its ports from the same range.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_driver_writes_its_table() {
    let _alone = alone();
    let folder = env!("CARGO_TARGET_TMPDIR");
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args(["--quick", "--relays=couplet", "--profile=dev"])
        .args(["--out", folder])
        .output()
        .unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}");
    for part in [
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
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}\n{told}");
    }
    for (file, part) in [
        ("performance.md", "# Performance"),
        ("performance.svg", "</svg>"),
    ] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        assert!(text.contains(part));
        assert!(
            !text.contains(folder),
            "a path of this machine is in {file}"
        );
    }
}

#[test]
fn the_rendezvous_by_key_is_measured() {
    let _alone = alone();
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args(["keyed", "--quick", "--profile=dev"])
        .output()
        .unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}");
    for part in [
        "waiting: bytes each",
        "joins/s",
        "a join: 99th percentile, µs",
        "sockets, 64 clients",
        "`cargo run --release -p couplet-bench -- keyed --quick --profile=dev` on ",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}\n{told}");
    }
}

#[test]
fn a_program_of_others_sends_its_load_through_a_relay() {
    let _alone = alone();
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args([
            "programs",
            "--loads=redis,redis-connect",
            "--relays=couplet-one-thread",
        ])
        .args(["--rounds=1", "--seconds=1", "--profile=dev"])
        .output()
        .unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}");
    for part in [
        "| Couplet, 1 thread ",
        "redis-benchmark, GET × 64: µs/request",
        "redis-benchmark, a connection each × 64: connections/s",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}\n{told}");
    }
}

#[test]
fn a_short_soak_loses_nothing() {
    let _alone = alone();
    let folder = env!("CARGO_TARGET_TMPDIR");
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args(["soak", "--minutes=0.05", "--parallel=2", "--profile=dev"])
        .args(["--out", folder])
        .output()
        .unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}\n{said}");
    for part in [" 0 failed.", "the client resets", "rendezvous by key"] {
        assert!(said.contains(part), "`{part}` is not in\n{said}\n{told}");
    }
    let chart = std::fs::read_to_string(format!("{folder}/soak.svg")).unwrap();
    assert!(chart.contains("</svg>"));
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
