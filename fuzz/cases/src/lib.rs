//! What the fuzz targets check: one function a target, from the input of the fuzzer to assertions.
//!
//! `cargo test -p couplet-fuzz-cases` runs each on its corpus and on changed copies of the corpus;
//! `.ci/fuzz` runs each under libFuzzer.

mod command;
mod handshakes;
mod keys;
mod mux;
mod noise;
mod preludes;
mod proxies;
mod relay;
mod shown;
mod stranger;
mod transforms;
mod ws;

pub use self::{
    command::{address, command},
    handshakes::{lines, proxy, sniff},
    keys::keys,
    mux::mux,
    noise::noise,
    preludes::{starttls, vsock},
    proxies::{connect, socks},
    relay::relay,
    shown::shown,
    transforms::{compress, frames},
    ws::ws,
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The target's name, and the name of the folder of its corpus.
    pub name: &'static str,
    /// Checks one input.
    pub run: fn(&[u8]),
}

macro_rules! cases {
    ($($name:ident)*) => {
        &[$(Case { name: stringify!($name), run: $name }),*]
    };
}

/// All fuzz targets.
pub const CASES: &[Case] = cases![address command compress connect frames keys lines mux noise proxy relay shown sniff socks starttls vsock ws];

/// Fails if a text that people read has control characters in it: a terminal would obey them.
#[track_caller]
fn assert_printable(text: &str) {
    let control = |c: &char| c.is_control() && *c != '\n';
    let found = text.chars().find(control);
    assert_eq!(found, None, "a control character in {text:?}");
}
