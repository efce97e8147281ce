//! Every byte arrives, in order, once; and so do the ends of both streams.

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use couplet_tests::{
    LIMIT, Mode, in_every_mode,
    net::accept,
    pattern::{expect_all, send},
};

use crate::{
    is_wanted,
    link::{Link, Namespace},
};

/// Everything at once.
const BAD: &str = concat!(
    r#"{"loss": 0.02, "duplicate": 0.02, "flip": 0.01, "overtake": 0.05, "#,
    r#""delay": 0.01, "jitter": 0.01, "rate": 4000000, "seed": 7}"#
);

/// A modem, with little room to wait in.
const NARROW: &str = r#"{"delay": 0.03, "rate": 60000, "queue": 12}"#;

const MUCH: usize = 300_000;
const LITTLE: usize = 60_000;

/// How the test comes to a side of the command.
enum Way {
    Connect(SocketAddr),
    Accept(TcpListener),
}

// ===== impl Way =====

impl Way {
    fn listen(namespace: &Namespace) -> (Self, String) {
        let listener = namespace.within(|| TcpListener::bind((namespace.ip, 0)).unwrap());
        let dial = format!("dial:{}", listener.local_addr().unwrap());
        (Self::Accept(listener), dial)
    }

    fn stream(&self, from: &Namespace) -> TcpStream {
        let stream = match self {
            Self::Connect(address) => {
                from.within(|| TcpStream::connect_timeout(address, LIMIT).unwrap())
            }
            Self::Accept(listener) => accept(listener),
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

/// Both send and end, and both hear all of it.
fn exchange(a: &TcpStream, b: &TcpStream, much: usize) {
    thread::scope(|scope| {
        for (ours, number, theirs) in [(a, 1, b), (b, 2, a)] {
            scope.spawn(move || {
                send(ours, number, much);
                ours.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || expect_all(theirs, number, much));
        }
    });
}

in_every_mode! { through_a_bad_link }

/// A is beyond the link, the command and B are here.
fn through_a_bad_link(mode: Mode) {
    if !is_wanted() {
        return;
    }
    let link = Link::new(1400, BAD);
    let (near, far) = (&link.near, &link.far);
    let (a_dials, b_dials) = match mode {
        Mode::ListenListen => (false, false),
        Mode::ListenDial => (false, true),
        Mode::DialListen => (true, false),
        Mode::DialDial => (true, true),
    };
    let way = |dials: bool, namespace: &Namespace| match dials {
        true => {
            let (way, dial) = Way::listen(namespace);
            (Some(way), dial)
        }
        false => (None, format!("listen:{}:0", far.ip)),
    };
    let (a, a_side) = way(a_dials, near);
    let (b, b_side) = way(b_dials, far);
    let couplet = far.couplet(&[&a_side, &b_side]);
    let a = a.unwrap_or_else(|| Way::Connect(couplet.address('A')));
    let b = b.unwrap_or_else(|| Way::Connect(couplet.address('B')));
    let (a, b) = match (a_dials, b_dials) {
        // It is dialled once the other has come.
        (true, false) => {
            let b = b.stream(far);
            (a.stream(near), b)
        }
        _ => (a.stream(near), b.stream(far)),
    };
    exchange(&a, &b, MUCH);
    couplet.ended(1);
}

/// Two commands with the link between them.
fn tunnel(mtu: u32, conditions: &str, options: [&str; 2], much: usize) {
    if !is_wanted() {
        return;
    }
    let link = Link::new(mtu, conditions);
    let (server, dial) = Way::listen(&link.far);
    let [near, far] = options;
    let outer = link
        .far
        .couplet(&[&format!("listen:{}:0{far}", link.far.ip), &dial]);
    let inner = format!("{}{near}", outer.dial('A'));
    let inner = link.near.couplet(&["listen:0", &inner]);
    let client = Way::Connect(inner.address('A')).stream(&link.near);
    let server = server.stream(&link.far);
    exchange(&client, &server, much);
    for couplet in [inner, outer] {
        assert!(
            couplet.ended(1).contains("finished"),
            "{}",
            couplet.ended(1)
        );
    }
}

#[test]
fn plain_bytes_survive_small_packets() {
    for mtu in [576, 1280] {
        tunnel(mtu, BAD, ["", ""], LITTLE);
    }
}

#[test]
fn plain_bytes_survive_a_narrow_link() {
    tunnel(576, NARROW, ["", ""], LITTLE);
}

#[test]
fn zstd_survives_a_bad_link() {
    tunnel(1400, BAD, [",compress=zstd", ",compress=zstd"], MUCH);
}

#[test]
fn noise_survives_a_bad_link() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    let noise = format!(",noise=psk:@{}", secret.display());
    tunnel(576, BAD, [&noise, &noise], MUCH);
}

#[test]
fn tls_survives_a_bad_link() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(["far.example".to_owned()]).unwrap();
    let cert = file("cert.pem", &made.cert.pem());
    let key = file("key.pem", &made.signing_key.serialize_pem());
    let near = format!(",tls=far.example,tls.ca={cert},compress=zstd");
    let far = format!(",tls={cert},tls.key={key},compress=zstd");
    tunnel(1280, BAD, [&near, &far], MUCH);
}
