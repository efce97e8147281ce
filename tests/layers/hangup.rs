//! SIGHUP: what is in the files of secrets, keys, networks and routes is read again.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{
        accept, connect, connect_from, connect_in_vain, connect_in_vain_from, dial, listen,
        nobody_comes,
    },
    pattern, until,
};
use rustix::process::Signal;
use tempfile::TempDir;

const FRIEND: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];

/// Files that are written while the relay is to read them again.
struct Files(TempDir);

// ===== impl Files =====

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A new private key in this file, in place of what is there; its public half.
    fn keygen(&self, name: &str, kind: &str) -> String {
        let _ = fs::remove_file(self.path(name));
        let kind = format!("--kind={kind}");
        let made = Couplet::run(&["keygen", &self.path(name), &kind]).ok();
        made.log.trim().to_owned()
    }

    /// A token that is signed with the first secret of a file.
    fn token(&self, secrets: &str) -> String {
        let from = format!("--secret=@{}", self.path(secrets));
        Couplet::run(&["token", &from, "--key=k", "--expires=1h"])
            .ok()
            .log
    }
}

/// Has it read its files again, of which none is wrong.
fn read_again(couplet: &Couplet, times: usize) {
    couplet.signal(Signal::HUP);
    couplet.events("read again", times);
}

/// Has it read a file that is wrong.
fn stays(couplet: &Couplet, path: &str, why: &str) {
    couplet.signal(Signal::HUP);
    couplet.find("what was read before stays", |line| {
        let parts = ["what was read before stays: ", path, why];
        parts.iter().all(|part| line.contains(part)).then_some(())
    });
}

fn talk(client: &TcpStream, server: &TcpStream) {
    pattern::send(client, 1, 1000);
    pattern::expect(server, 1, 1000);
    pattern::send(server, 2, 1000);
    pattern::expect(client, 2, 1000);
}

/// One faces the other, each with an option that reads files.
fn renewed(
    files: &Files,
    near_option: &str,
    far_option: &str,
    wrong: (&str, &str, &str),
    renew: impl Fn(&str),
) {
    let target = listen();
    renew("first");
    let far = Couplet::start(&[&format!("listen:0,{far_option}"), &dial(&target)]);
    let near = format!("{},{near_option}", far.dial('A'));
    let near = Couplet::start(&["listen:0", &near]);
    let pair = || {
        let client = connect(near.address('A'));
        let server = accept(&target);
        talk(&client, &server);
        (client, server)
    };
    let (client, server) = pair();

    let (file, text, why) = wrong;
    let good = fs::read(files.path(file)).unwrap();
    files.write(file, text);
    stays(&far, &files.path(file), why);
    fs::write(files.path(file), good).unwrap();
    pair();

    renew("second");
    read_again(&far, 1);
    connect_in_vain(near.address('A'));
    read_again(&near, 1);
    pair();
    // Connections from before are untouched.
    talk(&client, &server);
    nobody_comes(&target);
}

#[test]
fn tokens_are_renewed() {
    let files = Files::new();
    let [near, far] = ["near", "far"].map(|name| format!("token=@{}", files.path(name)));
    let wrong = ("far", "\n", "no token");
    renewed(&files, &near, &far, wrong, |which| {
        files.write("near", which);
        files.write("far", which);
    });
}

#[test]
fn a_token_is_withdrawn_alone_and_names_its_client() {
    let files = Files::new();
    files.write("tokens", "ann: first\nbob: second\n");
    files.write("ann", "first\n");
    files.write("bob", "second\n");
    let target = listen();
    let side = format!("listen:0,token=@{}", files.path("tokens"));
    let log = format!("--access-log={}", files.path("access.log"));
    let far = Couplet::start(&[&side, &dial(&target), &log]);
    let near = |name: &str| {
        let b = format!("{},token=@{}", far.dial('A'), files.path(name));
        Couplet::start(&["listen:0", &b])
    };
    let [ann, bob] = ["ann", "bob"].map(near);
    let pair = |near: &Couplet| {
        let client = connect(near.address('A'));
        let server = accept(&target);
        talk(&client, &server);
        (client, server)
    };
    let (client, server) = pair(&ann);
    pair(&bob);

    files.write("tokens", "# ann has lost her laptop\nbob: second\n");
    read_again(&far, 1);
    connect_in_vain(ann.address('A'));
    pair(&bob);
    // A connection from before is untouched.
    talk(&client, &server);
    drop((client, server));
    until("the line of the first session", || {
        let text = fs::read_to_string(files.path("access.log")).unwrap_or_default();
        let mut lines = text.lines();
        lines
            .find(|line| line.contains("a_identity=\"ann\""))
            .map(drop)
    });
}

