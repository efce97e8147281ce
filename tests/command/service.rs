//! A reload of a file: takes all of it, or changes nothing; and cuts, refuses and loses nothing.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use couplet_tests::{
    Couplet, Finished,
    net::{connect, expect_closed, listen, unix},
    pattern,
};
use rustix::process::Signal;

/// The command with a file, and an admin endpoint in its folder.
pub(super) struct Rig {
    pub(super) folder: tempfile::TempDir,
    pub(super) couplet: Couplet,
}

impl Rig {
    pub(super) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), text);
        let file = folder.path().join("couplet.toml");
        let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
        couplet.events("all relays run", 1);
        Self { folder, couplet }
    }

    /// Runs another file from now on, if it can.
    pub(super) fn reload(&self, text: &str) -> Finished {
        write(self.folder.path(), text);
        Couplet::run(&["ctl", &self.admin(), "reload"])
    }

    pub(super) fn admin(&self) -> String {
        format!(
            "--admin=unix:{}",
            self.folder.path().join("admin").display()
        )
    }

    /// Where the relay of this name listens, as it said last.
    pub(super) fn address(&self, relay: &str) -> SocketAddr {
        self.couplet.look("it runs", |lines| {
            lines.iter().rev().find_map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).ok()?;
                let is_it = event["message"] == "running" && event["relay"] == relay;
                is_it.then(|| event["a"].as_str().unwrap().parse().unwrap())
            })
        })
    }

    pub(super) fn connect(&self, relay: &str) -> TcpStream {
        connect(self.address(relay))
    }
}

fn write(folder: &Path, text: &str) {
    let admin = folder.join("admin");
    let head = format!("log-format = 'json'\nadmin = 'unix:{}'\n", admin.display());
    fs::write(folder.join("couplet.toml"), head + text).unwrap();
}

/// Greets each client with its letter, then sends back what it gets. Returns how it is dialled.
pub(super) fn server(letter: u8) -> String {
    let listener: TcpListener = listen();
    let dial = format!("dial:{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            thread::spawn(move || {
                let _ = client.write_all(&[letter]);
                let mut back = client.try_clone().unwrap();
                let _ = std::io::copy(&mut client, &mut back);
            });
        }
    });
    dial
}

/// The letter of the server that greets.
pub(super) fn greeted(mut client: &TcpStream) -> char {
    let mut letter = [0];
    client.read_exact(&mut letter).unwrap();
    letter[0].into()
}

pub(super) fn echo(client: &TcpStream, number: usize) {
    pattern::send(client, number, 5000);
    pattern::expect(client, number, 5000);
}

