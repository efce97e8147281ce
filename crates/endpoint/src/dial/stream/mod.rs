//! Endpoints that dial: streams of the connections that a dial makes.
//!
//! | stream | connections | a failed dial |
//! |---|---|---|
//! | [`once()`] | one | is its only item |
//! | [`repeat()`] | one after the other | is dialled again |
//! | [`keep()`] | several waiting side by side | is dialled again |
//!
//! All of them are idle until they are polled, and work with any service that makes connections.

mod keep;
mod once;
mod place;
mod repeat;

pub use self::{
    keep::{Keep, keep},
    once::{Once, once},
    place::Pooled,
    repeat::{Repeat, repeat},
};

#[cfg(test)]
mod script;
