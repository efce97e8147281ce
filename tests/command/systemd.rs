//! Sockets that systemd passes, with its own `systemd-socket-activate`; and its judgement of the units.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use couplet_tests::{
    Couplet, Finished, Process, finish,
    net::{connect, listen, unix},
    pattern, program,
};

/// `systemd-socket-activate` with these sockets, then the command; the first connection starts it.
fn activated(sockets: &[&str], names: &str, args: &[&str]) -> Command {
    let mut command = program("systemd-socket-activate");
    for socket in sockets {
        command.arg("--listen").arg(socket);
    }
    command
        .arg(format!("--fdname={names}"))
        .arg(Couplet::binary())
        .args(args)
        .env_remove("RUST_LOG");
    command
}

/// An echo server, and how it is dialled.
fn server() -> String {
    let listener = listen();
    let dial = format!("dial:{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            std::thread::spawn(move || {
                let mut back = client.try_clone().unwrap();
                let _ = std::io::copy(&mut client, &mut back);
            });
        }
    });
    dial
}

fn free_port() -> SocketAddr {
    listen().local_addr().unwrap()
}

/// What the server sends back.
fn echo(client: &TcpStream) {
    pattern::send(client, 1, 5000);
    pattern::expect(client, 1, 5000);
}

/// Starts what listens at these, and connects to the first.
fn start(mut command: Command) -> Process {
    let process = Process::spawn("systemd-socket-activate", &mut command);
    process.find("it listens", |line| {
        line.contains("Listening on").then_some(())
    });
    process
}

#[test]
fn a_client_that_came_before_the_process_is_served_over_tcp_and_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (tcp, path) = (free_port(), folder.path().join("x.sock"));
    let target = server();
    let file = folder.path().join("couplet.toml");
    let text = format!(
        "[relay.web]\na = 'listen:systemd:web'\nb = '{target}'\n[relay.local]\na = ['listen:systemd:local.socket', 'max-conns=5']\nb = '{target}'\n"
    );
    fs::write(&file, text).unwrap();
    let (tcp_word, unix_word) = (tcp.to_string(), path.to_str().unwrap());
    let run = ["run", file.to_str().unwrap()];
    let activate = start(activated(&[&tcp_word, unix_word], "web:local.socket", &run));
    // Its coming is what starts the process.
    let (first, local) = (connect(tcp), unix::connect(&path));
    echo(&first);
    echo(&local);
    echo(&connect(tcp));
    activate.terminate();
    drop((first, local));
    activate.finish().ok();
    assert!(path.exists(), "the path is systemd's, and stays");
}

#[test]
fn two_sockets_of_one_name_are_one_side_of_the_command() {
    let (one, other) = (free_port(), free_port());
    let target = server();
    let activate = start(activated(
        &[&one.to_string(), &other.to_string()],
        "web:web",
        &["listen:systemd:web,max-conns=5,keep-alive=off", &target],
    ));
    echo(&connect(one));
    echo(&connect(other));
    activate.terminate();
    activate.finish().ok();
}

/// What the command says to these sockets.
fn said(sockets: &[&str], names: &str, args: &[&str]) -> Finished {
    let activate = start(activated(sockets, names, args));
    let mut client = match sockets[0].parse::<SocketAddr>() {
        Ok(addr) => connect(addr),
        Err(_) => unix::connect(Path::new(sockets[0])),
    };
    let finished = activate.finish();
    // The socket is closed with the process.
    let _ = client.write(b"x");
    let _ = client.read(&mut [0]);
    finished
}

#[test]
fn a_socket_that_is_not_passed_or_not_used_or_does_not_fit_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let path = path.to_str().unwrap();
    let target = server();
    let port = || free_port().to_string();
    let file = folder.path().join("couplet.toml");
    fs::write(
        &file,
        format!("[relay.web]\na = 'listen:systemd:web'\nb = '{target}'\n"),
    )
    .unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "swordfish\n").unwrap();
    let attempts = format!(
        "listen:systemd:web,attempts=3/1m,token=@{}",
        secret.display()
    );
    let run = ["run", file.to_str().unwrap()];
    for (sockets, names, args, part) in [
        (
            &[&*port(), &port()][..],
            "one:two",
            &["listen:systemd:web", &target][..],
            "systemd passes the socket `one`, which no side uses: a side `listen:systemd:one`",
        ),
        (
            &[&*port(), &port()],
            "web:more",
            &run,
            "systemd passes the socket `more`, which no side uses",
        ),
        (
            &[&*port()],
            "web",
            &["listen:systemd:web", "listen:systemd:wed"],
            "no socket `wed` among those that systemd has passed: `web`",
        ),
        (
            &[path],
            "web",
            &[&attempts, &target],
            "it is a Unix socket, and `attempts` is for TCP: it counts by address",
        ),
        (
            &[path],
            "web",
            &["listen:systemd:web,keep-alive=off", &target],
            "the socket `web` of systemd can't be listened on: it is a Unix socket, and `keep-alive` is for TCP",
        ),
    ] {
        let finished = said(sockets, names, args);
        assert!(finished.status != 0, "{finished}");
        assert!(finished.log.contains(part), "no `{part}` in {finished}");
        let _ = fs::remove_file(path);
    }
    // Without systemd.
    Couplet::run(&["listen:systemd:web", &target])
        .with(1)
        .said("no socket `web`: systemd has passed none");
    for (side, part) in [
        ("listen:systemd:", "the name of a socket is missing"),
        (
            "listen:systemd:a:b",
            "a character that no name of a socket has",
        ),
        (
            "listen:systemd:web,reuse-port",
            "`reuse-port` is for a port that Couplet opens; systemd has `ReusePort=`",
        ),
        (
            "listen:systemd:web,mode=0600",
            "`mode` is for a listening Unix socket",
        ),
    ] {
        Couplet::run(&[side, &target]).with(2).said(part);
    }
}

/// A folder with the units as they would be installed, of which the program is there.
fn units() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    for unit in ["couplet.service", "couplet.socket"] {
        let text = fs::read_to_string(packaging.join(unit)).unwrap();
        let binary = Couplet::binary().to_str().unwrap();
        fs::write(
            folder.path().join(unit),
            text.replace("/usr/bin/couplet", binary),
        )
        .unwrap();
    }
    let service = folder.path().join("couplet.service");
    (folder, service)
}

#[test]
fn systemd_finds_no_mistake_in_the_units_and_nothing_to_be_wary_of() {
    let (folder, service) = units();
    let mut verify = program("systemd-analyze");
    verify
        .args(["verify", "--man=no"])
        .args([&service, &folder.path().join("couplet.socket")]);
    let verified = finish("systemd-analyze", &mut verify).ok();
    // Of an older systemd; the unit names what to write then.
    let known = verified.log.lines().filter(|line| {
        !(line.contains("Failed to parse service type") && line.contains("notify-reload"))
    });
    assert_eq!(known.collect::<Vec<_>>(), Vec::<&str>::new(), "{verified}");
    let mut security = program("systemd-analyze");
    security
        .args(["security", "--offline=yes", "--threshold=20"])
        .arg(&service);
    finish("systemd-analyze", &mut security)
        .ok()
        .said("Overall exposure level for couplet.service");
}
