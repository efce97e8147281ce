//! [`TrafficLog`]: the bytes of a pair, shown as they are read.
//!
//! ```text
//!  TrafficLogLayer ──layer──▶ TrafficLog ──wraps──▶ Logged<A>, Logged<B>
//!                                                      │ what is read
//!                                                 DirectionLog ──text, hex or JSON──▶ Sink
//! ```

mod colour;
mod direction;
mod hex;
#[cfg(feature = "json")]
mod json;
mod layer;
mod settings;
mod sink;
mod text;

#[cfg(test)]
mod tests;

pub use self::{
    colour::Colour,
    direction::{DirectionLog, Logged},
    layer::TrafficLogLayer,
};

use crate::mapped::Mapped;

/// Logs the bytes of the pairs it passes on: see [`TrafficLogLayer`].
pub type TrafficLog<S> = Mapped<TrafficLogLayer, S>;
