//! `listen:quic:` and `dial:quic:`, one facing the other.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use couplet_tests::{
    Certificate, Couplet,
    net::{accept, connect, dial, expect_end, expect_reset, listen},
    pattern, until,
};
use rustix::process::Signal;

use crate::{tls::Pki, ws::ends_are_exact};

/// Two ends, and a server behind the far one.
struct Tunnel {
    near: Couplet,
    far: Couplet,
    server: TcpListener,
    certificate: Certificate,
}

impl Tunnel {
    fn new(listens: &str, dials: &str) -> Self {
        let certificate = Certificate::new();
        let server = listen();
        let listens = certificate.listens() + listens;
        let far = Couplet::start(&[&listens, &dial(&server), "--access-log=-"]);
        let dials = certificate.dials(far.quic_port('A')) + dials;
        let near = Couplet::start(&["listen:0", &dials]);
        Self {
            near,
            far,
            server,
            certificate,
        }
    }

    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.near.address('A'));
        (client, accept(&self.server))
    }
}

#[test]
fn ends_and_resets_are_exact() {
    let tunnel = Tunnel::new("", "");
    ends_are_exact(|| tunnel.pair());
    // All of them over one carrier, from one port.
    let legs = tunnel.far.look("the access log", |lines| {
        let legs = lines.iter().filter_map(|line| {
            let (_, leg) = line.split_once(" a=")?;
            Some(leg.split(' ').next()?.to_owned())
        });
        let legs: Vec<_> = legs.collect();
        (legs.len() >= 4).then_some(legs)
    });
    assert!(legs.iter().all(|leg| *leg == legs[0]), "{legs:?}");
}

#[test]
fn with_a_layer_above_it_on_both_ends() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("secret").display().to_string();
    Couplet::run(&["keygen", &secret, "--kind=secret"]).ok();
    let more = format!(",token=@{secret},compress=zstd");
    let tunnel = Tunnel::new(&more, &more);
    ends_are_exact(|| tunnel.pair());
}

#[test]
fn a_server_may_speak_first() {
    let tunnel = Tunnel::new("", "");
    let (mut client, mut server) = tunnel.pair();
    server.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[test]
fn a_reader_that_stops_stops_its_sender_and_no_other() {
    const MIB: usize = 1024 * 1024;
    let tunnel = Tunnel::new("", ",window=64KiB");
    let (stuck, _never_read) = tunnel.pair();
    let before = tunnel.near.memory();
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stuck = &stuck;
            // Until it is reset below.
            while let Ok(n @ 1..) = stuck.write(&[0; 64 * 1024]) {
                taken.fetch_add(n, Ordering::Relaxed);
            }
        });
        until("the sender is held up", || {
            let before = taken.load(Ordering::Relaxed);
            thread::sleep(Duration::from_millis(700));
            (before > 0 && before == taken.load(Ordering::Relaxed)).then_some(())
        });
        let more = tunnel.near.memory().saturating_sub(before);
        assert!(more < 8 * MIB as u64, "{more} bytes of memory more");
        let (client, server) = tunnel.pair();
        pattern::send(&client, 2, 300_000);
        pattern::expect(&server, 2, 300_000);
        pattern::send(&server, 3, 300_000);
        pattern::expect(&client, 3, 300_000);
        stuck.shutdown(Shutdown::Both).unwrap();
    });
}

#[test]
fn all_arrives_though_the_process_ends_with_its_last_byte() {
    let certificate = Certificate::new();
    let server = listen();
    let far = Couplet::start(&[&certificate.listens(), &dial(&server)]);
    let dials = certificate.dials(far.quic_port('A'));
    for size in [10, 100_000, 2_000_000] {
        let near = Couplet::start(&["listen:0", &dials, "--once"]);
        let client = connect(near.address('A'));
        let served = accept(&server);
        served.shutdown(Shutdown::Write).unwrap();
        expect_end(&client);
        pattern::send(&client, 1, size);
        drop(client);
        near.finish().ok();
        pattern::expect_all(&served, 1, size);
    }
}

#[test]
fn a_killed_end_resets_the_other() {
    let mut tunnel = Tunnel::new("", ",keep-alive=1s/1s/2");
    let (client, server) = tunnel.pair();
    tunnel.far.signal(Signal::KILL);
    expect_reset(&client);
    drop(server);
    until("it is killed", || (!tunnel.far.is_running()).then_some(()));
    // The next client is told, too.
    expect_reset(&connect(tunnel.near.address('A')));
}

