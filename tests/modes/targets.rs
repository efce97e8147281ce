//! Several targets behind one dial: which gets a client, and what becomes of clients where one goes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use couplet_tests::{
    Couplet,
    net::{self, connect, connect_in_vain},
    until,
};
use socket2::{Domain, Socket, Type};

/// A server that answers each client with its port, and can be killed.
struct Server {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    conns: Arc<Mutex<Vec<TcpStream>>>,
    stops: Arc<AtomicBool>,
}

impl Server {
    fn start(port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        socket.bind(&address.into()).unwrap();
        socket.listen(1024).unwrap();
        let listener: TcpListener = socket.into();
        let server = Self {
            address: listener.local_addr().unwrap(),
            served: Arc::default(),
            conns: Arc::default(),
            stops: Arc::default(),
        };
        let (served, conns, stops) = (
            Arc::clone(&server.served),
            Arc::clone(&server.conns),
            Arc::clone(&server.stops),
        );
        std::thread::spawn(move || {
            for conn in listener.incoming() {
                let mut conn = conn.unwrap();
                if stops.load(Relaxed) {
                    net::reset(conn);
                    break;
                }
                served.fetch_add(1, Relaxed);
                let port = listener.local_addr().unwrap().port();
                // A check has gone by now.
                let _ = conn.write_all(&port.to_be_bytes());
                conns.lock().unwrap().push(conn);
            }
        });
        server
    }

    /// As a process that is killed: its port refuses, its connections are reset.
    fn kill(&self) {
        self.stops.store(true, Relaxed);
        drop(TcpStream::connect(self.address));
        net::listens_no_more(self.address);
        self.conns.lock().unwrap().drain(..).for_each(net::reset);
    }
}

fn dial(servers: &[&Server], options: &str) -> String {
    let targets: Vec<_> = servers
        .iter()
        .map(|server| server.address.to_string())
        .collect();
    format!("dial:{}{options}", targets.join("|"))
}

/// Connects, and reads which server it is.
fn ask(couplet: SocketAddr) -> std::io::Result<(TcpStream, u16)> {
    let mut client = TcpStream::connect(couplet)?;
    client.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    Ok((client, u16::from_be_bytes(port)))
}

#[test]
fn clients_take_turns_and_a_server_that_is_killed_costs_none_but_its_own() {
    let servers = [Server::start(0), Server::start(0), Server::start(0)];
    let [one, two, three] = &servers;
    let couplet = Couplet::start(&[
        "listen:127.0.0.1:0",
        &dial(&[one, two, three], ",balance=round-robin,check=200ms"),
    ]);
    let address = couplet.address('A');
    let stops = Arc::new(AtomicBool::new(false));
    // Clients that come all the time, each for a moment.
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stops = Arc::clone(&stops);
            std::thread::spawn(move || {
                let (mut ports, mut failed) = (Vec::new(), Vec::new());
                while !stops.load(Relaxed) {
                    let client = connect(address);
                    let local = client.local_addr().unwrap();
                    let mut port = [0; 2];
                    client
                        .set_read_timeout(Some(Duration::from_secs(20)))
                        .unwrap();
                    match (&client).read_exact(&mut port) {
                        Ok(()) => ports.push(u16::from_be_bytes(port)),
                        Err(_) => failed.push(local),
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                (ports, failed)
            })
        })
        .collect();
    let served = |server: &Server, more: usize| {
        let before = server.served.load(Relaxed);
        until("it serves", || {
            (server.served.load(Relaxed) >= before + more).then_some(())
        });
    };
    served(two, 50);
    two.kill();
    couplet.events("target is down", 1);
    served(one, 50);
    // It is back.
    let back = Server::start(two.address.port());
    couplet.events("target is up", 1);
    served(&back, 20);
    stops.store(true, Relaxed);
    let (mut all, mut all_failed) = (Vec::new(), Vec::new());
    for client in clients {
        let (ports, failed) = client.join().unwrap();
        all.extend(ports);
        all_failed.extend(failed);
    }
    assert!(all.len() > 200, "{}", all.len());
    // A client that saw an error was joined with the server that was killed.
    let joined: Vec<_> = couplet.events("joined", 1);
    for client in &all_failed {
        let its = joined.iter().find(|event| event["a"] == client.to_string());
        let its = its.unwrap_or_else(|| panic!("{client} was refused"));
        assert_eq!(its["b"], two.address.to_string(), "{client}");
    }
    let of = |server: &Server| {
        all.iter()
            .filter(|port| **port == server.address.port())
            .count()
    };
    let (one, three) = (of(one), of(three));
    assert!(one.abs_diff(three) <= one / 5 + 5, "{one} and {three}");
}

#[test]
fn a_client_gets_the_first_target_that_is_up_and_where_none_is_it_is_reset_at_once() {
    let (one, two) = (Server::start(0), Server::start(0));
    let couplet = Couplet::start(&[
        "listen:127.0.0.1:0",
        &dial(&[&one, &two], ",balance=failover,balance.failures=1"),
    ]);
    let address = couplet.address('A');
    assert_eq!(ask(address).unwrap().1, one.address.port());
    one.kill();
    assert_eq!(ask(address).unwrap().1, two.address.port());
    assert_eq!(ask(address).unwrap().1, two.address.port());
    two.kill();
    connect_in_vain(address);
    connect_in_vain(address);
    let refused = couplet.events("refused", 2);
    assert!(
        refused[0]["error"]
            .as_str()
            .unwrap()
            .contains("none of 2 targets can be reached")
    );
    assert!(
        refused[1]["error"]
            .as_str()
            .unwrap()
            .contains("all 2 targets are down")
    );
}

