//! Bounds of a session: its idle time, its lifetime, its bandwidth and its bytes.
//!
//! These layers watch the session's meter, wrap no io and keep splice.

pub mod bandwidth;
pub mod idle_timeout;
pub mod max_lifetime;
pub mod quota;
#[cfg(test)]
mod tests;
pub mod timed;
