//! The proxies' protocols, each as the proxy and as its client.

use std::sync::Arc;

use couplet_connector::{
    endpoint::{Conn, Host, Info, Io},
    layers::{Handshake, Identity},
};
use couplet_protocols::{
    HttpConnect, HttpConnectAccept, RequestedTarget, SocksAccept, SocksConnect,
    proxy::{Login, ProxyError, Users},
};

use crate::{
    assert_printable,
    stranger::{End, Outcome, Scripted, Stranger},
};

/// SOCKS5: a client of ours, with users and without; and a proxy that we ask, with a login and without.
pub fn socks(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    if passes(stranger, &SocksAccept::new(), target) {
        assert!(stranger.bytes.starts_with(&[5]));
    }
    passes(stranger, &SocksAccept::new().users(users()), user);
    for asks in [SocksConnect::new(), SocksConnect::new().login(login())] {
        if passes(stranger, &asking(asks), |_| {}) {
            assert!(stranger.bytes.starts_with(&[5]));
        }
    }
}

/// HTTP CONNECT, likewise.
pub fn connect(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    passes(stranger, &HttpConnectAccept::new(), target);
    passes(stranger, &HttpConnectAccept::new().users(users()), user);
    for asks in [HttpConnect::new(), HttpConnect::new().login(login())] {
        passes(stranger, &asking(asks), |_| {});
    }
}

fn users() -> Users {
    "me:secret".parse().expect("a user")
}

fn login() -> Login {
    Login::new("me", "secret").expect("a login")
}

/// A handshake with a proxy that is asked for a target.
fn asking<H, O>(
    handshake: H,
) -> impl Handshake<Conn<Scripted>, Output = Conn<O>, Error = ProxyError>
where
    H: Handshake<Conn<Scripted>, Output = Conn<O>, Error = ProxyError>,
{
    move |mut conn: Conn<Scripted>| {
        let target = "example.org:80".parse().expect("a target");
        conn.info.target = Some(Arc::new(target));
        handshake.handshake(conn)
    }
}

/// What a client has asked for can be dialled, and shown.
fn target(info: &Info) {
    let target = RequestedTarget::of(info).expect("a target");
    assert_printable(&target.to_string());
    assert_ne!(target.addr().port(), 0);
    if let Host::Name(name) = target.addr().host() {
        let name = name.as_str();
        assert!(
            name.parse::<std::net::IpAddr>().is_err(),
            "{name} is an address"
        );
    }
}

/// The only user has logged in.
fn user(info: &Info) {
    target(info);
    let identity = info.extensions.get::<Identity>();
    assert_eq!(identity.map(Identity::name), Some("me"));
}

/// Whether it passed; then a part of what was sent is left, from its end.
fn passes<O, H>(stranger: Stranger<'_>, handshake: &H, look: impl Fn(&Info)) -> bool
where
    O: Io,
    H: Handshake<
            Conn<Scripted>,
            Output = Conn<O>,
            Error: std::error::Error + Send + Sync + 'static,
        >,
{
    match stranger.meets(handshake, look) {
        Outcome::Passed(left) => {
            assert!(stranger.bytes.ends_with(&left));
            assert!(left.len() < stranger.bytes.len());
            true
        }
        Outcome::Refused(_) => false,
        Outcome::Waits => {
            assert_eq!(stranger.end, End::Stalls);
            false
        }
    }
}
