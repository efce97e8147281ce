//! Admission: whether a connection may go on, and how many may at once.
//!
//! [`access`] decides by address or by a closure, [`limits`] bounds the connections of an address
//! and of all, [`live_limit`] bounds the open ones without accepting more, and [`attempts`] refuses
//! or delays addresses whose handshakes keep failing.

pub mod access;
pub mod attempts;
pub mod limits;
pub mod live_limit;
