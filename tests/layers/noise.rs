//! `noise=…`: two couplets facing each other encrypt what is between them.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_closed, expect_end, listen, nobody_comes},
    pattern,
};
use tempfile::TempDir;

/// The option of each end: the dialling and the listening one.
struct Keys {
    _scratch: TempDir,
    dials: String,
    listens: String,
}

fn psk() -> Keys {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("secret").display().to_string();
    Couplet::run(&["keygen", &secret, "--kind=secret"]).ok();
    let option = format!(",noise=psk:@{secret}");
    Keys {
        _scratch: scratch,
        dials: option.clone(),
        listens: option,
    }
}

fn kk() -> Keys {
    let scratch = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let file = scratch.path().join(name).display().to_string();
        let made = Couplet::run(&["keygen", &file, "--kind=noise"]).ok();
        (file, made.log.trim().to_owned())
    };
    let (ours, our_public) = key("ours");
    let (theirs, their_public) = key("theirs");
    let peers = scratch.path().join("peers");
    fs::write(&peers, format!("{our_public} laptop\n")).unwrap();
    Keys {
        dials: format!(",noise=kk:@{ours},noise.peer={their_public}"),
        listens: format!(",noise=kk:@{theirs},noise.peer=@{}", peers.display()),
        _scratch: scratch,
    }
}

/// Both ends of a tunnel, which has a wire in its middle.
struct Tunnel {
    near: Couplet,
    far: Couplet,
    wire: TcpListener,
    target: TcpListener,
}

impl Tunnel {
    fn new(keys: &Keys) -> Self {
        let (wire, target) = (listen(), listen());
        let far = format!("listen:0{}", keys.listens);
        let far = Couplet::start(&[&far, &dial(&target)]);
        let near = format!("{}{}", dial(&wire), keys.dials);
        let near = Couplet::start(&["listen:0", &near]);
        Self {
            near,
            far,
            wire,
            target,
        }
    }

    /// A pair through it; what the client says goes through `meddle` on the wire.
    fn pair(
        &self,
        meddle: impl Fn(&mut [u8], usize) + Send + 'static,
    ) -> (TcpStream, TcpStream, thread::JoinHandle<Vec<u8>>) {
        let client = connect(self.near.address('A'));
        let near = accept(&self.wire);
        let far = connect(self.far.address('A'));
        let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
        thread::spawn(move || carry(back.0, back.1, |_, _| {}));
        let there = thread::spawn(move || carry(near, far, meddle));
        (client, accept(&self.target), there)
    }
}

/// Passes on what comes; returns it as it came.
fn carry(mut from: TcpStream, mut to: TcpStream, meddle: impl Fn(&mut [u8], usize)) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        let at = wire.len();
        wire.extend_from_slice(&chunk[..n]);
        meddle(&mut chunk[..n], at);
        if to.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    wire
}

#[test]
fn a_tunnel_carries_everything_and_shows_nothing() {
    for keys in [psk(), kk()] {
        let tunnel = Tunnel::new(&keys);
        let (client, server, there) = tunnel.pair(|_, _| {});
        // Each direction, and one after the other has ended.
        (&client).write_all(b"nobody may read this").unwrap();
        let mut heard = [0; 20];
        (&server).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"nobody may read this");
        pattern::send(&client, 1, 1_000_000);
        client.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(&server, 1, 1_000_000);
        pattern::send(&server, 2, 1_000_000);
        drop(server);
        pattern::expect(&client, 2, 1_000_000);
        expect_end(&client);
        let wire = there.join().unwrap();
        assert!(wire.len() > 1_000_000);
        assert!(!wire.windows(6).any(|bytes| bytes == b"nobody"));
        assert!(tunnel.near.ended(1).starts_with("finished"));
        assert!(tunnel.far.ended(1).starts_with("finished"));
    }
}

