//! Families of metrics, moved by what they tell of: each by real traffic.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet, Finished, Process, finish,
    net::{accept, connect, dial, expect_end, free_port, listen, listens, reset},
    pattern, program, until,
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

/// Relays of a file, and where they can be asked.
struct Rig {
    folder: tempfile::TempDir,
    couplet: Couplet,
}

/// What stands above the relays.
const TOP: &str = "log-format = 'json'\nadmin = ['unix:admin.sock']\n";

// ===== impl Rig =====

impl Rig {
    fn new(relays: &str) -> Self {
        Self::with(relays, |_| {})
    }

    /// Of a file beside which there are others.
    fn with(relays: &str, others: impl FnOnce(&tempfile::TempDir)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        others(&folder);
        let file = folder.path().join("couplet.toml");
        fs::write(&file, format!("{TOP}{relays}")).unwrap();
        let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
        couplet.events("all relays run", 1);
        Self { folder, couplet }
    }

    /// Where the relay of this name listens.
    fn address(&self, relay: &str) -> SocketAddr {
        self.couplet.find("it runs", |line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_it = event["message"] == "running" && event["relay"] == relay;
            is_it.then(|| event["a"].as_str().unwrap().parse().unwrap())
        })
    }

    fn ctl(&self, args: &[&str]) -> Finished {
        let admin = format!("--admin=unix:{}/admin.sock", self.folder.path().display());
        Couplet::run(&[&["ctl"], args, &[&admin]].concat())
    }

    /// Takes this file.
    fn reload(&self, relays: &str) {
        let file = self.folder.path().join("couplet.toml");
        fs::write(file, format!("{TOP}{relays}")).unwrap();
        self.ctl(&["reload"]).ok();
    }

    fn metrics(&self) -> String {
        ask(&format!("{}/admin.sock", self.folder.path().display()))
    }

    fn value(&self, series: &str) -> f64 {
        value(&self.metrics(), series)
    }

    /// Waits until the series has this value.
    fn is(&self, series: &str, expected: f64) {
        until(&format!("{series} is {expected}"), || {
            (self.value(series) == expected).then_some(())
        });
    }
}

/// What is served over the Unix socket at this path.
fn ask(socket: &str) -> String {
    let mut curl = program("curl");
    curl.args(["-sS", "--max-time", "10", "--unix-socket", socket])
        .arg("http://localhost/metrics");
    finish("curl", &mut curl).ok().log
}

fn value(served: &str, series: &str) -> f64 {
    let line = served.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("{series} is not in\n{served}"));
    line.trim().parse().unwrap()
}

/// A pair through the relay.
fn pair(relay: SocketAddr, server: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = connect(relay);
    let mut server = accept(server);
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    (client, server)
}

/// A certificate and its key, which expires then.
fn certificate(year: i32) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
}

/// The names of the labels of a family, as its first series has them.
fn labels(served: &str, family: &str) -> String {
    let is_its = |line: &&str| {
        let behind = line.strip_prefix(family);
        behind.is_some_and(|behind| behind.starts_with(['{', ' ']) || behind.starts_with("_sum"))
    };
    let series = served.lines().find(is_its).unwrap();
    let inside = series
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let labels = inside.map_or("", |(labels, _)| labels).split(',');
    let names: Vec<_> = labels
        .filter_map(|label| Some(label.split_once('=')?.0))
        .collect();
    names.join(", ")
}

/// Rows of a page: the first cell, with the next two.
fn rows(page: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR")));
    let page = page.unwrap();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.filter(|(name, _)| name.starts_with("couplet_") || name.starts_with("process_"))
        .map(|(name, row)| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
            format!("{name} {} {}", cells.next().unwrap(), cells.next().unwrap())
        })
        .collect()
}

/// Of relays that have all that is counted.
#[test]
fn the_documented_families_are_those_that_are_served() {
    let rig = Rig::with(
        "[relay.tls]\na = ['listen:127.0.0.1:0', 'max-conns=5', 'max-conns.wait=1s', 'tls=both.pem']\n\
         b = 'dial:127.0.0.1:1|127.0.0.1:2'\n\
         [relay.pool]\na = 'listen:127.0.0.1:0'\nb = 'dial:127.0.0.1:1,keep=2'\n\
         [rendezvous.meet]\na = 'listen:127.0.0.1:0'\n",
        |folder| fs::write(folder.path().join("both.pem"), certificate(2100)).unwrap(),
    );
    let served = rig.metrics();
    let families: BTreeSet<_> = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| format!("{name} {kind} {}", labels(&served, name)))
        .collect();
    assert_eq!(rows("metrics.md"), families);
}

