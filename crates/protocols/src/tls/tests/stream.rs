//! What is said after the handshake, and how it ends.

use std::{
    io::{self, Write},
    task::Poll,
};

use couplet_endpoint::Io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_test::{assert_pending, assert_ready, task};

use super::*;
use crate::testing::{assert_reset, read_all, read_some};

/// A client taken apart, so that the test sees what it puts on the wire.
struct Apart {
    wire: MemoryStream,
    session: rustls::ClientConnection,
}

/// What ends a script.
#[derive(Clone, Copy, Debug)]
enum Last {
    Fin,
    Reset,
}

// ===== impl Apart =====

impl Apart {
    /// The records that say this.
    fn says(&mut self, text: &[u8]) -> Vec<u8> {
        self.session.writer().write_all(text).unwrap();
        self.records()
    }

    fn says_goodbye(&mut self) -> Vec<u8> {
        self.session.send_close_notify();
        self.records()
    }

    fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut records).unwrap();
        }
        records
    }

    /// What the server puts on the wire next.
    async fn hears(&mut self) -> (Vec<u8>, rustls::IoState) {
        let mut records = vec![0; 4096];
        let n = self.wire.read(&mut records).await.unwrap();
        self.session.read_tls(&mut &records[..n]).unwrap();
        let state = self.session.process_new_packets().unwrap();
        let mut heard = vec![0; state.plaintext_bytes_to_read()];
        io::Read::read_exact(&mut self.session.reader(), &mut heard).unwrap();
        (heard, state)
    }
}

/// A server, and a client that is none of ours.
async fn apart() -> (TlsIo<MemoryStream>, Apart) {
    let ca = Ca::new();
    let accept = ca.accept_without_tickets();
    apart_from(&accept, &ca).await
}

async fn apart_from(accept: &TlsAccept, ca: &Ca) -> (TlsIo<MemoryStream>, Apart) {
    let (server, client) = memory::connection(64 * 1024);
    let config = TlsConnectConfig::with_roots(ca.roots()).build().unwrap();
    let name = "server.test".try_into().unwrap();
    let accepting = accept.handshake(Conn::new(server, Origin::Accepted));
    let connecting = TlsConnector::from(config).connect(name, client);
    let (server, client) = tokio::join!(accepting, connecting);
    let (wire, session) = client.unwrap().into_inner();
    (server.unwrap().io, Apart { wire, session })
}

fn is_cut(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    error.kind() == io::ErrorKind::UnexpectedEof && matches!(cause, Some(TlsError::Truncated))
}

// ===== reading =====

