use tokio_util::either::Either;

use super::Io;

/// One of two streams, for connections that are made in two ways: neither has to be boxed.
impl<L: Io, R: Io> Io for Either<L, R> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        match self {
            Self::Left(io) => Some(io),
            Self::Right(io) => Some(io),
        }
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<super::Socket<'_>> {
        match self {
            Self::Left(io) => io.splice_source(),
            Self::Right(io) => io.splice_source(),
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<super::Socket<'_>> {
        match self {
            Self::Left(io) => io.splice_sink(),
            Self::Right(io) => io.splice_sink(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::memory::{self, MemoryStream};

    #[tokio::test]
    async fn either_is_reset_when_it_is_aborted() {
        for wrap in [Either::Left, Either::Right] {
            let (mut peer, io) = memory::connection(1);
            let mut io: Either<MemoryStream, MemoryStream> = wrap(io);
            io.abort();
            drop(io);
            let error = peer.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
}
