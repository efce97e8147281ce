//! The layers, as options of the command, with real peers.

mod order;
