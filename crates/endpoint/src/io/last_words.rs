use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::Io;

/// How much is read of a peer that is told its last words, and thrown away.
const LINGER: u64 = 64 * 1024;

/// Says something to a peer that is refused, and closes its connection: writes the words, ends the
/// stream, and reads what still comes, up to 64 KiB, until the peer closes.
///
/// Because a connection that is closed with bytes unread is reset, and the reset overtakes the
/// words: see RFC 1122, section 4.2.2.13.
///
/// It takes at most the time `within`. Dropping the future closes the connection at once.
pub async fn last_words(io: impl Io, words: &[u8], within: Duration) {
    // Who does not listen, or has gone, is not told.
    let _ = timeout(within, say(io, words)).await;
}

async fn say(mut io: impl Io, words: &[u8]) -> io::Result<()> {
    io.write_all(words).await?;
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(LINGER), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn they_are_heard_by_one_who_was_still_talking() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (io, _) = listener.accept().await.unwrap();
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        let saying = tokio::spawn(last_words(io, b"no\n", Duration::from_secs(60)));
        // So that it has been said, and would have been closed.
        peer.readable().await.unwrap();
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "no\n");
        drop(peer);
        saying.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_holds_it_up() {
        let second = Duration::from_secs(1);
        let begin = tokio::time::Instant::now();
        let (io, _does_not_read) = crate::memory::connection(2);
        last_words(io, b"no\n", second).await;
        assert_eq!(begin.elapsed(), second);
        let (io, _does_not_close) = crate::memory::connection(3);
        last_words(io, b"no\n", second).await;
        assert_eq!(begin.elapsed(), 2 * second);
    }
}
