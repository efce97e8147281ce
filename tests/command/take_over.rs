//! `--take-over`: one process after the other has the listening sockets, and no client notices.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use couplet_tests::{
    Couplet, Process,
    net::{connect, expect_closed, listen, unix},
    pattern, until,
};
use rustix::process::Signal;

use crate::service::{greeted, server};

/// A folder with a file of two relays, and servers that tell their letter.
pub(super) struct Rig {
    folder: tempfile::TempDir,
    pub(super) tcp: SocketAddr,
    servers: [String; 2],
}

impl Rig {
    pub(super) fn new() -> Self {
        let rig = Self {
            folder: tempfile::tempdir().unwrap(),
            tcp: listen().local_addr().unwrap(),
            servers: [server(b'0'), server(b'1')],
        };
        rig.write(0, "");
        rig
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on the file leads to this server.
    pub(super) fn write(&self, server: usize, more: &str) {
        let (tcp, target) = (self.tcp, &self.servers[server]);
        let text = format!(
            "admin = 'unix:admin.sock'\nlog-format = 'json'\n[relay.tcp]\na = 'listen:{tcp}'\nb = '{target}'\n\
             [relay.local]\na = ['listen:unix:local.sock', 'mode=0600']\nb = '{target}'\n{more}"
        );
        fs::write(self.path("couplet.toml"), text).unwrap();
    }

    fn take_over(&self) -> String {
        format!("--take-over={}", self.path("next.sock").display())
    }

    fn file(&self) -> String {
        self.path("couplet.toml").to_str().unwrap().to_owned()
    }

    pub(super) fn start(&self) -> Couplet {
        Couplet::start_text(&["run", &self.file(), &self.take_over()])
    }

    /// A process that has taken over whatever ran before.
    pub(super) fn running(&self) -> Couplet {
        let couplet = self.start();
        couplet.events("all relays run", 1);
        couplet
    }

    fn admin(&self) -> String {
        format!("--admin=unix:{}", self.path("admin.sock").display())
    }

    /// A client of each relay, served by this server.
    #[track_caller]
    pub(super) fn served(&self, letter: char) -> [TcpStream; 2] {
        let clients = [connect(self.tcp), unix::connect(&self.path("local.sock"))];
        for client in &clients {
            assert_eq!(greeted(client), letter);
            echo(client);
        }
        clients
    }
}

#[track_caller]
pub(super) fn echo(client: &TcpStream) {
    pattern::send(client, 1, 5000);
    pattern::expect(client, 1, 5000);
}

/// Clients that come one after the other, until they are stopped; each has to be served.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn new(rig: &Rig) -> Self {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..4).map(|number| {
            let (tcp, path) = (rig.tcp, rig.path("local.sock"));
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let client = match number % 2 {
                        0 => connect(tcp),
                        _ => unix::connect(&path),
                    };
                    assert!(['0', '1'].contains(&greeted(&client)));
                    echo(&client);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let clients = clients.collect();
        Self {
            stop,
            served,
            clients,
        }
    }

    /// Waits until this many more are served.
    pub(super) fn more(&self, number: usize) {
        let before = self.served.load(Ordering::Relaxed);
        until("clients are served", || {
            (self.served.load(Ordering::Relaxed) >= before + number).then_some(())
        });
    }

    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
    }
}

#[test]
fn through_several_processes_no_client_is_refused_and_no_pair_is_cut() {
    let rig = Rig::new();
    let mut before = rig.running();
    let traffic = Traffic::new(&rig);
    let mut live = vec![rig.served('0')];
    let mut retired = Vec::new();
    for number in 1..=6 {
        rig.write(number % 2, "");
        let next = rig.running();
        before.events("taken over: no new connections, live pairs go on", 1);
        traffic.more(20);
        let letter = if number % 2 == 0 { '0' } else { '1' };
        live.push(rig.served(letter));
        live.iter().flatten().for_each(echo);
        // The admin endpoint is the new one's, as is all else.
        Couplet::run(&["ctl", &rig.admin(), "reload"])
            .ok()
            .said("generation 2");
        retired.push(before);
        before = next;
    }
    traffic.end();
    // Each has its live pairs until they end.
    for (mut process, clients) in retired.into_iter().zip(live.drain(..6)) {
        assert!(process.is_running());
        clients.iter().for_each(echo);
        drop(clients);
        process.finish().ok();
    }
    for path in ["local.sock", "admin.sock", "next.sock"] {
        assert!(rig.path(path).exists(), "{path} is the last one's");
    }
    rig.served('0');
    before.terminate();
    drop(live);
    before.finish().ok();
    for path in ["local.sock", "admin.sock", "next.sock"] {
        assert!(!rig.path(path).exists(), "{path} is left");
    }
}

