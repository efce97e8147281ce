//! Any bytes at all.

use super::*;

/// Reads whatever it is given; what it does not take for a header it leaves as it is.
fn survives(sent: &[u8], cut: usize) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let (one, two) = sent.split_at(cut.min(sent.len()));
        if let Ok(conn) = expect(accepted(), &[one, two]).await {
            let proxied = conn.info.extensions.get::<Proxied>().cloned();
            if let Some(proxied) = &proxied {
                let _ = format!("{proxied:?}{:?}", proxied.common_name());
                prop_assert!(proxied.tlvs().count() < 1400);
            }
            let rest = rest(conn).await;
            prop_assert!(sent.ends_with(&rest));
            prop_assert_eq!(rest.len() < sent.len(), proxied.is_some());
        }
        Ok(())
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(sent in vec(any::<u8>(), 0..300), cut in 0..300_usize) {
        for start in [&b""[..], b"PROXY ", b"PROXY TCP4 ", V2_START, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x40"] {
            survives(&[start, &sent].concat(), cut)?;
        }
    }

    #[test]
    fn a_header_with_one_byte_changed_makes_no_panic(at in 0..80_usize, byte: u8, cut in 0..80_usize) {
        let tlvs: &[&[u8]] = &[TCP4, b"\x02\0\x0bexample.org", b"\x20\0\x0a\x07\0\0\0\0\x22\0\x02cn"];
        for mut header in [V1.to_vec(), v2(0x21, 0x11, tlvs)] {
            let at = at % header.len();
            header[at] = byte;
            header.extend(b"rest");
            survives(&header, cut)?;
        }
    }

    #[test]
    fn a_header_that_is_sent_is_read(
        peer: SocketAddr,
        local: SocketAddr,
        tlvs in vec((0x30..=0xff_u8, vec(any::<u8>(), 0..100)), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let client = client(&peer.to_string(), &local.to_string());
            let added: Vec<_> = tlvs.iter().map(|(kind, value)| Tlv::new(*kind, value.clone())).collect();
            let with = SendProxyHeader::v2_with(move |_| added.clone());
            for send in [SendProxyHeader::v1(), with] {
                let header = sent(send, &client).await;
                let conn = expect(required(), &[&header, b"rest"]).await.unwrap();
                let canonical = |addr: SocketAddr| (addr.ip().to_canonical(), addr.port());
                prop_assert_eq!(conn.info.peer.map(canonical), Some(canonical(peer)));
                prop_assert_eq!(conn.info.local.map(canonical), Some(canonical(local)));
                let proxied = conn.info.extensions.get::<Proxied>().unwrap();
                let got: Vec<_> = proxied.tlvs().map(|(kind, value)| (kind, value.to_vec())).collect();
                prop_assert!(got.is_empty() || got == tlvs);
                prop_assert_eq!(rest(conn).await, b"rest");
            }
            Ok(())
        })?;
    }
}
