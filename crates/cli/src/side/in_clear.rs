//! Secrets that a side sends unencrypted: only where the setting of the option says so.

/// Options whose first line on the wire is a secret that a listener on the way could use.
pub(super) const OPEN: &[&str] = &["token", "signed-token", "rendezvous"];

/// The setting of such an option that allows the secret before encryption.
pub(super) const CLEAR: &str = "in-clear";

/// The one value of [`CLEAR`].
pub(super) const ALLOW: &str = "allow";

/// Options whose layers read from the client or write to it, or carry its bytes otherwise.
pub(super) const TALKS: &[&str] = &[
    "proxy-protocol",
    "vsock-connect",
    "starttls",
    "sniff",
    "tls",
    "noise",
    "ws",
    "mux",
    "token",
    "signed-token",
    "challenge",
    "rendezvous",
    "compress",
    "frame",
    "socks5",
    "connect",
];
