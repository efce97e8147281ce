//! A new process that is killed with the sockets of the old one in its hands.

use std::{
    fs,
    io::{PipeWriter, pipe},
    net::SocketAddr,
    path::Path,
};

use couplet_tests::{Process, program};
use rustix::process::Signal;

use crate::take_over::{Rig, Traffic, echo};

/// Holds up a process that opens this file, until this is dropped: a lease, see fcntl(2).
struct Lease {
    holder: Process,
    _until: PipeWriter,
}

impl Lease {
    fn new(path: &Path) -> Self {
        let (input, until) = pipe().unwrap();
        let mut command = program("python3");
        command.args(["-c", HOLDS]).arg(path).stdin(input);
        let holder = Process::spawn_with_input("python", &mut command);
        holder.find("it has the lease", |line| (line == "held").then_some(()));
        Self {
            holder,
            _until: until,
        }
    }

    /// Waits until a process waits for the file.
    fn is_waited_for(&self) {
        self.holder
            .find("a process opens it", |line| (line == "opens").then_some(()));
    }
}

const HOLDS: &str = r"
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: os.write(1, b'opens\n'))
file = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
os.write(1, b'held\n')
sys.stdin.read()
";

/// Does a process have the socket that listens there?
fn has_socket(pid: u32, addr: SocketAddr) -> bool {
    let SocketAddr::V4(addr) = addr else {
        panic!("{addr} is not IPv4");
    };
    let ip = u32::from_ne_bytes(addr.ip().octets());
    let local = format!("{ip:08X}:{:04X}", addr.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let socket = sockets.lines().find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let listens = fields[1] == local && fields[3] == "0A";
        listens.then(|| format!("socket:[{}]", fields[9]))
    });
    let socket = socket.expect("a socket listens there");
    fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .any(|entry| {
            let is_it = fs::read_link(entry.unwrap().path());
            is_it.is_ok_and(|it| it.to_str() == Some(&socket))
        })
}

#[test]
fn a_process_that_is_killed_with_the_sockets_in_its_hands_loses_nothing() {
    let rig = Rig::new();
    let first = rig.running();
    let live = rig.served('0');
    let traffic = Traffic::new(&rig);
    let log = rig.path("access.log");
    rig.write(1, &format!("access-log = '{}'\n", log.display()));
    for round in 1..=3 {
        let lease = Lease::new(&log);
        // It opens its files behind the sockets, and waits there.
        let next = rig.start();
        lease.is_waited_for();
        assert!(has_socket(next.id(), rig.tcp));
        rig.served('0');
        traffic.more(4);
        if round == 2 {
            // A while without a turn makes no difference.
            next.signal(Signal::STOP);
            traffic.more(20);
        }
        next.signal(Signal::KILL);
        assert_eq!(next.finish().status, 128 + 9);
        first.events("not taken over: this process goes on", round);
        rig.served('0');
        traffic.more(4);
    }
    // One that is only late takes over.
    let lease = Lease::new(&log);
    let next = rig.start();
    lease.is_waited_for();
    drop(lease);
    next.events("all relays run", 1);
    rig.served('1');
    traffic.more(4);
    traffic.end();
    live.iter().for_each(echo);
    drop(live);
    first.finish().ok();
    drop(next);
}
