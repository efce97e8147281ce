//! The layers, as options of the command, with real peers.

mod access;
mod access_log;
mod limits;
mod order;
