//! Admission: whether a connection may go on, and how many may at once.
//!
//! [`access`] decides by address or by a closure, [`limits`] bounds the connections of an address
//! and of all, [`live_limit`] bounds the open ones without accepting more, and [`attempts`] refuses
//! or delays addresses whose handshakes keep failing. [`hand_over`] leads connections to other relays of
//! the process.

pub mod access;
pub mod attempts;
pub mod hand_over;
pub mod limits;
pub mod live_limit;

use std::future::Ready;

use couplet_endpoint::BoxError;
use futures::future::{BoxFuture, Either, ErrInto};

/// The future of the service within, or a refusal at once.
pub(crate) type OrRefused<F, T> = Either<ErrInto<F, BoxError>, Ready<Result<T, BoxError>>>;

/// A future that comes after a wait, boxed, as few connections wait; or a refusal at once.
pub(crate) type Late<T> =
    Either<BoxFuture<'static, Result<T, BoxError>>, Ready<Result<T, BoxError>>>;
