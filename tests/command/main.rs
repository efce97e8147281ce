//! The command line: what it takes, prints and returns.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod bounds;
mod config;
mod docs;
mod explain;
mod habits;
mod impossible;
mod kept;
mod killed;
mod mistakes;
mod mistakes_table;
mod names;
mod options;
mod output;
mod reconnect;
mod reload;
mod service;
mod srv;
mod status;
mod stdio;
mod systemd;
mod take_over;
mod token;
mod tools;
