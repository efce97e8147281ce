//! The command line: what it takes, prints and returns.

mod mistakes;
mod options;
mod output;
mod reconnect;
mod status;
mod token;
mod tools;
