//! What is known of a carrier.

use std::net::SocketAddr;

use couplet_endpoint::{Info, Origin};
use quinn::{Connection, crypto::rustls::HandshakeData};
use rustls::pki_types::CertificateDer;

use super::ALPN;
use crate::tls::{TlsInfo, put_identity};

/// The info of a carrier, of which its streams have a copy, and whether its streams are framed.
pub(super) fn describe(
    conn: &Connection,
    origin: Origin,
    local: Option<SocketAddr>,
    server_name: Option<&str>,
) -> (Info, bool) {
    let mut info = Info::new(origin);
    info.peer = Some(unmapped(conn.remote_address()));
    info.local = local.map(
        |local| match (local.ip().is_unspecified(), conn.local_ip()) {
            (true, Some(ip)) => SocketAddr::new(ip, local.port()),
            _ => local,
        },
    );
    info.local = info.local.map(unmapped);
    let data = conn.handshake_data();
    let data = data.and_then(|data| data.downcast::<HandshakeData>().ok());
    let (alpn, asked) = match data {
        Some(data) => (data.protocol, data.server_name),
        None => (None, None),
    };
    let framed = alpn.as_deref() == Some(ALPN);
    let shown = conn.peer_identity();
    let shown = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = shown.as_deref().and_then(|shown| shown.first());
    let is_client = origin == Origin::Accepted;
    if is_client && let Some(leaf) = leaf {
        put_identity(&mut info, leaf);
    }
    let name = server_name.or(asked.as_deref());
    info.extensions
        .insert(TlsInfo::of_quic(alpn.as_deref(), name, leaf, is_client));
    (info, framed)
}

/// The info of a stream.
pub(super) fn of_stream(carrier: &Info) -> Info {
    let mut info = Info::new(carrier.origin);
    info.target = carrier.target.clone();
    info.peer = carrier.peer;
    info.local = carrier.local;
    info.extensions = carrier.extensions.clone();
    info
}

/// The IPv4 address of an IPv4-mapped IPv6 one (RFC 4291, section 2.5.5.2).
fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, addr.port()),
        _ => addr,
    }
}