#[test]
fn a_changed_byte_is_a_reset_and_not_an_end() {
    let tunnel = Tunnel::new(&psk());
    // The handshake is 68 bytes, the record of `first` 23, the next begins at 91.
    let (client, server, _) = tunnel.pair(|bytes, at| {
        if let Some(byte) = 100_usize.checked_sub(at).and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
        }
    });
    (&client).write_all(b"first").unwrap();
    let mut heard = [0; 5];
    (&server).read_exact(&mut heard).unwrap();
    (&client).write_all(b"second").unwrap();
    let error = (&server).read(&mut heard).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_cut_is_a_reset_and_not_an_end() {
    let tunnel = Tunnel::new(&psk());
    let client = connect(tunnel.near.address('A'));
    let near = accept(&tunnel.wire);
    let far = connect(tunnel.far.address('A'));
    let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
    thread::spawn(move || carry(back.0, back.1, |_, _| {}));
    let mut wire = [0; 68 + 23];
    (&client).write_all(b"first").unwrap();
    (&near).read_exact(&mut wire[..50]).unwrap();
    (&far).write_all(&wire[..50]).unwrap();
    (&near).read_exact(&mut wire[50..]).unwrap();
    (&far).write_all(&wire[50..]).unwrap();
    let server = accept(&tunnel.target);
    let mut heard = [0; 5];
    (&server).read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"first");
    // The stream ends as if it were not encrypted, without an end in Noise.
    far.shutdown(Shutdown::Write).unwrap();
    let error = (&server).read(&mut heard).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_plain_peer_is_never_joined() {
    let keys = psk();
    let target = listen();
    let far = format!("listen:0{}", keys.listens);
    let far = Couplet::start(&[&far, &dial(&target)]);
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\x30", &[0; 200]] {
        let plain = connect(far.address('A'));
        (&plain).write_all(said).unwrap();
        plain.shutdown(Shutdown::Write).unwrap();
        expect_closed(&plain);
    }
    far.events("refused", 3);
    nobody_comes(&target);
    // Nor a plain server, which is told nothing of what the client says.
    let near = format!("{}{}", dial(&target), keys.dials);
    let near = Couplet::start(&["listen:0", &near]);
    let client = connect(near.address('A'));
    (&client).write_all(b"in the clear").unwrap();
    let mut server = accept(&target);
    server.write_all(b"220 welcome, stranger\r\n").unwrap();
    expect_closed(&client);
    let mut heard = Vec::new();
    let _ = server.read_to_end(&mut heard);
    assert_eq!(heard.len(), 50, "its part of the handshake, and no more");
}

/// What an editor adds to a file does not make it another secret.
#[test]
fn a_secret_file_is_read_as_it_is_meant() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        format!(",noise=psk:@{}", path.display())
    };
    let target = listen();
    let plain = secret("plain", "a secret of many bytes");
    let far = Couplet::start(&[&format!("listen:0{plain}"), &dial(&target)]);
    let edited = secret("edited", "\u{feff}a secret of many bytes\r\n\r\n");
    let near = Couplet::start(&["listen:0", &format!("{}{edited}", far.dial('A'))]);
    let client = connect(near.address('A'));
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);

    let two = secret("two", "a secret of many bytes\nand another one");
    let side = format!("listen:0{two}");
    Couplet::run(&[&side, "dial:h:1"])
        .with(2)
        .said("more than one line");
}

#[test]
fn contradicting_noise_options_are_a_mistake() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("short");
    fs::write(&file, "too short\n").unwrap();
    for (option, said) in [
        ("noise=on".to_owned(), "noise=psk:@FILE"),
        ("noise=psk:hunter2".into(), "@FILE"),
        (format!("noise=psk:@{}", file.display()), "16 bytes"),
        (format!("noise=kk:@{}", file.display()), "`noise-private:`"),
    ] {
        let side = format!("dial:localhost:1,{option}");
        Couplet::run(&["listen:0", &side]).with(2).said(said);
    }
    let keys = kk();
    let alone = keys.dials.split(",noise.peer").next().unwrap();
    Couplet::run(&["listen:0", &format!("dial:localhost:1{alone}")])
        .with(2)
        .said("noise.peer=KEY");
}