#[test]
fn a_process_that_can_not_start_changes_nothing() {
    let rig = Rig::new();
    let first = rig.running();
    let live = rig.served('0');
    let traffic = Traffic::new(&rig);
    let taken = listen();
    let port = taken.local_addr().unwrap();
    let target = &rig.servers[1];
    let capture = rig.path("capture.pcapng");
    for (more, status, part) in [
        ("loud = true\n".to_owned(), 2, "`loud` is not a key"),
        (
            format!("[relay.x]\na = 'listen:1,tls=missing.pem'\nb = '{target}'\n"),
            2,
            "missing.pem",
        ),
        (
            format!("[relay.x]\na = 'listen:{port}'\nb = '{target}'\n"),
            1,
            "relay x",
        ),
        (
            format!("[relay.x]\na = 'listen:unix:/nowhere/x.sock'\nb = '{target}'\n"),
            1,
            "no such directory",
        ),
        (
            "access-log = '/nowhere/log'\n".to_owned(),
            1,
            "/nowhere/log",
        ),
        (
            // A disk without room.
            "access-log = '/dev/full/x'\n".to_owned(),
            1,
            "/dev/full/x",
        ),
        (
            format!("capture = '{}'\n", capture.display()),
            1,
            "the process that runs may be writing to",
        ),
    ] {
        rig.write(1, &more);
        let file = rig.file();
        let said = Couplet::run(&["run", &file, &rig.take_over()]).with(status);
        assert!(said.log.contains(part), "no `{part}` in {said}");
        traffic.more(4);
        rig.served('0');
    }
    assert!(!capture.exists());
    for path in ["local.sock", "admin.sock", "next.sock"] {
        assert!(rig.path(path).exists(), "{path} is gone");
    }
    traffic.end();
    live.iter().for_each(echo);
    rig.write(1, "");
    let next = rig.running();
    rig.served('1');
    drop(live);
    first.finish().ok();
    drop(next);
}

/// Asks as a new process does, and gets what comes before the sockets.
fn ask(rig: &Rig) -> UnixStream {
    let mut stream = UnixStream::connect(rig.path("next.sock")).unwrap();
    stream.set_read_timeout(Some(couplet_tests::LIMIT)).unwrap();
    let mut lengths = [0; 8];
    stream.read_exact(&mut lengths).unwrap();
    let sockets = u32::from_be_bytes(lengths[4..].try_into().unwrap());
    // Two relays, the admin endpoint, and this one.
    assert_eq!(sockets, 4);
    stream
}

#[test]
fn a_process_that_is_killed_in_the_middle_changes_nothing() {
    let rig = Rig::new();
    let first = rig.running();
    let live = rig.served('0');
    let traffic = Traffic::new(&rig);
    rig.write(1, "");
    for round in 0..5 {
        // The test has been given the sockets, and so another process waits for its turn.
        let mut asking = ask(&rig);
        let next = rig.start();
        traffic.more(4);
        // It dies there, without a word.
        next.signal(Signal::KILL);
        assert_eq!(next.finish().status, 128 + 9);
        traffic.more(4);
        match round {
            0 => {}
            // Nor does it matter what is said in place of "running".
            1 => asking.write_all(b"\0\0\0\x04\0\0\0\0what").unwrap(),
            2 => asking.write_all(b"\0\0\0\x07\0").unwrap(),
            _ => asking.write_all(&[0xff; 64]).unwrap(),
        }
        drop(asking);
        first.events("not taken over: this process goes on", round + 1);
        rig.served('0');
    }
    traffic.end();
    live.iter().for_each(echo);
    let next = rig.running();
    rig.served('1');
    drop(live);
    first.finish().ok();
    drop(next);
}

#[test]
fn a_process_that_is_told_so_starts_its_successor_and_tells_systemd() {
    let rig = Rig::new();
    let socket = rig.path("notify");
    let told = UnixDatagram::bind(&socket).unwrap();
    told.set_read_timeout(Some(couplet_tests::LIMIT)).unwrap();
    let mut command = Couplet::command(&["run", "couplet.toml", "--take-over"]);
    command
        .current_dir(rig.folder.path())
        .env("RUNTIME_DIRECTORY", rig.folder.path())
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "200000");
    let mut first = Process::spawn("couplet", &mut command);
    let until = |what: &str| loop {
        let mut text = [0; 1024];
        let length = told.recv(&mut text).unwrap();
        let text = String::from_utf8(text[..length].to_vec()).unwrap();
        if text.starts_with(what) {
            return text;
        }
    };
    until("READY=1");
    assert!(rig.path("take-over.sock").exists());
    let live = rig.served('0');
    rig.write(1, "");
    first.signal(Signal::USR2);
    let main = until("MAINPID=");
    until("READY=1");
    // A sign of life, of the new one.
    until("WATCHDOG=1");
    rig.served('1');
    live.iter().for_each(echo);
    let pid = main.strip_prefix("MAINPID=").unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // Its parent is not the first one, which is about to end.
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let parent = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
    assert_ne!(parent, first.id().to_string());
    drop(live);
    // What it printed to is its successor's, too, and so has no end.
    until_it("the first one ends", || !first.is_running());
    let live = rig.served('1');
    // A second signal ends it at once.
    let terminate = || rustix::process::kill_process(pid, Signal::TERM).unwrap();
    terminate();
    until("STOPPING=1");
    terminate();
    live.iter().for_each(expect_closed);
    gone(&rig.path("take-over.sock"));
}

fn gone(path: &Path) {
    until_it("the path is gone", || !path.exists());
}

fn until_it(what: &str, mut is_so: impl FnMut() -> bool) {
    until(what, || is_so().then_some(()));
}

#[test]
fn without_a_folder_for_it_the_path_has_to_be_given() {
    let rig = Rig::new();
    let mut command = Couplet::command(&["run", &rig.file(), "--take-over"]);
    command.env_remove("RUNTIME_DIRECTORY");
    couplet_tests::finish("couplet", &mut command)
        .with(2)
        .said("there is no RUNTIME_DIRECTORY, which systemd sets")
        .said("`--take-over=PATH`");
    // Something else is there.
    fs::write(rig.path("next.sock"), "x").unwrap();
    Couplet::run(&["run", &rig.file(), &rig.take_over()])
        .with(1)
        .said("next.sock");
    assert_eq!(fs::read(rig.path("next.sock")).unwrap(), b"x");
}
