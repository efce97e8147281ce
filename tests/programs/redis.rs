//! A redis server behind the command.

use std::process::Command;

use couplet_tests::{Couplet, Process, finish, net::free_port, program};
use tempfile::TempDir;

struct Redis {
    _scratch: TempDir,
    server: Process,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let scratch = TempDir::new().unwrap();
        let port = free_port();
        let mut command = program("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(scratch.path());
        let server = Process::spawn("redis-server", &mut command);
        server.find("it is ready", |line| {
            line.to_lowercase()
                .contains("ready to accept connections")
                .then_some(())
        });
        Self {
            _scratch: scratch,
            server,
            port,
        }
    }
}

fn cli(couplet: &Couplet) -> Command {
    let mut command = program("redis-cli");
    command.args(["-p", &couplet.address('A').port().to_string()]);
    command
}

#[test]
fn questions_and_answers() {
    let redis = Redis::start();
    let couplet = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{}", redis.port)]);
    let ask = |args: &[&str]| finish("redis-cli", cli(&couplet).args(args)).ok().log;
    assert_eq!(ask(&["ping"]), "PONG");
    let long = "x".repeat(100_000);
    assert_eq!(ask(&["set", "key", &long]), "OK");
    assert_eq!(ask(&["get", "key"]), long);
    assert_eq!(
        ask(&["-r", "1000", "incr", "count"]).lines().last(),
        Some("1000")
    );
}

/// The recipe "Several servers behind one port".
#[test]
fn a_server_that_answers_no_ping_gets_no_client() {
    let (one, two) = (Redis::start(), Redis::start());
    let targets = format!("dial:127.0.0.1:{}|127.0.0.1:{}", one.port, two.port);
    let check = r"check=200ms,check.send=PING\r\n,check.expect=+PONG";
    let couplet = Couplet::start(&["listen:0", &format!("{targets},balance=failover,{check}")]);
    let port = |couplet: &Couplet| {
        let asked = finish("redis-cli", cli(couplet).args(["config", "get", "port"]));
        asked.ok().log.lines().last().map(str::to_owned)
    };
    assert_eq!(port(&couplet), Some(one.port.to_string()));
    // It still accepts, and says nothing.
    one.server.signal(rustix::process::Signal::STOP);
    couplet.events("target is down", 1);
    assert_eq!(port(&couplet), Some(two.port.to_string()));
    one.server.signal(rustix::process::Signal::CONT);
    couplet.events("target is up", 1);
    assert_eq!(port(&couplet), Some(one.port.to_string()));
}

#[test]
fn a_subscriber_hears_at_once() {
    let redis = Redis::start();
    let couplet = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{}", redis.port)]);
    let subscriber = Process::spawn("redis-cli", cli(&couplet).args(["subscribe", "news"]));
    subscriber.find("it is subscribed", |line| {
        line.contains("subscribe").then_some(())
    });
    for number in 0..3 {
        let word = format!("word-{number}");
        let told = finish("redis-cli", cli(&couplet).args(["publish", "news", &word]));
        told.ok().said("1");
        subscriber.find("it hears", |line| line.contains(&word).then_some(()));
    }
}
