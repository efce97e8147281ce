//! What holds in every mode of the command.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod bytes;
mod dns;
mod ends;
mod exec;
mod limits;
mod mptcp;
mod names;
mod stop;
mod targets;
mod unix;
mod vsock;