#[test]
fn a_client_shows_its_certificate_or_is_refused() {
    let pki = Pki::new();
    let (server_cert, client_cert) = (pki.certificate("localhost"), pki.certificate("me.test"));
    let ca = std::path::Path::new(&server_cert).with_file_name("ca.pem");
    let ca = ca.display();
    let server = listen();
    let far = Couplet::start(&[
        &format!(
            "listen:quic:0,tls={server_cert},tls.key={},tls.client-ca={ca}",
            pki.key("localhost")
        ),
        &dial(&server),
        "--access-log=-",
    ]);
    let port = far.quic_port('A');
    let dials = format!("dial:quic:localhost:{port},family=4,tls,tls.ca={ca}");
    let shows = format!(
        "{dials},tls.cert={client_cert},tls.key={}",
        pki.key("me.test")
    );
    let near = Couplet::start(&["listen:0", &shows]);
    let client = connect(near.address('A'));
    let served = accept(&server);
    drop(served);
    expect_end(&client);
    drop(client);
    far.find("the client's name", |line| {
        line.contains(" a_identity=\"me.test\"").then_some(())
    });
    let near = Couplet::start(&["listen:0", &dials]);
    expect_reset(&connect(near.address('A')));
    let refused = far.events("a carrier is refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn a_renewed_certificate_is_read_at_sighup_and_live_streams_go_on() {
    let tunnel = Tunnel::new("", "");
    let (client, server) = tunnel.pair();
    let other = Certificate::new();
    for name in ["both.pem", "cert.pem"] {
        fs::copy(other.file(name), tunnel.certificate.file(name)).unwrap();
    }
    tunnel.far.signal(Signal::HUP);
    tunnel.far.events("certificates read again", 1);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    // By the certificate that is the new one's CA.
    let dials = other.dials(tunnel.far.quic_port('A'));
    let near = Couplet::start(&["listen:0", &dials]);
    let client = connect(near.address('A'));
    let server = accept(&tunnel.server);
    pattern::send(&server, 2, 1000);
    pattern::expect(&client, 2, 1000);
}

#[test]
fn a_reload_of_the_file_cuts_no_stream_and_refuses_none() {
    let certificate = Certificate::new();
    let server = listen();
    let file = certificate.folder.path().join("couplet.toml");
    let write = |more: &str| {
        let text = format!(
            "log-format = 'json'\n\n[relay.edge]\na = '{}{more}'\nb = '{}'\n",
            certificate.listens(),
            dial(&server)
        );
        fs::write(&file, text).unwrap();
    };
    write("");
    let far = Couplet::start_text(&["run", &file.display().to_string()]);
    far.events("all relays run", 1);
    let near = Couplet::start(&["listen:0", &certificate.dials(far.quic_port('A'))]);
    let (client, served) = (connect(near.address('A')), accept(&server));
    for times in 1..=2 {
        write(if times == 1 {
            ",max-conns=7"
        } else {
            ",max-conns=8"
        });
        far.signal(Signal::HUP);
        far.events("reloaded", times);
        // Over the carrier that is there, to the relay that is new.
        let (client, served) = (connect(near.address('A')), accept(&server));
        pattern::send(&client, 1, 100_000);
        pattern::expect(&served, 1, 100_000);
    }
    pattern::send(&client, 2, 100_000);
    pattern::expect(&served, 2, 100_000);
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&served);
}

#[test]
fn the_log_names_the_relay_of_a_carrier() {
    let certificate = Certificate::new();
    let file = certificate.folder.path().join("couplet.toml");
    let text = format!(
        "log-format = 'json'\n\n[relay.edge]\na = '{}'\nb = 'dial:127.0.0.1:1'\n",
        certificate.listens()
    );
    fs::write(&file, text).unwrap();
    let far = Couplet::start_text(&["run", &file.display().to_string()]);
    far.events("all relays run", 1);
    // It trusts another certificate.
    let other = Certificate::new();
    let near = Couplet::start(&["listen:0", &other.dials(far.quic_port('A'))]);
    expect_reset(&connect(near.address('A')));
    let refused = far.events("a carrier is refused", 1).remove(0);
    assert_eq!(refused["relay"], "edge");
}

#[test]
fn what_quic_does_not_have_is_a_mistake() {
    for (side, said) in [
        (
            "listen:quic:9000",
            "QUIC has TLS within, and needs a certificate",
        ),
        (
            "dial:quic:localhost:9000",
            "QUIC has TLS within, and the side names no CA",
        ),
        (
            "dial:quic:localhost:9000,tls,via=socks5://h:1",
            "`via` is not for QUIC: no proxy of TCP carries UDP",
        ),
        (
            "dial:quic:localhost:9000,tls,ack-timeout=9s",
            "`ack-timeout` is not for QUIC",
        ),
        ("dial:localhost:9000,streams=4", "`streams` is for QUIC"),
        (
            "dial:quic:localhost:9000,tls,tls.close-notify=optional",
            "`tls.close-notify` is for TLS over TCP",
        ),
        (
            "dial:quic:localhost:9000,tls,window=5GiB",
            "a window of `5GiB` is too large",
        ),
        ("dial:quic:9000,tls", "a dialled address needs a host"),
    ] {
        Couplet::run(&["explain", side, "stdio"]).with(2).said(said);
    }
}

#[test]
fn explain_says_what_it_costs() {
    let certificate = Certificate::new();
    let listens = format!("{},streams=7", certificate.listens());
    Couplet::run(&["explain", &listens, "dial:localhost:1"])
        .ok()
        .said("keep-alive 15s/5s/3 (default)")
        .said("streams 7 (side), window 256.0 KiB (default), 0-rtt off (default)")
        .said("A to B: by copy, because of quic")
        .said("B to A: by copy, because of quic");
}
