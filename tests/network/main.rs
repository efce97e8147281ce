//! Bad networks: packets that are lost, delayed, reordered, doubled, changed; narrow links, small
//! ones, and such as go away.
//!
//! Needs root, for namespaces and TUN devices. Elsewhere these tests fail, unless they are told to be
//! left out: `COUPLET_SKIP_NETWORK=1`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod bytes;
#[path = "../programs/crowd.rs"]
mod crowd;
mod disk;
mod each;
mod flap;
mod link;
#[path = "../programs/match_maker.rs"]
#[expect(dead_code, reason = "only its programs are run here")]
mod match_maker;
mod meeting;
mod mesh;
mod multipath;
mod names;
mod ports;
mod service_page;
mod vanish;

/// Whether to do it: as root, or not at all.
fn is_wanted() -> bool {
    if std::env::var_os("COUPLET_SKIP_NETWORK").is_some_and(|value| value == "1") {
        eprintln!("NOT TESTED: bad networks, because of COUPLET_SKIP_NETWORK=1");
        return false;
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "the tests of bad networks need root, for namespaces and TUN devices: \
         run them with sudo, or leave them out with COUPLET_SKIP_NETWORK=1"
    );
    true
}
