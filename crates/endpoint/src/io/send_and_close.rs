use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::Io;

/// The most bytes read and discarded after the reply.
const LINGER: u64 = 64 * 1024;

/// Sends a reply to a peer that is refused, and closes its connection: writes the bytes, ends the
/// stream, and reads what still comes, up to 64 KiB, until the peer closes.
///
/// A connection that is closed with bytes unread would be reset, and the reset would overtake the
/// reply: see RFC 1122, section 4.2.2.13.
///
/// Takes at most the time `within`, and reports no error. Dropping the future closes the connection at
/// once.
pub async fn send_and_close(io: impl Io, bytes: &[u8], within: Duration) {
    // A peer that does not read, or is gone, misses the reply.
    let _ = timeout(within, send(io, bytes)).await;
}

async fn send(mut io: impl Io, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(LINGER), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_was_still_sending_receives_the_reply() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (io, _) = listener.accept().await.unwrap();
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        let sending = tokio::spawn(send_and_close(io, b"no\n", Duration::from_secs(60)));
        // So that the reply is sent, and the connection would have been closed.
        peer.readable().await.unwrap();
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "no\n");
        drop(peer);
        sending.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_delays_the_close_for_a_bounded_time() {
        let second = Duration::from_secs(1);
        let begin = tokio::time::Instant::now();
        let (io, _does_not_read) = crate::memory::connection(2);
        send_and_close(io, b"no\n", second).await;
        assert_eq!(begin.elapsed(), second);
        let (io, _does_not_close) = crate::memory::connection(3);
        send_and_close(io, b"no\n", second).await;
        assert_eq!(begin.elapsed(), 2 * second);
    }
}