#[test]
fn accepts_without_a_descriptor_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("{}/admin.sock", folder.path().display());
    let admin = format!("--admin=unix:{socket}");
    let couplet = Couplet::start_with_descriptors(64, &["listen:0", "listen:0", &admin]);
    let series = |error| {
        format!("couplet_accept_errors_total{{relay=\"relay\",side=\"a\",error=\"{error}\"}}")
    };
    assert_eq!(value(&ask(&socket), &series("descriptors")), 0.0);
    let waiting: Vec<_> = (0..200).map(|_| connect(couplet.address('A'))).collect();
    couplet.find("there are none left", |line| {
        line.contains("can't accept").then_some(())
    });
    waiting.into_iter().for_each(reset);
    let served = until("it can be asked again", || {
        let mut curl = program("curl");
        curl.args(["-sS", "--max-time", "1", "--unix-socket", &socket])
            .arg("http://localhost/metrics");
        let served = curl.output().unwrap();
        let served = String::from_utf8(served.stdout).unwrap();
        served.contains("couplet_ready").then_some(served)
    });
    assert!(value(&served, &series("descriptors")) > 0.0);
    assert_eq!(value(&served, &series("memory")), 0.0);
}

#[test]
fn a_client_over_a_limit_is_in_its_queue() {
    let server = listen();
    let relay = |wait: &str| {
        format!(
            "[relay.web]\na = ['listen:127.0.0.1:0', 'max-conns=1', 'max-conns.wait={wait}']\nb = '{}'\n",
            dial(&server)
        )
    };
    let rig = Rig::new(&relay("1m"));
    let queued = "couplet_limit_queued{relay=\"web\",side=\"a\",limit=\"max-conns\"}";
    assert_eq!(rig.value(queued), 0.0);
    let first = pair(rig.address("web"), &server);
    let mut second = connect(rig.address("web"));
    rig.is(queued, 1.0);
    // The queue is the same one after a reload that does not change the limit.
    rig.reload(&(relay("1m") + "idle-timeout = '1h'\n"));
    assert_eq!(rig.value(queued), 1.0);
    drop(first);
    second.write_all(b"hello").unwrap();
    accept(&server).read_exact(&mut [0; 5]).unwrap();
    rig.is(queued, 0.0);
}

#[test]
fn a_pool_tells_what_is_ready_and_what_is_dialled_after_a_pause() {
    let keeper = listen();
    let rig = Rig::new(&format!(
        "[relay.back]\na = 'listen:127.0.0.1:0'\nb = '{},keep=2'\n",
        dial(&keeper)
    ));
    let series =
        |state| format!("couplet_pool_connections{{relay=\"back\",side=\"b\",state=\"{state}\"}}");
    let kept = [accept(&keeper), accept(&keeper)];
    rig.is(&series("ready"), 2.0);
    assert_eq!(
        rig.value("couplet_pool_wanted{relay=\"back\",side=\"b\"}"),
        2.0
    );
    drop(keeper);
    drop(kept);
    rig.is(&series("ready"), 0.0);
    rig.is(&series("back_off"), 2.0);
}

#[test]
fn keys_that_wait_are_counted_once_each() {
    let rig = Rig::new("[rendezvous.meet]\na = 'listen:127.0.0.1:0'\n");
    let client = |key: u8, side: &str| {
        let mut client = connect(rig.address("meet"));
        let key = format!("{key:02x}").repeat(16);
        client
            .write_all(format!("couplet/1 {key}{side}\n").as_bytes())
            .unwrap();
        client
    };
    let keys = "couplet_rendezvous_keys{relay=\"meet\"}";
    assert_eq!(rig.value(keys), 0.0);
    let _alone = client(1, "");
    let _waiting = [client(2, " a"), client(2, " a")];
    rig.couplet
        .events("waits for a partner with the same key", 3);
    rig.is(keys, 2.0);
    let _partner = client(1, "");
    rig.is("couplet_pairs_total{relay=\"meet\"}", 1.0);
    rig.is(keys, 1.0);
}

#[test]
fn a_certificate_tells_when_it_expires_also_after_it_is_read_again() {
    let rig = Rig::with(
        "[relay.web]\na = ['listen:127.0.0.1:0', 'tls=both.pem']\nb = 'dial:127.0.0.1:1'\n",
        |folder| fs::write(folder.path().join("both.pem"), certificate(2050)).unwrap(),
    );
    let file = rig.folder.path().join("both.pem");
    let series = "couplet_certificate_not_after_timestamp_seconds{relay=\"web\",side=\"a\",certificate=\"both.pem\"}";
    // date --utc --date=2050-01-01 +%s
    assert_eq!(rig.value(series), 2_524_608_000.0);
    fs::write(&file, certificate(2060)).unwrap();
    rig.ctl(&["reload"]).ok();
    assert_eq!(rig.value(series), 2_840_140_800.0);
    // One that can't be used changes nothing.
    fs::write(&file, "nothing").unwrap();
    rig.ctl(&["reload"]);
    assert_eq!(rig.value(series), 2_840_140_800.0);
}

