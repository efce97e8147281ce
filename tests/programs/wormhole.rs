//! magic-wormhole through the example that is its transit relay.

use std::{fs, process::Command};

use couplet_tests::{
    Process, example, finish,
    net::{free_port, listens},
    pattern, python_program,
};
use tempfile::TempDir;

const SIZE: usize = 64 * 1024 * 1024;

struct Wormholes {
    scratch: TempDir,
    _mailbox: Process,
    relay: Process,
    mailbox_at: String,
    relay_at: String,
}

impl Wormholes {
    fn open() -> Self {
        let scratch = TempDir::new().unwrap();
        let port = free_port();
        let mut mailbox = python_program("twist");
        mailbox
            .args(["wormhole-mailbox", "--channel-db=:memory:"])
            .arg(format!("--port=tcp:{port}:interface=127.0.0.1"))
            .current_dir(&scratch);
        let mailbox = Process::spawn("mailbox", &mut mailbox);
        let mut relay = example("wormhole_transit_relay");
        let relay = Process::spawn("relay", relay.arg("127.0.0.1:0"));
        let relay_at = relay.find("it listens", |line| {
            let (host, port) = line.strip_prefix("A listens on ")?.split_once(':')?;
            Some(format!("tcp:{host}:{port}"))
        });
        listens(port);
        Self {
            scratch,
            _mailbox: mailbox,
            relay,
            mailbox_at: format!("ws://127.0.0.1:{port}/v1"),
            relay_at,
        }
    }

    /// A client that no peer can reach, so that all has to go through the relay.
    fn client(&self, command: &str, folder: &str) -> Command {
        let folder = self.scratch.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut client = python_program("wormhole");
        client
            .arg(format!("--relay-url={}", self.mailbox_at))
            .arg(format!("--transit-helper={}", self.relay_at))
            .args([command, "--no-listen", "--hide-progress"])
            .current_dir(folder);
        client
    }

    fn carry(&self, what: &str, code: &str) {
        let mut send = self.client("send", "from");
        let send = Process::spawn("send", send.args(["--code", code, what]));
        let mut receive = self.client("receive", "to");
        finish("receive", receive.args(["--accept-file", code])).ok();
        send.finish().ok();
    }

    fn relayed(&self, sessions: usize) -> Vec<u64> {
        let bytes = |line: &String| {
            let (bytes, _) = line
                .strip_prefix("relayed ")?
                .split_once(" bytes: finished")?;
            bytes.parse().ok()
        };
        self.relay.look("it tells of its sessions", |lines| {
            let relayed: Vec<_> = lines.iter().filter_map(bytes).collect();
            (relayed.len() >= sessions).then_some(relayed)
        })
    }
}

#[test]
fn a_file_and_a_folder() {
    let wormholes = Wormholes::open();
    let [from, to] = ["from", "to"].map(|folder| wormholes.scratch.path().join(folder));
    fs::create_dir_all(from.join("folder/within")).unwrap();
    fs::write(from.join("large"), pattern::bytes(1, SIZE)).unwrap();
    fs::write(from.join("folder/within/one"), "one").unwrap();
    fs::write(from.join("folder/two"), "two").unwrap();

    wormholes.carry("large", "7-guitarist-revenge");
    let large = fs::File::open(to.join("large")).unwrap();
    pattern::expect_all(large, 1, SIZE);
    wormholes.carry("folder", "8-guitarist-revenge");
    for file in ["folder/within/one", "folder/two"] {
        assert_eq!(
            fs::read(from.join(file)).unwrap(),
            fs::read(to.join(file)).unwrap()
        );
    }

    let relayed = wormholes.relayed(2);
    assert!(relayed[0] > SIZE as u64, "{relayed:?}");
}
