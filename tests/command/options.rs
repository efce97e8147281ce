//! The options of the command and of its sides.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_end, expect_reset, listen, listen_at, nobody_comes},
    pattern,
};

#[test]
fn beyond_max_pairs_the_next_pair_waits() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &dial(&target), "--max-pairs=2"]);
    let mut clients: Vec<_> = (0..3).map(|_| connect(couplet.address('A'))).collect();
    let servers = [accept(&target), accept(&target)];
    nobody_comes(&target);
    let third = clients.pop().unwrap();
    pattern::send(&third, 3, 1000);
    drop((clients, servers));
    pattern::expect(&accept(&target), 3, 1000);
}

#[test]
fn beyond_max_pairs_two_listening_sides_wait_too() {
    let couplet = Couplet::start(&["listen:0", "listen:0", "--max-pairs=1"]);
    let pair = || (connect(couplet.address('A')), connect(couplet.address('B')));
    let first = pair();
    couplet.joined(1);
    let (a, b) = pair();
    pattern::send(&a, 2, 1000);
    let timeout = std::time::Duration::from_millis(500);
    b.set_read_timeout(Some(timeout)).unwrap();
    b.peek(&mut [0]).unwrap_err();
    b.set_read_timeout(Some(couplet_tests::LIMIT)).unwrap();
    drop(first);
    pattern::expect(&b, 2, 1000);
}

#[test]
fn a_client_without_a_partner_is_closed_at_its_deadline() {
    let couplet = Couplet::start(&["listen:0", "listen:0", "--wait-timeout=1s"]);
    for side in ['A', 'B'] {
        let alone = connect(couplet.address(side));
        expect_reset(&alone);
    }
    couplet.events("refused: no partner came in time", 2);
    // The next are not joined with them.
    let (a, b) = (connect(couplet.address('A')), connect(couplet.address('B')));
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
}

#[test]
fn a_source_address_is_used_for_dials() {
    let target = listen();
    let side = format!("{},source=127.0.0.2", dial(&target));
    let couplet = Couplet::start(&["listen:0", &side]);
    let _client = connect(couplet.address('A'));
    let server = accept(&target);
    assert_eq!(
        server.peer_addr().unwrap().ip(),
        Ipv4Addr::new(127, 0, 0, 2)
    );
}

#[test]
fn a_port_can_be_shared_by_two_relays() {
    let one = Couplet::start(&["listen:0,reuse-port", "listen:0"]);
    let shared = one.address('A');
    let two = Couplet::start(&[&format!("listen:{shared},reuse-port"), "listen:0"]);
    assert_eq!(two.address('A'), shared);
    Couplet::run(&[&format!("listen:{shared}"), "listen:0"])
        .with(1)
        .said(&shared.to_string());
}

#[test]
fn a_name_is_dialled_at_each_of_its_addresses() {
    // `localhost` may be ::1 as well, where no program listens.
    let target = listen();
    let side = format!("dial:localhost:{}", target.local_addr().unwrap().port());
    let couplet = Couplet::start(&["listen:localhost:0", &side]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
}

#[test]
fn ipv6_is_listened_on_and_dialled() {
    let target = listen_at((Ipv6Addr::LOCALHOST, 0).into());
    let couplet = Couplet::start(&["listen:[::1]:0", &dial(&target)]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);

    let anywhere = Couplet::start(&["listen:*:0", &dial(&target)]);
    let port = anywhere.address('A').port();
    for host in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let client = connect(SocketAddr::new(host, port));
        let server = accept(&target);
        drop(client);
        expect_end(&server);
    }
}

#[test]
fn keep_alive_and_user_timeout_may_be_off() {
    let target = listen();
    let b = format!("{},keep-alive=5s/2s/3,user-timeout=off", dial(&target));
    let flags = ["--keep-alive=off", "--user-timeout=5s"];
    let couplet = Couplet::start(&[&["listen:0", &b], &flags[..]].concat());
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    assert_eq!(keep_alive_timer(couplet.address('A').port(), &client), None);
    let dialled = server.peer_addr().unwrap().port();
    let timer = keep_alive_timer(dialled, &server);
    // In hundredths of a second: at most the five seconds of the side.
    assert!(
        timer.is_some_and(|left| (150..=500).contains(&left)),
        "{timer:?}"
    );
}

/// How long until the next probe of the command's connection to this one, see proc_net(5).
fn keep_alive_timer(port: u16, to: &std::net::TcpStream) -> Option<u64> {
    const KEEP_ALIVE: &str = "02";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ports = [port, to.local_addr().unwrap().port()].map(|port| format!(":{port:04X}"));
    let line = table.lines().find(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        fields[1].ends_with(&ports[0]) && fields[2].ends_with(&ports[1])
    });
    let timer = line.unwrap().split_ascii_whitespace().nth(5).unwrap();
    let (kind, left) = timer.split_once(':').unwrap();
    (kind == KEEP_ALIVE).then(|| u64::from_str_radix(left, 16).unwrap())
}
