//! A live pair's packets, by curl and by `couplet ctl capture`, as tshark reads them.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use couplet_tests::{
    Couplet, finish,
    net::expect_end,
    program,
    tshark::{self, count},
    until,
};

use crate::{Rig, several::Several};

/// A program that writes to a file until it ends.
fn writing(command: &mut Command, file: &Path) -> Child {
    let file = File::create(file).unwrap();
    command.stdout(file).stdin(Stdio::null()).spawn().unwrap()
}

fn has(file: &Path, what: &[u8]) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(what.len()).any(|some| some == what)
}

fn says(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
    from.write_all(text).unwrap();
    let mut heard = vec![0; text.len()];
    to.read_exact(&mut heard).unwrap();
    assert_eq!(heard, text);
}

/// Much from one to the other.
fn flood(from: &TcpStream, to: &mut TcpStream, byte: u8) {
    const MUCH: usize = 8 * 1024 * 1024;
    let mut from = from.try_clone().unwrap();
    let writing = std::thread::spawn(move || from.write_all(&vec![byte; MUCH]).unwrap());
    to.read_exact(&mut vec![0; MUCH]).unwrap();
    writing.join().unwrap();
}

/// The number of the only pair.
fn id(rig: &Rig) -> String {
    let pairs = rig.ctl(&["pairs", "--json"]).ok().log;
    let pairs: serde_json::Value = serde_json::from_str(&pairs).unwrap();
    assert_eq!(pairs["total"], 1);
    pairs["pairs"][0]["id"].to_string()
}

#[test]
fn what_is_said_from_now_on_is_a_conversation_to_tshark() {
    let rig = Rig::new("", &[]);
    let (mut client, mut server) = rig.pair();
    let (id, socket) = (id(&rig), rig.folder.path().join("admin.sock"));
    let [by_curl, by_ctl] = ["curl", "ctl"].map(|name| rig.folder.path().join(name));
    let mut curl = program("curl");
    curl.args(["-sSN", "--fail", "--unix-socket"])
        .arg(&socket)
        .args(["-H", "Couplet-Admin: 1"])
        .arg(format!("http://localhost/v1/pairs/{id}/capture"));
    let mut running = writing(&mut curl, &by_curl);
    until("its opening", || has(&by_curl, b"session ").then_some(()));
    says(&mut client, &mut server, b"first there");
    says(&mut server, &mut client, b"first back");
    until("the packets", || has(&by_curl, b"first back").then_some(()));
    // Its reader leaves, and another one comes.
    running.kill().unwrap();
    running.wait().unwrap();
    says(&mut client, &mut server, b"unseen");
    let admin = format!("--admin={}", rig.socket());
    let mut ctl = Couplet::command(&["ctl", "capture", &id, &admin]);
    let mut running = until("the first capture has ended", || {
        let mut running = writing(&mut ctl, &by_ctl);
        until("its opening, or its end", || {
            let is_over = running.try_wait().unwrap().is_some();
            (is_over || has(&by_ctl, b"session ")).then_some(())
        });
        running.try_wait().unwrap().is_none().then_some(running)
    });
    says(&mut client, &mut server, b"second there");
    says(&mut server, &mut client, b"second back");
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&server);
    drop(server);
    expect_end(&client);
    assert!(running.wait().unwrap().success(), "it ends with the pair");

    for (file, said, unsaid) in [(&by_curl, "first", "unseen"), (&by_ctl, "second", "first")] {
        let hex = |text: &str| {
            text.bytes()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let followed = tshark::print(file, &["-q", "-z", "follow,tcp,raw,0"]);
        for end in [" there", " back"] {
            let text = format!("{said}{end}");
            assert!(
                followed.contains(&hex(&text)),
                "`{text}` is not in {followed}"
            );
        }
        assert!(!followed.contains(&hex(unsaid)), "{followed}");
        assert_eq!(count(file, "tcp.flags.syn == 1"), 2);
        assert_eq!(count(file, "tcp.analysis.flags || _ws.malformed"), 0);
        assert_eq!(count(file, "tcp.checksum.status == Bad"), 0);
    }
    assert_eq!(count(&by_ctl, "tcp.flags.fin == 1"), 2);
    assert_eq!(count(&by_ctl, "tcp.flags.reset == 1"), 0);
}

#[test]
fn only_those_capture_who_may_cut() {
    let rig = Several::new();
    let (_client, _server) = rig.pair("db");
    let pairs = rig.ctl(&["pairs", "--json"]).ok().log;
    let pairs: serde_json::Value = serde_json::from_str(&pairs).unwrap();
    let path = format!("v1/pairs/{}/capture", pairs["pairs"][0]["id"]);
    let status = |args: &[&str]| {
        let code = [
            "-sS",
            "--max-time",
            "20",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ];
        finish("curl", program("curl").args(code).args(args))
            .ok()
            .log
    };
    let socket = rig.socket();
    let socket = ["--unix-socket", socket.to_str().unwrap()];
    let local = format!("http://localhost/{path}");
    let header = ["-H", "Couplet-Admin: 1"];
    assert_eq!(status(&[&socket[..], &[&local]].concat()), "403");
    let origin = ["-H", "Origin: https://evil.example"];
    assert_eq!(
        status(&[&socket[..], &header, &origin, &[&local]].concat()),
        "403"
    );
    let elsewhere = format!("http://evil.example/{path}");
    assert_eq!(
        status(&[&socket[..], &header, &[&elsewhere]].concat()),
        "421"
    );
    let looking = format!("http://{}/{path}", rig.looking());
    assert_eq!(status(&[&header[..], &[&looking]].concat()), "403");
    let none = "http://localhost/v1/pairs/4711/capture";
    assert_eq!(status(&[&socket[..], &header, &[none]].concat()), "404");
    let none = rig.ctl(&["capture", "4711"]);
    assert_eq!(none.status, 1);
    assert!(none.log.contains("is not live"), "{}", none.log);
}

/// A pair whose bytes the kernel moves is copied while it is captured, and then spliced again.
#[test]
fn a_spliced_pair_is_captured_and_spliced_again() {
    let rig = Rig::new("", &[]);
    let (mut client, mut server) = rig.pair();
    let id = id(&rig);
    let moved_by = || {
        let pairs = rig.ctl(&["pairs", "--json"]).ok().log;
        let pairs: serde_json::Value = serde_json::from_str(&pairs).unwrap();
        pairs["pairs"][0]["a_to_b"]["moved_by"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    until("it is spliced", || {
        flood(&client, &mut server, b'a');
        (moved_by() == "splice").then_some(())
    });
    let file = rig.folder.path().join("spliced");
    let admin = format!("--admin={}", rig.socket());
    let mut running = writing(
        &mut Couplet::command(&["ctl", "capture", &id, &admin]),
        &file,
    );
    until("its opening", || has(&file, b"session ").then_some(()));
    client.write_all(&vec![b'b'; 1024 * 1024]).unwrap();
    let mut heard = vec![0; 1024 * 1024];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(moved_by(), "copy");
    until("all of it", || {
        let bytes = std::fs::read(&file).unwrap();
        (bytes.iter().filter(|byte| **byte == b'b').count() >= 1024 * 1024).then_some(())
    });
    running.kill().unwrap();
    running.wait().unwrap();
    until("it is spliced again", || {
        flood(&client, &mut server, b'c');
        (moved_by() == "splice").then_some(())
    });
}
