//! Bytes whose content does not matter, made as cheaply as possible.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::TcpStream,
};

static CHUNK: [u8; 256 * 1024] = [0; 256 * 1024];

/// Sends this many bytes.
pub(super) async fn send(stream: &TcpStream, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        stream.writable().await?;
        let chunk = &CHUNK[..chunk(bytes)];
        match stream.try_write(chunk) {
            Ok(sent) => bytes -= sent as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Receives this many bytes and lets the system throw them away, uncopied: see `MSG_TRUNC` in
/// tcp(7).
pub(super) async fn discard(stream: &TcpStream, mut bytes: u64) -> io::Result<()> {
    let mut nowhere = Vec::new();
    while bytes > 0 {
        stream.readable().await?;
        nowhere.resize(chunk(bytes), 0);
        let received = stream.try_io(Interest::READABLE, || {
            let (_, received) = recv(stream, &mut nowhere[..], RecvFlags::TRUNC)?;
            Ok(received)
        });
        match received {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => bytes -= received as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends this many bytes through what is no socket.
pub(super) async fn write_out(
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: u64,
) -> io::Result<()> {
    while bytes > 0 {
        bytes -= to.write(&CHUNK[..chunk(bytes)]).await? as u64;
    }
    to.flush().await
}

/// Receives this many bytes from what is no socket.
pub(super) async fn read_away(
    from: &mut (impl AsyncRead + Unpin),
    mut bytes: u64,
) -> io::Result<()> {
    let mut nowhere = vec![0; if bytes > 0 { CHUNK.len() } else { 0 }];
    while bytes > 0 {
        match from.read(&mut nowhere[..chunk(bytes)]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            received => bytes -= received as u64,
        }
    }
    Ok(())
}

fn chunk(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(CHUNK.len(), |bytes| bytes.min(CHUNK.len()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_bytes_discarded_are_those_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let bytes = 3 * CHUNK.len() as u64 + 17;
        tokio::try_join!(send(&client, bytes), discard(&server, bytes)).unwrap();

        send(&client, 1).await.unwrap();
        drop(client);
        let error = discard(&server, 2).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