#[test]
fn a_changed_relay_refuses_and_cuts_no_client_and_its_pairs_end_as_they_began() {
    let servers = [server(b'0'), server(b'1')];
    let text = |target: usize, timeout: usize| {
        format!(
            "[relay.x]\na = 'listen:127.0.0.1:0'\nb = '{}'\nidle-timeout = '{timeout}h'\n",
            servers[target]
        )
    };
    let rig = Rig::new(&text(0, 1));
    let first = rig.connect("x");
    assert_eq!(greeted(&first), '0');
    let (address, stop, joined) = (
        rig.address("x"),
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..2)
        .map(|number| {
            let (stop, joined) = (Arc::clone(&stop), Arc::clone(&joined));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let client = connect(address);
                    assert!(['0', '1'].contains(&greeted(&client)));
                    echo(&client, number);
                    joined.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=20 {
        let told = rig.reload(&text(number % 2, number)).ok();
        assert_eq!(told.log, format!("generation {}\nchanged: x", number + 1));
        let client = rig.connect("x");
        assert_eq!(greeted(&client), if number % 2 == 0 { '0' } else { '1' });
        echo(&first, number);
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(joined.load(Ordering::Relaxed) > 20);
    assert_eq!(rig.address("x"), address);
    let status = Couplet::run(&["ctl", &rig.admin(), "pairs"]).ok().log;
    assert!(status.contains("127.0.0.1"), "{status}");
    rig.couplet.terminate();
    drop(first);
    rig.couplet.finish().ok();
}

#[test]
fn a_client_that_waits_is_joined_by_one_that_comes_after_a_reload() {
    let text = |timeout: usize| {
        format!(
            "[relay.x]\na = 'listen:127.0.0.1:0'\nb = 'listen:unix:b.sock'\nidle-timeout = '{timeout}h'\n"
        )
    };
    let rig = Rig::new(&text(1));
    let waits = rig.connect("x");
    pattern::send(&waits, 1, 1000);
    let waiting = || Couplet::run(&["ctl", &rig.admin(), "status"]).ok().log;
    couplet_tests::until("it waits", || waiting().contains(" 1 ").then_some(()));
    for timeout in 2..5 {
        rig.reload(&text(timeout)).ok();
    }
    let partner = unix::connect(&rig.folder.path().join("b.sock"));
    pattern::expect(&partner, 1, 1000);
    pattern::send(&partner, 2, 1000);
    pattern::expect(&waits, 2, 1000);
    let ended = couplet_tests::net::expect_end;
    drop(partner);
    ended(&waits);
}

#[test]
fn a_file_that_can_not_be_taken_changes_nothing_and_says_all_that_is_wrong() {
    let target = server(b'0');
    let taken = listen();
    let good = format!("[relay.x]\na = 'listen:127.0.0.1:0'\nb = '{target}'\n");
    let rig = Rig::new(&good);
    let first = rig.connect("x");
    assert_eq!(greeted(&first), '0');
    let port = taken.local_addr().unwrap();
    for (text, parts) in [
        (
            "[relay.x]\na = 'listen:1,loud'\nb = 'dial:h'\n".to_owned(),
            &[
                "couplet.toml:4:15: `loud` is not an option",
                "couplet.toml:5:12: a port is missing",
                "2 mistakes: nothing has changed",
            ][..],
        ),
        (
            format!(
                "[relay.y]\na = 'listen:127.0.0.1:0'\nb = '{target}'\n[relay.z]\na = 'listen:{port}'\nb = '{target}'\n"
            ),
            &[
                "relay `z` can't be started",
                "1 mistake: nothing has changed",
            ],
        ),
        (
            format!("threads = 3\n{good}"),
            &["`threads` can't change while the process runs"],
        ),
        (
            format!("{good}access-log = '/nowhere/log'\n"),
            &["relay `x` can't be started", "/nowhere/log"],
        ),
        (
            format!("[relay.x]\na = 'listen:127.0.0.1:0,tls=missing.pem'\nb = '{target}'\n"),
            &["missing.pem", "1 mistake: nothing has changed"],
        ),
        (String::new(), &["no relay is described"]),
    ] {
        let told = rig.reload(&text);
        assert_eq!(told.status, 1, "{told}");
        for part in parts {
            assert!(told.log.contains(part), "no `{part}` in {told}");
        }
        echo(&first, 1);
        assert_eq!(greeted(&rig.connect("x")), '0');
    }
    let status = Couplet::run(&["ctl", &rig.admin(), "status"]).ok().log;
    let has = |name: &str| status.lines().any(|line| line.starts_with(name));
    assert!(has("x ") && !has("y ") && !has("z "), "{status}");
    assert_eq!(rig.reload(&good).ok().log, "generation 2\nsame: x");
}

#[test]
fn a_relay_that_is_gone_drains_alone_and_a_new_one_runs_beside_it() {
    let servers = [server(b'0'), server(b'1')];
    let relay = |name: &str, target: usize| {
        format!(
            "[relay.{name}]\na = 'listen:127.0.0.1:0'\nb = '{}'\n",
            servers[target]
        )
    };
    let rig = Rig::new(&(relay("x", 0) + &relay("stays", 0)));
    let (gone, stays) = (rig.connect("x"), rig.connect("stays"));
    assert_eq!((greeted(&gone), greeted(&stays)), ('0', '0'));
    let was = rig.address("x");
    write(rig.folder.path(), &(relay("stays", 0) + &relay("new", 1)));
    rig.couplet.signal(Signal::HUP);
    rig.couplet.events("reloaded", 1);
    couplet_tests::net::listens_no_more(was);
    echo(&gone, 1);
    echo(&stays, 2);
    let new = rig.connect("new");
    assert_eq!(greeted(&new), '1');
    drop(gone);
    couplet_tests::until("it is forgotten", || {
        let status = Couplet::run(&["ctl", &rig.admin(), "status"]).ok().log;
        (!status.lines().any(|line| line.starts_with("x "))).then_some(())
    });
    echo(&stays, 3);
}

#[test]
fn the_process_ends_when_the_last_relay_has_ended() {
    let target = server(b'0');
    let rig = Rig::new(&format!(
        "[relay.x]\na = 'listen:127.0.0.1:0'\nb = '{target}'\nonce = true\n"
    ));
    let client = rig.connect("x");
    assert_eq!(greeted(&client), '0');
    drop(client);
    rig.couplet.finish().ok();
}

/// Random files, one after the other, against what they say.
#[test]
fn whatever_file_follows_which_other_each_relay_does_what_the_last_good_one_says() {
    let servers = [server(b'0'), server(b'1'), server(b'2')];
    let mut random = 12345_u64;
    let mut below = move |most: u64| {
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (random >> 33) % most
    };
    let text = |model: &[Option<(usize, u64)>]| -> String {
        let relays = model.iter().enumerate();
        let relays = relays.filter_map(|(number, relay)| Some((number, (*relay)?)));
        relays
            .map(|(number, (target, timeout))| {
                let target = &servers[target];
                format!("[relay.r{number}]\na = 'listen:unix:r{number}.sock'\nb = '{target}'\nidle-timeout = '{timeout}h'\n")
            })
            .collect()
    };
    let mut model = vec![Some((0, 1)); 4];
    let rig = Rig::new(&text(&model));
    let path = |number: usize| rig.folder.path().join(format!("r{number}.sock"));
    // Live pairs, with the letter that each was greeted with.
    let mut live: Vec<TcpStream> = Vec::new();
    for step in 0..40 {
        let mut next = model.clone();
        for relay in &mut next {
            match below(4) {
                0 => *relay = None,
                1 => *relay = Some((below(3) as usize, 1 + below(2))),
                _ => {}
            }
        }
        let is_bad = below(4) == 0;
        let bad = if is_bad {
            "[relay.bad]\na = 'listen:1,loud'\nb = 'dial:h:1'\n"
        } else {
            ""
        };
        let told = rig.reload(&(text(&next) + bad));
        let is_empty = next.iter().all(Option::is_none);
        assert_eq!(
            told.status == 0,
            !is_bad && !is_empty,
            "step {step}: {told}"
        );
        if told.status == 0 {
            model = next;
        }
        for (number, relay) in model.iter().enumerate() {
            match relay {
                Some((target, _)) => {
                    let client = unix::connect(&path(number));
                    let letter = char::from_digit(*target as u32, 10).unwrap();
                    assert_eq!(greeted(&client), letter, "step {step}: r{number}");
                    live.push(client);
                }
                None => unix::listens_no_more(&path(number)),
            }
        }
        for (number, client) in live.iter().enumerate() {
            pattern::send(client, number, 100);
            pattern::expect(client, number, 100);
        }
        live.drain(..live.len().saturating_sub(30));
    }
    rig.couplet.terminate();
    rig.couplet.terminate();
    for client in &live {
        expect_closed(client);
    }
}

/// What the process tells systemd, by a socket of the test's own.
#[test]
fn systemd_is_told_when_it_is_ready_reloads_and_stops_and_that_it_lives() {
    use std::os::unix::net::UnixDatagram;

    let target = server(b'0');
    let folder = tempfile::tempdir().unwrap();
    let relay = format!("[relay.x]\na = 'listen:127.0.0.1:0'\nb = '{target}'\n");
    write(folder.path(), &relay);
    let socket = folder.path().join("notify");
    let told = UnixDatagram::bind(&socket).unwrap();
    told.set_read_timeout(Some(couplet_tests::LIMIT)).unwrap();
    let file = folder.path().join("couplet.toml");
    let mut command = Couplet::command(&["run", file.to_str().unwrap()]);
    command
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID");
    let couplet = couplet_tests::Process::spawn("couplet", &mut command);
    let next = || {
        let mut text = [0; 1024];
        let length = told.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let until = |what: &str| loop {
        let text = next();
        if text.lines().any(|line| line.starts_with(what)) {
            return text;
        }
    };
    assert_eq!(next(), "READY=1");
    let life = until("WATCHDOG=1");
    assert!(
        life.contains("STATUS=1 relays, 0 pairs, 0 waiting; generation 1"),
        "{life}"
    );
    // A reload that fails is over, too.
    for text in [&*relay, "threds = 1\n", &relay] {
        write(folder.path(), text);
        couplet.signal(Signal::HUP);
        let reloading = until("RELOADING=1");
        assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(until("READY=1"), "READY=1");
    }
    until("STATUS=1 relays, 0 pairs, 0 waiting; generation 3");
    couplet.terminate();
    until("STOPPING=1");
    until("EXTEND_TIMEOUT_USEC=");
    couplet.finish().ok();
}