#[tokio::test]
async fn bytes_arrive_wherever_the_stream_is_cut() {
    let len = {
        let (_, mut client) = apart().await;
        client.says(b"hello").len() + client.says(b"world").len() + client.says_goodbye().len()
    };
    for cut in 0..=len {
        let (mut server, mut client) = apart().await;
        let script = [
            client.says(b"hello"),
            client.says(b"world"),
            client.says_goodbye(),
        ]
        .concat();
        assert_eq!(script.len(), len);
        let mut heard = Vec::new();
        {
            let mut reading = task::spawn(server.read_to_end(&mut heard));
            client.wire.write_all(&script[..cut]).await.unwrap();
            if let Poll::Ready(read) = reading.poll() {
                assert_eq!(cut, len);
                read.unwrap();
            } else {
                client.wire.write_all(&script[cut..]).await.unwrap();
                assert_ready!(reading.poll()).unwrap();
            }
        }
        assert_eq!(heard, b"helloworld");
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error_wherever_it_comes() {
    let (_, mut client) = apart().await;
    let hello = client.says(b"hello").len();
    let whole = hello + client.says_goodbye().len();
    for truncation in [Truncation::Refuse, Truncation::Tolerate] {
        for cut in 0..=whole {
            for last in [Last::Fin, Last::Reset] {
                let (mut server, mut client) = apart().await;
                server.truncation = truncation;
                let script = [client.says(b"hello"), client.says_goodbye()].concat();
                client.wire.write_all(&script[..cut]).await.unwrap();
                if let Last::Reset = last {
                    client.wire.abort();
                }
                drop(client);

                let (heard, end) = read_all(&mut server).await;
                let came = if cut < hello { &b""[..] } else { b"hello" };
                assert_eq!(heard, came, "cut at {cut}");
                let between = cut == 0 || cut == hello;
                match (last, truncation) {
                    _ if cut == whole => end.unwrap(),
                    (Last::Reset, _) => assert_reset(&end),
                    (_, Truncation::Tolerate) if between => end.unwrap(),
                    _ => {
                        assert!(is_cut(&end.unwrap_err()), "cut at {cut}");
                        // Once it is known, it stays so.
                        let again = server.read(&mut [0]).await.unwrap_err();
                        assert_eq!(again.kind(), io::ErrorKind::UnexpectedEof);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn bytes_before_garbage_are_read_first() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[23, 3, 3, 0, 20, 0],
        &[0; 64],
    ] {
        let (mut server, mut client) = apart().await;
        let mut script = client.says(b"hello");
        script.extend_from_slice(garbage);
        script.extend_from_slice(&[0; 64]);
        client.wire.write_all(&script).await.unwrap();
        let (heard, end) = read_all(&mut server).await;
        assert_eq!(heard, b"hello");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
        // And its peer is told.
        let mut alert = [0; 1];
        client.wire.read_exact(&mut alert).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_of_single_bytes_gets_them_all() {
    let (mut server, mut client) = apart().await;
    let script = [client.says(b"hello"), client.says_goodbye()].concat();
    client.wire.write_all(&script).await.unwrap();
    for byte in b"hello" {
        assert_eq!(server.read_u8().await.unwrap(), *byte);
    }
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_may_just_close_once_the_server_has_finished() {
    for cut in [0, 1] {
        let (mut server, mut client) = apart().await;
        server.shutdown().await.unwrap();
        let script = client.says(b"hello");
        client
            .wire
            .write_all(&script[..script.len() - cut])
            .await
            .unwrap();
        drop(client);
        let (heard, end) = read_all(&mut server).await;
        match cut {
            0 => {
                assert_eq!(heard, b"hello");
                end.unwrap();
            }
            // Half a record is no end.
            _ => assert!(is_cut(&end.unwrap_err())),
        }
    }
}

#[tokio::test]
async fn a_server_that_just_closes_was_cut_though_the_client_has_finished() {
    let (mut server, mut client) = joined(64 * 1024).await;
    client.shutdown().await.unwrap();
    server.write_all(b"half").await.unwrap();
    server.flush().await.unwrap();
    drop(server);
    let (heard, end) = read_all(&mut client).await;
    assert_eq!(heard, b"half");
    assert!(is_cut(&end.unwrap_err()));
}

#[tokio::test]
async fn a_session_may_change_its_keys() {
    let (mut server, mut client) = apart().await;
    for _ in 0..3 {
        client.session.refresh_traffic_keys().unwrap();
        let script = client.says(b"hello");
        client.wire.write_all(&script).await.unwrap();
        assert_eq!(read_some(&mut server, 5).await, b"hello");
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(client.hears().await.0, b"answer");
    }
}

/// A message that is spread over records, some of which have come, is no obstacle to a writer.
#[tokio::test]
async fn a_client_writes_in_the_middle_of_a_session_ticket() {
    let ca = Ca::new();
    let mut config = Arc::unwrap_or_clone(ca.accept(&["server.test"]).config());
    config.max_fragment_size = Some(32);
    let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let (mut wire, io) = memory::connection(64 * 1024);
    let mut come = vec![0; 64 * 1024];
    let connect = ca.connect();
    let mut connecting =
        task::spawn(connect.handshake(Conn::new(io, couplet_endpoint::Origin::Dialled)));
    assert_pending!(connecting.poll());
    let mut answer = async |wire: &mut MemoryStream| {
        let n = wire.read(&mut come).await.unwrap();
        server.read_tls(&mut &come[..n]).unwrap();
        let state = server.process_new_packets().unwrap();
        let mut heard = vec![0; state.plaintext_bytes_to_read()];
        io::Read::read_exact(&mut server.reader(), &mut heard).unwrap();
        let mut records = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut records).unwrap();
        }
        (heard, records)
    };
    let (_, flight) = answer(&mut wire).await;
    wire.write_all(&flight).await.unwrap();
    let mut client = assert_ready!(connecting.poll()).unwrap().io;
    let (_, tickets) = answer(&mut wire).await;
    assert!(tickets.len() > 3 * 32);

    let mut buf = [0];
    for byte in tickets {
        wire.write_all(&[byte]).await.unwrap();
        assert_pending!(task::spawn(client.read(&mut buf)).poll());
        client.write_all(b"x").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(answer(&mut wire).await.0, b"x");
    }
}

#[tokio::test]
async fn a_reader_with_much_room_gets_all_records_that_have_come() {
    let (mut server, mut client) = apart().await;
    let script: Vec<_> = (0..9).flat_map(|n| client.says(&[n; 1000])).collect();
    client.wire.write_all(&script).await.unwrap();
    for (room, expected) in [(500, 500), (4000, 3500), (64 * 1024, 5000)] {
        let mut heard = vec![0; room];
        assert_eq!(server.read(&mut heard).await.unwrap(), expected);
    }
}

#[test]
fn a_session_is_small() {
    let size = size_of::<crate::tls::stream::Stream<couplet_endpoint::BoxIo>>();
    assert!(size <= 1400, "{size}");
}

// ===== half-close =====

#[tokio::test]
async fn either_half_ends_by_itself() {
    let (mut server, mut client) = joined(64 * 1024).await;
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.0, b"answer");
    for _ in 0..3 {
        client.write_all(b"still here").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(read_some(&mut server, 10).await, b"still here");
    }
    client.shutdown().await.unwrap();
    let (rest, end) = read_all(&mut server).await;
    assert!(rest.is_empty());
    end.unwrap();
}

#[tokio::test]
async fn a_shutdown_sends_a_close_notify_and_nothing_more() {
    let (mut server, mut client) = apart().await;
    server.shutdown().await.unwrap();
    let (_, state) = client.hears().await;
    assert!(state.peer_has_closed());
    let mut buf = [0];
    assert_pending!(task::spawn(client.wire.read(&mut buf)).poll());

    // The reading half goes on; once it has ended too, so may the connection.
    let script = [client.says(b"hello"), client.says_goodbye()].concat();
    client.wire.write_all(&script).await.unwrap();
    assert_eq!(read_all(&mut server).await.0, b"hello");
    assert_pending!(task::spawn(client.wire.read(&mut buf)).poll());
    server.shutdown().await.unwrap();
    assert_eq!(client.wire.read(&mut buf).await.unwrap(), 0);
}

#[tokio::test]
async fn the_peer_that_ends_last_closes_the_connection() {
    let (mut server, mut client) = apart().await;
    let goodbye = client.says_goodbye();
    client.wire.write_all(&goodbye).await.unwrap();
    read_all(&mut server).await.1.unwrap();
    server.write_all(b"late").await.unwrap();
    server.shutdown().await.unwrap();
    let (heard, state) = client.hears().await;
    assert_eq!(heard, b"late");
    assert!(state.peer_has_closed());
    assert_eq!(client.wire.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dropped_stream_sends_no_close_notify() {
    let (mut server, mut client) = joined(64 * 1024).await;
    server.write_all(b"half").await.unwrap();
    drop(server);
    let (heard, end) = read_all(&mut client).await;
    assert_eq!(heard, b"half");
    assert!(is_cut(&end.unwrap_err()));
}

#[tokio::test]
async fn an_aborted_stream_resets() {
    let (mut server, mut client) = joined(64 * 1024).await;
    server.abort();
    drop(server);
    assert!(client.take_error().is_some());
    assert_reset(&read_all(&mut client).await.1);
}

// ===== writing =====

#[tokio::test]
async fn a_reader_that_stops_stops_its_writer() {
    let (mut server, mut client) = joined(1024).await;
    let mut accepted = 0;
    let chunk = [7; 64 * 1024];
    loop {
        let mut writing = task::spawn(server.write(&chunk));
        match writing.poll() {
            Poll::Ready(n) => accepted += n.unwrap(),
            Poll::Pending => break,
        }
        assert!(accepted < 1024 * 1024, "it takes all there is");
    }
    assert!(accepted <= 128 * 1024, "it holds {accepted} bytes");

    // None of it is lost.
    let flushing = async {
        server.flush().await.unwrap();
        server.shutdown().await.unwrap();
    };
    let reading = read_all(&mut client);
    let ((), (heard, end)) = tokio::join!(flushing, reading);
    end.unwrap();
    assert_eq!(heard.len(), accepted);
    assert!(heard.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn a_flush_leaves_nothing_behind() {
    let (mut server, mut client) = joined(16).await;
    for text in [&b"a"[..], b"somewhat longer than the wire"] {
        let writing = async {
            server.write_all(text).await.unwrap();
            server.flush().await.unwrap();
        };
        let ((), heard) = tokio::join!(writing, read_some(&mut client, text.len()));
        assert_eq!(heard, text);
    }
}
