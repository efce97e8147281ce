//! The layers, as options of the command, with real peers.

mod access_log;
mod order;
