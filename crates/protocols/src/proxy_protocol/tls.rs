//! What our TLS with a client has found out, as an addition to a header of version 2.

use bytes::{BufMut, BytesMut};
use rustls::{CipherSuite, ProtocolVersion};

use super::tlv::{Tlv, kind};
use crate::TlsInfo;

/// `PP2_CLIENT_SSL`, `_CERT_CONN`, `_CERT_SESS`: section 2.2.6 of the specification.
const OVER_TLS: u8 = 0x01;
const CERTIFICATE_NOW: u8 = 0x02;
const CERTIFICATE_OF_SESSION: u8 = 0x04;

pub(super) fn of(tls: &TlsInfo) -> Tlv {
    // A certificate that is not verified ends the handshake.
    let has_certificate = tls.fingerprint().is_some();
    let client = OVER_TLS
        | match (has_certificate, tls.is_resumed()) {
            (true, false) => CERTIFICATE_NOW | CERTIFICATE_OF_SESSION,
            (true, true) => CERTIFICATE_OF_SESSION,
            (false, _) => 0,
        };
    let mut value = BytesMut::new();
    value.put_u8(client);
    value.put_u32(u32::from(!has_certificate));
    let mut add = |kind: u8, text: &str| {
        if let Ok(length) = u16::try_from(text.len()) {
            value.put_u8(kind);
            value.put_u16(length);
            value.put_slice(text.as_bytes());
        }
    };
    if let Some(version) = tls.version().and_then(version) {
        add(kind::SSL_VERSION, version);
    }
    if let Some(name) = tls.common_name() {
        add(kind::SSL_CN, name);
    }
    if let Some(cipher) = tls.cipher_suite().and_then(cipher) {
        add(kind::SSL_CIPHER, cipher);
    }
    Tlv::new(kind::SSL, value.freeze())
}

/// As OpenSSL names it.
fn version(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        _ => None,
    }
}

/// As OpenSSL names it, for those that rustls has.
fn cipher(suite: CipherSuite) -> Option<&'static str> {
    Some(match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => return None,
    })
}
