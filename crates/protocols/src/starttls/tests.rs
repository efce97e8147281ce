use couplet_endpoint::memory::{self, MemoryStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{conn, read_all};

type Met = Result<Conn<Replay<MemoryStream>>, StartTlsError>;

/// What a peer that says this hears until TLS, and what the handshake makes of it. Without `TLS`, which the peer
/// says last, it ends its stream.
async fn accept(protocol: StartTls, said: &[&[u8]]) -> (Vec<u8>, Met) {
    meet(said, |conn| StartTlsAccept::new(protocol).handshake(conn)).await
}

async fn connect(protocol: StartTls, said: &[&[u8]]) -> (Vec<u8>, Met) {
    meet(said, |conn| StartTlsConnect::new(protocol).handshake(conn)).await
}

async fn meet<F: Future<Output = Met> + Send + 'static>(
    said: &[&[u8]],
    shake: impl FnOnce(Conn<MemoryStream>) -> F,
) -> (Vec<u8>, Met) {
    let (mut peer, io) = memory::connection(64 * 1024);
    for part in said {
        peer.write_all(part).await.unwrap();
    }
    peer.shutdown().await.unwrap();
    let shaking = tokio::spawn(shake(conn(io)));
    let met = shaking.await.unwrap();
    match met {
        Ok(mut conn) => {
            conn.io.shutdown().await.unwrap();
            let heard = read_all(&mut peer).await.0;
            (heard, Ok(conn))
        }
        Err(error) => {
            let mut heard = Vec::new();
            let _ = peer.read_to_end(&mut heard).await;
            (heard, Err(error))
        }
    }
}

const HELLO: &[u8] = b"\x16\x03\x01\x00\x05hello";
const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
const LOGIN: &[u8] = b"\0\0\0\x0d\0\x03\0\0user\0";
const CANCEL_REQUEST: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";

async fn rest(met: Met) -> Vec<u8> {
    let mut conn = met.unwrap();
    read_all(&mut conn.io).await.0
}

#[tokio::test]
async fn a_client_of_postgres_is_answered_and_its_tls_is_left() {
    for (said, heard) in [
        (&[SSL_REQUEST, HELLO][..], &b"S"[..]),
        (&[GSS_REQUEST, SSL_REQUEST, HELLO], b"NS"),
        // Directly.
        (&[HELLO], b""),
    ] {
        let (answers, met) = accept(StartTls::Postgres, said).await;
        assert_eq!(answers, heard);
        assert_eq!(rest(met).await, HELLO);
    }
}

#[tokio::test]
async fn a_client_of_postgres_without_tls_is_told_so() {
    for said in [&[LOGIN][..], &[GSS_REQUEST, LOGIN]] {
        let (answers, met) = accept(StartTls::Postgres, said).await;
        let answers = answers.strip_prefix(b"N").unwrap_or(&answers);
        assert_eq!(answers[0], b'E');
        let len = u32::from_be_bytes(answers[1..5].try_into().unwrap());
        assert_eq!(len as usize, answers.len() - 1);
        assert!(answers.ends_with(b"\0C28000\0Mthis server wants TLS: sslmode=require\0\0"));
        assert!(matches!(met.unwrap_err(), StartTlsError::NotWanted(_)));
    }
    let (answers, met) = accept(StartTls::Postgres, &[CANCEL_REQUEST]).await;
    assert!(answers.is_empty());
    assert!(matches!(met.unwrap_err(), StartTlsError::NotWanted(_)));
}

#[tokio::test]
async fn other_bytes_are_not_of_postgres() {
    for said in [
        &b"GET / HTTP/1.1\r\n"[..],
        // Twice.
        &[GSS_REQUEST, GSS_REQUEST].concat(),
        // TLS behind a word in the clear.
        &[GSS_REQUEST, HELLO].concat(),
        // Of another length.
        b"\0\0\0\x09\x04\xd2\x16\x2f\0",
    ] {
        let (_, met) = accept(StartTls::Postgres, &[said]).await;
        let error = met.unwrap_err();
        assert!(matches!(error, StartTlsError::Foreign(_)), "{said:?}");
        assert_eq!(error.to_string(), "peer does not speak PostgreSQL");
    }
    let (_, met) = accept(StartTls::Postgres, &[&SSL_REQUEST[..7]]).await;
    assert!(matches!(met.unwrap_err(), StartTlsError::Ended));
}

