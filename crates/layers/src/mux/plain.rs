use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use couplet_endpoint::Conn;

use crate::Handshake;

/// No handshake: a carrier is used as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<I> Handshake<Conn<I>> for Plain {
    type Output = Conn<I>;
    type Error = Infallible;
    type Future = Ready<Result<Conn<I>, Infallible>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        ready(Ok(conn))
    }
}
