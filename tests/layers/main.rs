//! The layers, as options of the command, with real peers.

mod access;
mod access_log;
mod compress;
mod limits;
mod order;
mod proxy_protocol;
mod sniff;