#[tokio::test]
async fn a_server_of_postgres_is_asked() {
    let (asked, met) = connect(StartTls::Postgres, &[b"S", b"behind"]).await;
    assert_eq!(asked, SSL_REQUEST);
    assert_eq!(rest(met).await, b"behind");
    for (answer, error) in [
        (&b"N"[..], "server offers no TLS: its `ssl` is off"),
        (b"E\0\0", "server offers no TLS: it answers with an error"),
        (b"x", "peer does not speak PostgreSQL"),
        (b"", "connection ended before TLS"),
    ] {
        let (_, met) = connect(StartTls::Postgres, &[answer]).await;
        assert_eq!(met.unwrap_err().to_string(), error);
    }
}

#[tokio::test]
async fn a_client_of_smtp_is_answered_until_starttls() {
    let said = b"EHLO client\r\nNOOP\r\nMAIL FROM:<a@b>\r\nSTARTTLS now\r\nfoo\r\nstarttls\r\n";
    let (answers, met) = accept(StartTls::Smtp, &[said, HELLO]).await;
    let answers = String::from_utf8(answers).unwrap();
    let codes: Vec<_> = answers.lines().map(|line| &line[..4]).collect();
    let expected = [
        "220 ", "250-", "250 ", "250 ", "530 ", "501 ", "500 ", "220 ",
    ];
    assert_eq!(codes, expected, "{answers}");
    assert!(answers.starts_with("220 localhost ESMTP\r\n"), "{answers}");
    assert!(answers.contains("\r\n250 STARTTLS\r\n"), "{answers}");
    assert_eq!(rest(met).await, HELLO);
}

#[tokio::test]
async fn a_client_of_smtp_that_does_not_come_to_the_point_is_refused() {
    let (answers, met) = accept(StartTls::Smtp, &[b"QUIT\r\n"]).await;
    assert!(answers.ends_with(b"221 2.0.0 bye\r\n"));
    assert!(matches!(met.unwrap_err(), StartTlsError::NotWanted(_)));
    let long = [b'x'; 600];
    let (answers, met) = accept(StartTls::Smtp, &[&long]).await;
    assert!(answers.ends_with(b"line too long\r\n"));
    assert!(matches!(met.unwrap_err(), StartTlsError::TooLong));
    let (answers, met) = accept(StartTls::Smtp, &[&b"NOOP\r\n".repeat(21)]).await;
    assert!(answers.ends_with(b"421 4.7.0 too many commands\r\n"));
    assert!(matches!(met.unwrap_err(), StartTlsError::TooLong));
    let (_, met) = accept(StartTls::Smtp, &[b"EHLO x"]).await;
    assert!(matches!(met.unwrap_err(), StartTlsError::Ended));
}

#[tokio::test]
async fn a_server_of_smtp_is_asked() {
    let said = b"220-mail\r\n220 ready\r\n250-mail\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 HELP\r\n220 go\r\n";
    let (asked, met) = connect(StartTls::Smtp, &[said, b"behind"]).await;
    assert_eq!(asked, b"EHLO localhost\r\nSTARTTLS\r\n");
    assert_eq!(rest(met).await, b"behind");
    for (said, error) in [
        (
            &b"220 ready\r\n250-mail\r\n250 HELP\r\n"[..],
            "server offers no TLS: STARTTLS is not among its extensions",
        ),
        (
            b"554 go \x1baway\r\n",
            "server offers no TLS: 554 go \\x1baway",
        ),
        (
            b"220 ready\r\n250 STARTTLS\r\n454 not now\r\n",
            "server offers no TLS: 454 not now",
        ),
        (b"SSH-2.0-x\r\n", "peer does not speak SMTP"),
        (b"220x\r\n", "peer does not speak SMTP"),
        (b"220 ready\r\n", "connection ended before TLS"),
    ] {
        let (_, met) = connect(StartTls::Smtp, &[said]).await;
        assert_eq!(met.unwrap_err().to_string(), error);
    }
    let (_, met) = connect(StartTls::Smtp, &[&b"220-x\r\n".repeat(101)]).await;
    assert!(matches!(met.unwrap_err(), StartTlsError::TooLong));
}

#[tokio::test]
async fn both_ends_meet() {
    for protocol in [StartTls::Postgres, StartTls::Smtp] {
        let (one, other) = memory::connection(1024);
        let (accepted, connected) = tokio::join!(
            StartTlsAccept::new(protocol).handshake(conn(one)),
            StartTlsConnect::new(protocol).handshake(conn(other)),
        );
        let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
        connected.io.write_all(HELLO).await.unwrap();
        connected.io.shutdown().await.unwrap();
        assert_eq!(read_all(&mut accepted.io).await.0, HELLO);
    }
}