#[test]
fn signed_tokens_and_their_secrets_are_renewed() {
    let files = Files::new();
    let near = format!("signed-token=@{}", files.path("token"));
    let far = format!("signed-token=@{}", files.path("secrets"));
    let far = format!("{far},signed-token.key=k");
    let wrong = ("secrets", "# mine\nmain: short\n", "line 2, column 7");
    renewed(&files, &near, &far, wrong, |which| {
        files.write("secrets", &format!("{which}: 0123456789abcdef\n"));
        files.write("token", &files.token("secrets"));
    });
}

#[test]
fn keys_that_are_challenged_are_renewed() {
    let files = Files::new();
    let near = format!("challenge=@{},challenge.context=x", files.path("key"));
    let far = format!("challenge=@{},challenge.context=x", files.path("known"));
    let wrong = ("known", "\ned25519:xyz laptop\n", "line 2, column 1");
    renewed(&files, &near, &far, wrong, |_| {
        let public = files.keygen("key", "ed25519");
        files.write("known", &format!("{public} laptop\n"));
    });
}

#[test]
fn secrets_that_encrypt_are_renewed() {
    let files = Files::new();
    let [near, far] = ["near", "far"].map(|name| format!("noise=psk:@{}", files.path(name)));
    let wrong = ("far", "short\n", "holds no usable secret");
    renewed(&files, &near, &far, wrong, |_| {
        files.keygen("near", "secret");
        fs::copy(files.path("near"), files.path("far")).unwrap();
    });
}

#[test]
fn keys_that_encrypt_and_those_of_peers_are_renewed() {
    let files = Files::new();
    let public = files.keygen("far", "noise");
    let near = format!("noise=kk:@{},noise.peer={public}", files.path("near"));
    let far = format!(
        "noise=kk:@{},noise.peer=@{}",
        files.path("far"),
        files.path("peers")
    );
    let wrong = ("peers", "# none\n", "no key, a line is a key and a name");
    renewed(&files, &near, &far, wrong, |_| {
        let public = files.keygen("near", "noise");
        files.write("peers", &format!("{public} laptop\n"));
    });
}

#[test]
fn lists_of_networks_are_read_again() {
    for (option, first, second) in [
        ("allow", "127.0.0.2\n", "127.0.0.1\n"),
        ("deny", "127.0.0.1\n", "127.0.0.2\n"),
    ] {
        let files = Files::new();
        let target = listen();
        files.write("list", first);
        let path = files.path("list");
        let couplet = Couplet::start(&[&format!("listen:0,{option}=@{path}"), &dial(&target)]);
        let at = couplet.address('A');
        let before = connect_from(OTHER, at);
        let served = accept(&target);
        connect_in_vain_from(FRIEND, at);

        files.write("list", "127.0.0.1\n 127.0.0.300\n");
        stays(&couplet, &path, "line 2, column 2");
        files.write("list", second);
        read_again(&couplet, 1);
        connect_in_vain_from(OTHER, at);
        talk(&connect_from(FRIEND, at), &accept(&target));
        talk(&before, &served);
        nobody_comes(&target);
    }
}

#[test]
fn trusted_proxies_are_read_again() {
    let files = Files::new();
    let target = listen();
    files.write("proxies", "127.0.0.2\n");
    let path = files.path("proxies");
    let side = format!("listen:0,proxy-protocol=require,proxy-protocol.from=@{path}");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    connect_in_vain(couplet.address('A'));
    files.write("proxies", "127.0.0.1/8\n");
    stays(&couplet, &path, "line 1, column 1");
    files.write("proxies", "127.0.0.1\n");
    read_again(&couplet, 1);
    let client = connect(couplet.address('A'));
    (&client)
        .write_all(b"PROXY TCP4 192.0.2.9 192.0.2.1 1234 80\r\n")
        .unwrap();
    talk(&client, &accept(&target));
}

#[test]
fn routes_are_read_again() {
    let files = Files::new();
    let targets: [TcpListener; 2] = [listen(), listen()];
    let at = |number: usize| targets[number].local_addr().unwrap();
    files.write("routes", &format!("ssh {}\n* refuse\n", at(0)));
    let path = files.path("routes");
    let side = format!("dial:127.0.0.1:1,route=@{path}");
    let couplet = Couplet::start(&["listen:0,sniff", &side]);
    let comes_to = |target: usize| {
        let client = connect(couplet.address('A'));
        (&client).write_all(b"SSH-2.0-x\r\n").unwrap();
        let server = accept(&targets[target]);
        let mut heard = [0; 11];
        (&server).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"SSH-2.0-x\r\n");
        (client, server)
    };
    let (client, server) = comes_to(0);
    files.write("routes", "\nssh nowhere\n");
    stays(&couplet, &path, "line 2, column 5");
    comes_to(0);
    files.write("routes", &format!("ssh {}\n", at(1)));
    read_again(&couplet, 1);
    comes_to(1);
    talk(&client, &server);
}
