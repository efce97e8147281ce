//! Connects to a port of a virtual machine through the Unix socket of its hypervisor: Firecracker or
//! cloud-hypervisor.
//!
//! ```text
//!  us ── CONNECT 5000\n ──▶ the hypervisor's Unix socket ──▶ port 5000 of the machine
//!     ◀── OK 1073741824\n ──
//! ```
//!
//! The number of the answer is the port that the machine sees as ours. A hypervisor closes the connection where no
//! program of the machine listens.
//!
//! **Where:** first on the stack of a dialled Unix socket. **Splice:** until what was read ahead is delivered.
//! **Bounds:** a line of 32 bytes is read. **Errors:** [`VsockConnectError`].
//!
//! ```
//! use couplet_endpoint::UnixDial;
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::VsockConnect;
//!
//! let dial = UnixDial::to("/run/vm.sock")?;
//! let layer = HandshakeLayer::new(VsockConnect::new(5000));
//! # Ok::<(), couplet_endpoint::AddressError>(())
//! ```

use std::io;

use couplet_endpoint::{Conn, Io, Replay};
use couplet_layers::{Handshake, LineError, take_line};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

/// The longest answer, its line feed among it.
const LONGEST: usize = 32;

/// Asks a hypervisor for a port of its virtual machine. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct VsockConnect(u32);

/// The hypervisor has not connected the port.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VsockConnectError {
    /// The connection was closed.
    #[error("hypervisor closed the connection: no program of the machine listens on port {0}")]
    Closed(u32),
    /// The answer is another.
    #[error("hypervisor answers `{0}` where `OK PORT` would be right")]
    Answer(String),
    /// The connection failed.
    #[error("connection to the hypervisor failed")]
    Io(#[from] io::Error),
}

// ===== impl VsockConnect =====

impl VsockConnect {
    /// Asks for this port.
    pub const fn new(port: u32) -> Self {
        Self(port)
    }

    async fn ask<I: Io>(self, io: &mut Replay<I>) -> Result<(), VsockConnectError> {
        io.write_all(format!("CONNECT {}\n", self.0).as_bytes())
            .await?;
        io.flush().await?;
        let line = match take_line(io, LONGEST).await {
            Ok(line) => line,
            Err(LineError::Ended) => return Err(VsockConnectError::Closed(self.0)),
            Err(LineError::TooLong(_)) => {
                let said = io.ahead()[..LONGEST].escape_ascii().to_string();
                return Err(VsockConnectError::Answer(said));
            }
            // Firecracker resets.
            Err(LineError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(VsockConnectError::Closed(self.0));
            }
            Err(LineError::Io(error)) => return Err(error.into()),
        };
        let port = line.strip_prefix(b"OK ");
        let is_port = |port: &[u8]| !port.is_empty() && port.iter().all(u8::is_ascii_digit);
        match port.is_some_and(is_port) {
            true => Ok(()),
            false => Err(VsockConnectError::Answer(line.escape_ascii().to_string())),
        }
    }
}

impl<I: Io> Handshake<Conn<I>> for VsockConnect {
    type Output = Conn<Replay<I>>;
    type Error = VsockConnectError;
    type Future = BoxFuture<'static, Result<Self::Output, VsockConnectError>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let ask = *self;
        async move {
            let mut conn = conn.map_io(Replay::new);
            ask.ask(&mut conn.io).await?;
            Ok(conn)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::memory;

    use super::*;
    use crate::testing::{conn, read_all};

    async fn answered(answer: &[u8]) -> Result<Vec<u8>, VsockConnectError> {
        let (mut peer, io) = memory::connection(256);
        peer.write_all(answer).await.unwrap();
        peer.shutdown().await.unwrap();
        let mut conn = VsockConnect::new(5000).handshake(conn(io)).await?;
        conn.io.shutdown().await.unwrap();
        assert_eq!(read_all(&mut peer).await.0, b"CONNECT 5000\n");
        Ok(read_all(&mut conn.io).await.0)
    }

    #[tokio::test]
    async fn the_bytes_behind_the_answer_are_left() {
        for ok in [&b"OK 1073741824\n"[..], b"OK 7\r\n"] {
            let greeting = [ok, b"hello"].concat();
            assert_eq!(answered(&greeting).await.unwrap(), b"hello");
        }
    }

    #[tokio::test]
    async fn another_answer_is_an_error() {
        for (answer, text) in [
            (
                &b""[..],
                "hypervisor closed the connection: no program of the machine listens on port 5000",
            ),
            (
                b"OK\n",
                "hypervisor answers `OK` where `OK PORT` would be right",
            ),
            (
                b"OK 1a\n",
                "hypervisor answers `OK 1a` where `OK PORT` would be right",
            ),
            (
                b"\x1b[2J\n",
                "hypervisor answers `\\x1b[2J` where `OK PORT` would be right",
            ),
            (
                &[b'x'; 40],
                "hypervisor answers `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` where `OK PORT` would be right",
            ),
        ] {
            let error = answered(answer).await.unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