#[test]
fn handshakes_are_timed_by_step_and_go_on_after_a_reload() {
    let server = listen();
    let relay = |timeout: &str| {
        format!(
            "[relay.web]\na = ['listen:127.0.0.1:0', 'token=@secret']\nb = '{}'\nidle-timeout = '{timeout}'\n",
            dial(&server)
        )
    };
    let rig = Rig::with(&relay("1h"), |folder| {
        fs::write(folder.path().join("secret"), "opensesame\n").unwrap();
    });
    let steps = "couplet_step_duration_seconds_count{relay=\"web\",side=\"a\",step=\"token\"}";
    assert_eq!(rig.value(steps), 0.0);
    for (told, count) in [("opensesame", 1.0), ("guess", 1.0), ("opensesame", 2.0)] {
        let mut client = connect(rig.address("web"));
        client
            .write_all(format!("{told}\nhello").as_bytes())
            .unwrap();
        if told == "opensesame" {
            accept(&server).read_exact(&mut [0; 5]).unwrap();
        } else {
            rig.couplet.events("refused", 1);
        }
        assert_eq!(rig.value(steps), count);
        rig.reload(&relay(&format!("{}h", 2.0 + count)));
        assert_eq!(rig.value(steps), count);
    }
}

#[test]
fn pairs_from_before_a_reload_are_told_apart() {
    let server = listen();
    let relay = |timeout: u32| {
        format!(
            "[relay.web]\na = 'listen:127.0.0.1:0'\nb = '{}'\nidle-timeout = '{timeout}h'\n",
            dial(&server)
        )
    };
    let rig = Rig::new(&relay(1));
    let live = |generation| {
        let series = format!("couplet_pairs_live{{relay=\"web\",generation=\"{generation}\"}}");
        rig.value(&series)
    };
    let mut old = pair(rig.address("web"), &server).0;
    assert_eq!((live("current"), live("older")), (1.0, 0.0));
    rig.reload(&relay(2));
    assert_eq!((live("current"), live("older")), (0.0, 1.0));
    let mut new = pair(rig.address("web"), &server);
    assert_eq!((live("current"), live("older")), (1.0, 1.0));
    // They can be listed and cut by that.
    let listed = rig.ctl(&["pairs", "--generation=older", "--json"]).ok().log;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["total"], 1);
    assert_eq!(listed["pairs"][0]["generation"], "older");
    rig.ctl(&["cut", "--generation=older"]).ok().said("1 cut");
    old.read_exact(&mut [0]).unwrap_err();
    rig.is(
        "couplet_pairs_live{relay=\"web\",generation=\"older\"}",
        0.0,
    );
    assert_eq!(live("current"), 1.0);
    new.0.write_all(b"x").unwrap();
    new.1.read_exact(&mut [0]).unwrap();
}

#[test]
fn what_a_slow_reader_leaves_is_held_and_pipes_are_counted() {
    let server = listen();
    let rig = Rig::new(&format!(
        "[relay.web]\na = 'listen:127.0.0.1:0'\nb = '{}'\n",
        dial(&server)
    ));
    let held = "couplet_held_bytes{relay=\"web\",dir=\"a_to_b\"}";
    assert_eq!(rig.value(held), 0.0);
    let (client, server) = pair(rig.address("web"), &server);
    let sends = client.try_clone().unwrap();
    let bytes = 64_000_000;
    let sending = std::thread::spawn(move || pattern::send(&sends, 1, bytes));
    until("some bytes wait for the reader", || {
        (rig.value(held) > 0.0).then_some(())
    });
    pattern::expect(&server, 1, bytes);
    sending.join().unwrap();
    rig.is(held, 0.0);
    assert_eq!(
        rig.value("couplet_held_bytes{relay=\"web\",dir=\"b_to_a\"}"),
        0.0
    );
    let spliced = "couplet_pair_spliced_bytes_total{relay=\"web\",dir=\"a_to_b\"}";
    assert!(rig.value(spliced) > 0.0);
    let pipes = rig.value("couplet_pipes");
    assert!(pipes >= 1.0, "{pipes}");
    drop(client);
    expect_end(&server);
}

#[test]
fn lines_without_a_reader_are_counted() {
    let (target, port) = (listen(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("{}/admin.sock", folder.path().display());
    let (a, b) = (format!("listen:127.0.0.1:{port}"), dial(&target));
    let admin = format!("--admin=unix:{socket}");
    let mut command = Couplet::command(&[&a, &b, &admin, "--log-traffic=hex"]);
    let _couplet = Process::spawn_unread("couplet", &mut command);
    listens(port);
    let lost = |log| {
        value(
            &ask(&socket),
            &format!("couplet_log_dropped_total{{log=\"{log}\"}}"),
        )
    };
    assert_eq!(lost("own"), 0.0);
    let client = connect(([127, 0, 0, 1], port).into());
    let server = accept(&target);
    // As hex more than a pipe holds, and more than waits for its reader.
    pattern::send(&client, 1, 600_000);
    pattern::expect(&server, 1, 600_000);
    assert!(lost("own") > 0.0);
    assert_eq!(lost("access"), 0.0);
}
