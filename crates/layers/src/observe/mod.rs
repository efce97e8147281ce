//! Observation: layers that record connections and pairs and change nothing.
//!
//! [`stats`] counts, [`access_log`] writes a record of each connection and pair that has ended,
//! [`traffic_log`] shows the bytes, and [`capture`] writes them as packets.

pub mod access_log;
pub mod capture;
#[cfg(feature = "json")]
mod json;
mod observed;
mod records;
mod redact;
pub mod stats;
pub mod traffic_log;
mod writer;

#[cfg(feature = "json")]
pub use self::json::line as json_line;
pub use self::{
    observed::{Observe, Observed},
    records::Records,
};
