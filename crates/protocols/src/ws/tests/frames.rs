//! What is read of a client's frames.

use std::io::ErrorKind;

use super::*;

/// What a server's end reads of these bytes, cut at `cut`.
async fn reads(fields: &str, bytes: &[u8], cut: usize) -> (Vec<u8>, Result<(), String>) {
    let (mut server, mut client) = with_script(fields, accept()).await;
    client.write_all(&bytes[..cut]).await.unwrap();
    let (mut heard, mut piece) = (Vec::new(), [0; 7]);
    loop {
        let read = futures::poll!(std::pin::pin!(server.read(&mut piece)));
        match read {
            std::task::Poll::Ready(Ok(n @ 1..)) => heard.extend_from_slice(&piece[..n]),
            std::task::Poll::Ready(Ok(_)) => return (heard, Ok(())),
            std::task::Poll::Ready(Err(error)) => return (heard, Err(of(&error))),
            std::task::Poll::Pending => break,
        }
    }
    let _ = client.write_all(&bytes[cut..]).await;
    let (rest, end) = read_all(&mut server).await;
    heard.extend(rest);
    (heard, end.map_err(|error| of(&error)))
}

fn of(error: &std::io::Error) -> String {
    crate::testing::chain(error)
}

fn close(code: u16) -> Vec<u8> {
    masked(0x88, &code.to_be_bytes())
}

#[tokio::test]
async fn frames_may_be_cut_anywhere() {
    let long = vec![b'x'; 300];
    let script = [
        masked(0x82, b"one"),
        masked(0x89, b"ping"),
        masked(0x02, b"two"),
        masked(0x8A, b"unasked"),
        masked(0x00, b""),
        masked(0x80, b"three"),
        masked(0x81, b"text"),
        masked(0x82, b""),
        masked(0x82, &long),
        close(1000),
        b"behind the Close".to_vec(),
    ]
    .concat();
    let expected = [&b"onetwothreetext"[..], &long].concat();
    for cut in 0..script.len() {
        let (heard, end) = reads("", &script, cut).await;
        assert_eq!((heard, end), (expected.clone(), Ok(())), "{cut}");
    }
}

#[tokio::test]
async fn a_frame_longer_than_any_buffer_goes_on_as_it_comes() {
    let bytes: Vec<_> = (0..200_000u32).map(|n| n as u8).collect();
    let script = [masked(0x82, &bytes), close(1000)].concat();
    let (heard, end) = reads("", &script, 0).await;
    assert_eq!(end, Ok(()));
    assert!(heard == bytes);
    // And of one of 2^62 bytes what is there can be read.
    let mut endless = vec![0x82, 0xFF];
    endless.extend((1u64 << 62).to_be_bytes());
    endless.extend([0; 4]);
    endless.extend(b"much");
    let (mut server, mut client) = with_script("", accept()).await;
    client.write_all(&endless).await.unwrap();
    let mut heard = [0; 4];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"much");
}

#[tokio::test]
async fn a_bad_frame_is_an_error_behind_what_came_before() {
    let mut unmasked = vec![0x82, 2];
    unmasked.extend(b"no");
    let mut long_form = vec![0x82, 0x80 | 126, 0, 5, 0, 0, 0, 0];
    long_form.extend(b"12345");
    let mut huge = vec![0x82, 0xFF];
    huge.extend((1u64 << 63).to_be_bytes());
    huge.extend([0; 4]);
    for (fields, bad, told) in [
        ("", unmasked, "without a mask"),
        ("", long_form, "shortest form"),
        ("", huge, "shortest form"),
        ("", masked(0xC2, b"x"), "extension"),
        ("", masked(0x83, b"x"), "unknown kind"),
        ("", masked(0x8B, b"x"), "unknown kind"),
        ("", masked(0x09, b"x"), "control frame"),
        ("", masked(0x89, &[0; 126]), "control frame"),
        ("", masked(0x80, b"x"), "fragment"),
        (
            "",
            [masked(0x02, b""), masked(0x82, b"")].concat(),
            "fragment",
        ),
        ("", masked(0x88, b"x"), "must not be sent"),
        ("", close(1005), "must not be sent"),
        ("", close(999), "must not be sent"),
        ("", close(1001), "closed with code 1001"),
        (
            "",
            masked(0x88, b"\x03\xF3\x1b[2J"),
            "closed with code 1011: \\u{1b}[2J",
        ),
        (EXACTLY, close(1011), "closed with code 1011"),
    ] {
        let script = [masked(0x82, b"before"), bad].concat();
        for cut in 0..script.len() {
            let (heard, end) = reads(fields, &script, cut).await;
            assert_eq!(heard, b"before", "{told}");
            let error = end.unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}

#[tokio::test]
async fn a_peer_with_a_bad_frame_is_told() {
    let (mut server, mut client) = with_script("", accept()).await;
    client.write_all(&[0x82, 0]).await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let mut close = [0; 4];
    client.read_exact(&mut close).await.unwrap();
    assert_eq!(close, [0x88, 2, 3, 0xEA]);
    server.write_all(b"x").await.unwrap_err();
}

#[tokio::test]
async fn a_connection_that_ends_without_a_close_is_cut() {
    let script = [masked(0x82, b"one"), masked(0x82, b"two")].concat();
    for len in 0..=script.len() {
        let (mut server, mut client) = with_script(EXACTLY, accept()).await;
        client.write_all(&script[..len]).await.unwrap();
        drop(client);
        let (heard, end) = read_all(&mut server).await;
        assert!(b"onetwo".starts_with(&heard[..]));
        assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{len}");
    }
}

#[tokio::test]
async fn what_is_written_is_masked_by_the_client_alone() {
    let (server, mut client) = with_script("", accept()).await;
    let mut server = server;
    server.write_all(b"hello").await.unwrap();
    server.flush().await.unwrap();
    let mut frame = [0; 7];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x82\x05hello");

    let (far, near) = memory::connection(64 * 1024);
    let connecting = connect().handshake(Conn::new(near, Origin::Dialled));
    let accepting = accept().handshake(Conn::new(far, Origin::Accepted));
    let (client, server) = tokio::join!(connecting, accepting);
    let (mut client, mut wire) = (client.unwrap().io, server.unwrap().io.into_inner());
    client.write_all(b"hello").await.unwrap();
    client.flush().await.unwrap();
    let mut frame = [0; 11];
    wire.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..2], [0x82, 0x85]);
    let mask: [u8; 4] = frame[2..6].try_into().unwrap();
    let carried: Vec<_> = frame[6..]
        .iter()
        .zip(mask.iter().cycle())
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(carried, b"hello");
}
