//! How streams end.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_end, expect_reset, listen, reset},
    pattern,
};
use rustix::process::Signal;

use super::*;

const SIZE: usize = 3_000_000;

#[test]
fn openssl_sends_and_receives_close_notify() {
    let pki = Pki::new();
    let target = listen();
    let couplet = Couplet::start(&[&pki.listens("server.test"), &dial(&target)]);
    let mut s_client = pki.s_client(&couplet, "server.test");
    let (s_client, mut talk) = talking("s_client", s_client.arg("-quiet").arg("-no_ign_eof"));
    talk.write_all(b"hello\n").unwrap();
    let mut server = accept(&target);
    let mut heard = [0; 6];
    server.read_exact(&mut heard).unwrap();
    drop(talk);
    expect_end(&server);
    drop(server);
    s_client.finish();

    let mut s_client = pki.s_client(&couplet, "server.test");
    let (s_client, _talk) = talking("s_client", s_client.arg("-quiet"));
    let mut server = accept(&target);
    server.write_all(b"bye\n").unwrap();
    drop(server);
    assert!(s_client.finish().ok().log.contains("bye"));
    assert!(couplet.ended(2).contains("finished"));
}

/// An `s_client` that has read all there is, killed in the middle; and its server.
fn cut_off(pki: &Pki, couplet: &Couplet, target: &TcpListener) -> TcpStream {
    let mut s_client = pki.s_client(couplet, "server.test");
    let (s_client, mut talk) = talking("s_client", s_client.arg("-quiet"));
    talk.write_all(b"half\n").unwrap();
    let mut server = accept(target);
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    server.write_all(b"heard\n").unwrap();
    s_client.find("the answer", |line| (line == "heard").then_some(()));
    s_client.signal(Signal::KILL);
    server
}

#[test]
fn a_peer_that_is_cut_off_is_a_reset() {
    let pki = Pki::new();
    let target = listen();
    let side = pki.listens("server.test");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    expect_reset(&cut_off(&pki, &couplet, &target));
    assert_eq!(couplet.ended(1), "A failed");
    couplet.find("the setting", |line| {
        line.contains("tls.close-notify=optional").then_some(())
    });

    let couplet = Couplet::start(&[&format!("{side},tls.close-notify=optional"), &dial(&target)]);
    expect_end(&cut_off(&pki, &couplet, &target));
}

/// Python's `ssl` closes without a `close_notify`, here after it has read the whole answer.
#[test]
fn a_client_that_just_closes_when_the_server_has_finished_was_not_cut() {
    let pki = Pki::new();
    let target = listen();
    let couplet = Couplet::start(&[&pki.listens("server.test"), &dial(&target)]);
    let client = script(
        &pki,
        "client.py",
        "import socket, ssl, sys\n\
         context = ssl.create_default_context(cafile=sys.argv[2])\n\
         raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
         stream = context.wrap_socket(raw, server_hostname='server.test')\n\
         stream.sendall(b'hello')\n\
         answer = b''.join(iter(lambda: stream.recv(4096), b''))\n\
         stream.close()\n\
         print(len(answer))\n",
    );
    let mut python = program("python3");
    let port = couplet.address('A').port().to_string();
    python.arg(client).arg(port).arg(pki.file("ca.pem"));
    let python = Process::spawn("python", &mut python);
    let mut server = accept(&target);
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    pattern::send(&server, 1, 100_000);
    server.shutdown(Shutdown::Write).unwrap();
    expect_end(&server);
    python.finish().ok().said("100000");
    assert!(couplet.ended(1).contains("finished"));
}

/// Two couplets with TLS between them.
fn tunnel(pki: &Pki) -> (Couplet, Couplet, TcpListener) {
    let target = listen();
    let far = Couplet::start(&[&pki.listens("server.test"), &dial(&target)]);
    let side = format!(
        "{},tls=server.test,tls.ca={}",
        far.dial('A'),
        pki.file("ca.pem")
    );
    let near = Couplet::start(&["listen:0", &side]);
    (near, far, target)
}

#[test]
fn either_half_ends_by_itself() {
    let pki = Pki::new();
    let (near, far, target) = tunnel(&pki);
    for server_first in [false, true] {
        let client = connect(near.address('A'));
        let server = accept(&target);
        let (first, second) = match server_first {
            true => (&server, &client),
            false => (&client, &server),
        };
        pattern::send(first, 1, SIZE);
        first.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(second, 1, SIZE);
        for round in 0..3 {
            pattern::send(second, round, 1000);
            pattern::expect(first, round, 1000);
        }
        pattern::send(second, 2, SIZE);
        second.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(first, 2, SIZE);
    }
    for couplet in [&near, &far] {
        assert!(couplet.ended(2).contains("finished"));
    }
}

#[test]
fn a_reset_goes_all_the_way() {
    let pki = Pki::new();
    let (near, _far, target) = tunnel(&pki);
    let client = connect(near.address('A'));
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    reset(client);
    expect_reset(&server);

    let client = connect(near.address('A'));
    let server = accept(&target);
    pattern::send(&server, 1, 1000);
    pattern::expect(&client, 1, 1000);
    reset(server);
    expect_reset(&client);
}
