//! The harness of the black-box tests.
//!
//! A test starts the command with [`Couplet`], in one of the four modes with [`Rig`], and talks to
//! it through real sockets ([`net`]) or real programs ([`Process`]). Three things hold throughout:
//!
//! - Nothing is waited for without a bound ([`LIMIT`]), and nothing by sleeping: for a line of a
//!   log, or [`until`] a condition holds. Where a test does pause, the pause is what it tests: a
//!   server that takes its time, a peer that stays idle.
//! - A process ends with its test. When the test fails, it shows what the process had to say.
//! - No test passes by being left out: a program it [`need`]s and does not find is a failure.

#![expect(
    clippy::unwrap_used,
    reason = "what can't be done here fails the test, and the line says what it was"
)]

mod certificate;
mod couplet;
mod hypervisor;
mod mode;
mod name_server;
mod need;
pub mod net;
pub mod pattern;
mod process;
pub mod schema;
pub mod tshark;
mod wait;

pub use self::{
    certificate::Certificate,
    couplet::{Couplet, example},
    hypervisor::hypervisor,
    mode::{Mode, Rig, over_quic, over_unix},
    name_server::NameServer,
    need::{need, program, python_file, python_program},
    process::{Finished, Process, finish},
    wait::{LIMIT, until},
};

/// The programs of the READMEs compile.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../../README.md")]
    struct Project;
    #[doc = include_str!("../../crates/connector/README.md")]
    struct Connector;
    #[doc = include_str!("../../crates/protocols/README.md")]
    struct Protocols;
}
