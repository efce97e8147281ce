//! What stands before TLS in PostgreSQL and SMTP, and before a virtual machine: each end, met by a stranger.

use couplet_connector::{
    endpoint::{Conn, Io},
    layers::Handshake,
};
use couplet_protocols::{StartTls, StartTlsAccept, StartTlsConnect, VsockConnect};

use crate::stranger::{End, Outcome, Scripted, Stranger};

/// Both ends of the preludes of PostgreSQL and SMTP.
pub fn starttls(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    for protocol in [StartTls::Postgres, StartTls::Smtp] {
        passes(stranger, &StartTlsAccept::new(protocol));
        passes(stranger, &StartTlsConnect::new(protocol));
    }
}

/// The answer of a hypervisor.
pub fn vsock(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    if passes(stranger, &VsockConnect::new(5000)) {
        assert!(stranger.bytes.starts_with(b"OK "));
    }
}

/// Whether it passed; then a part of what was sent is left, from its end.
fn passes<O, H>(stranger: Stranger<'_>, handshake: &H) -> bool
where
    O: Io,
    H: Handshake<
            Conn<Scripted>,
            Output = Conn<O>,
            Error: std::error::Error + Send + Sync + 'static,
        >,
{
    match stranger.meets(handshake, |_| {}) {
        Outcome::Passed(left) => {
            assert!(stranger.bytes.ends_with(&left));
            true
        }
        Outcome::Refused(_) => false,
        Outcome::Waits => {
            assert_eq!(stranger.end, End::Stalls);
            false
        }
    }
}
