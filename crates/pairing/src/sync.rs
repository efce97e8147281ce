//! What those parts are made of that tasks share without a lock around them. The package in `models/`
//! compiles these parts with loom's types in place of these, and tries every order of their steps.

pub(crate) use futures::task::AtomicWaker;
pub(crate) use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};
