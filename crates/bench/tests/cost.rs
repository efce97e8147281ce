//! What one connection, one round trip and one pair cost, pinned: system calls and allocations to the
//! last, instructions within some per cent.
//!
//! Instructions are those of a build without optimization, as tests are built. Another compiler makes
//! other ones: then, or when a change is worth its cost, pin what is printed.
#![cfg(target_os = "linux")]

use std::process::Command;

/// How far instructions may be off: how often a timer ticks depends on the machine's speed.
const MORE: f64 = 1.03;
const LESS: f64 = 0.93;

/// The end of a line of `count`, its instructions, and its allocations.
const INSTRUCTIONS: [(&str, f64, f64); 4] = [
    ("one round trip, closed", 240_500.0, 22.0),
    ("metrics and an admin endpoint", 244_900.0, 22.0),
    ("a round trip of 64 bytes", 62_500.0, 0.0),
    ("with as many that come", 128_000.0, 6.5),
];

/// The system calls of the command, but for waits, wake-ups and pages.
const CALLS: [&str; 3] = [
    "21 a connection          accept4 2, close 2, connect 1, epoll_ctl 4, getpeername 1, getsockname 1, \
     recvfrom 4, sendto 2, setsockopt 2, shutdown 1, socket 1",
    "4 a round trip          recvfrom 2, sendto 2",
    "24 a pair that connects  accept4 4, close 2, epoll_ctl 4, getsockopt 2, ppoll 4, recvfrom 5, \
     sendto 2, shutdown 1",
];

#[test]
fn a_connection_a_round_trip_and_a_pair_cost_what_is_pinned() {
    let output = Command::new(env!("CARGO_BIN_EXE_couplet-bench"))
        .args(["count", "--waiting=300", "--profile=dev"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{told}");

    for (title, pinned, allocations) in INSTRUCTIONS {
        let line = said.lines().find(|line| line.ends_with(title));
        let line = line.unwrap_or_else(|| panic!("`{title}` is not in\n{said}"));
        let numbers: Vec<f64> = line
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let within = pinned * LESS..=pinned * MORE;
        assert!(
            within.contains(&numbers[0]),
            "{pinned} instructions are pinned:\n{line}"
        );
        assert!((numbers[1] - allocations).abs() < 0.25, "{line}");
    }
    let calls: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("recvfrom"))
        .collect();
    assert_eq!(calls, CALLS);
}