#[test]
fn a_client_waits_for_a_target_that_comes_up() {
    let one = Server::start(0);
    let two = Server::start(0);
    one.kill();
    two.kill();
    let couplet = Couplet::start(&[
        "listen:127.0.0.1:0",
        &dial(
            &[&one, &two],
            ",balance=failover,balance.retry=30s,check=100ms,check.fall=1",
        ),
    ]);
    couplet.events("target is down", 2);
    let address = couplet.address('A');
    let client = std::thread::spawn(move || ask(address).unwrap().1);
    let back = Server::start(two.address.port());
    assert_eq!(client.join().unwrap(), back.address.port());
}

#[test]
fn the_port_is_closed_while_all_targets_are_down_and_open_again_when_one_is_up() {
    let (one, two) = (Server::start(0), Server::start(0));
    let couplet = Couplet::start(&[
        &format!("listen:127.0.0.1:{}", net::free_port()),
        &dial(
            &[&one, &two],
            ",check=100ms,check.fall=1,check.all-down=close",
        ),
    ]);
    let address = couplet.address('A');
    assert_eq!(ask(address).unwrap().1, one.address.port());
    one.kill();
    two.kill();
    for round in 1..=2 {
        couplet.events("all targets are down: listens no more", round);
        net::listens_no_more(address);
        let back = Server::start(two.address.port());
        couplet.events("a target is up: listens again", round);
        for _ in 0..3 {
            assert_eq!(ask(address).unwrap().1, back.address.port());
        }
        back.kill();
    }
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn a_check_goes_through_the_stack_where_it_is_told_to() {
    // It accepts, and speaks no TLS: only a look behind the connection shows that.
    let mute = Server::start(0);
    let scratch = tempfile::tempdir().unwrap();
    let pem = scratch.path().join("pem");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&pem, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    let pem = pem.display();
    let behind = Server::start(0);
    let tls = Couplet::start(&[
        &format!(
            "listen:127.0.0.1:0,proxy-protocol=require,proxy-protocol.from=127.0.0.0/8,tls={pem}"
        ),
        &dial(&[&behind], ""),
    ]);
    let target = tls.address('A');
    let couplet = Couplet::start(&[
        "listen:127.0.0.1:0",
        &format!(
            "dial:{}|{target},proxy-protocol=v2,tls=localhost,tls.ca={pem},check=100ms,check.stack=on,check.rise=2",
            mute.address
        ),
    ]);
    let down = couplet.events("target is down", 1);
    assert_eq!(down[0]["target"], mute.address.to_string());
    assert_eq!(ask(couplet.address('A')).unwrap().1, behind.address.port());
    let told = format!("dial:{target},rendezvous=k,check,check.stack=on");
    Couplet::run(&["listen:0", &told])
        .with(2)
        .said("where a check would meet a client");
}

#[test]
fn a_client_keeps_its_server() {
    let servers = [Server::start(0), Server::start(0), Server::start(0)];
    let [one, two, three] = &servers;
    let couplet = Couplet::start(&[
        "listen:127.0.0.1:0",
        &dial(&[one, two, three], ",balance=hash-addr"),
    ]);
    let address = couplet.address('A');
    let first = ask(address).unwrap().1;
    for _ in 0..5 {
        assert_eq!(ask(address).unwrap().1, first);
    }
    // Another address of this machine has its own.
    let servers = (1..40_u8).map(|last| {
        let mut client = net::connect_from(std::net::Ipv4Addr::new(127, 0, 1, last), address);
        let mut port = [0; 2];
        client.read_exact(&mut port).unwrap();
        port
    });
    let distinct: std::collections::HashSet<_> = servers.collect();
    assert_eq!(distinct.len(), 3);
}

#[test]
fn targets_that_make_no_sense_are_errors() {
    for (side, told) in [
        ("dial:a:1|a:1", "the target is given twice"),
        (
            "dial:a:1,balance=least",
            "`balance` has one target to choose from",
        ),
        (
            "dial:a:1|b:1,balance=most",
            "`most` is not a way to balance",
        ),
        (
            "dial:a:1|b:1,balance=least,balance.weights=1",
            "1 weights for 2 targets",
        ),
        (
            "dial:a:1|b:1,balance=least,balance.backup=c:1",
            "`c:1` is none of the targets",
        ),
        (
            "dial:a:1|b:1,balance=least,balance.backup=a:1+b:1",
            "all targets are backups",
        ),
        (
            "dial:a:1|unix:/b,via=socks5://p:1",
            "no proxy dials `unix:/b`",
        ),
        ("exec:cat,check", "not for a program"),
        (
            "dial:a:1,check,check.all-down=refuse",
            "`refuse` is not done to clients while all targets are down",
        ),
        (
            "dial:a:1,check,check.stack=off",
            "`off` is not a value of `check.stack`",
        ),
    ] {
        Couplet::run(&["listen:0", side]).with(2).said(told);
    }
    for a in ["listen:unix:@none", "listen:127.0.0.1:0"] {
        Couplet::run(&[a, "dial:a:1,check,check.all-down=close"])
            .with(2)
            .said("closes the port of the other side, which has none of its own");
    }
}
