//! Endpoints that dial: streams of the connections that a dial makes.
//!
//! | stream | connections | a failed dial |
//! |---|---|---|
//! | [`once()`] | one | is its only item |
//! | [`repeat()`] | one after the other | is dialled again |
//! | [`pool()`] | several waiting side by side | is dialled again |
//! | [`pool_each()`] | several at each address of a name | is dialled again |
//!
//! All of them are idle until they are polled, and work with any service that makes connections.

mod each;
mod once;
mod pool;
mod repeat;

pub use self::{
    each::{PoolEach, pool_each},
    once::{Once, once},
    pool::{Pool, PoolStatus, PoolWatch, pool},
    repeat::{Repeat, repeat},
};

#[cfg(test)]
mod script;
