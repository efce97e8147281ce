//! The primitives of lock-free parts. The package in `models/` compiles those parts with loom's types in
//! place of these, and tries every order of their steps.

pub(crate) use futures::task::AtomicWaker;
pub(crate) use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};
