//! Names and services that a name server is asked for.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use couplet_tests::{
    Couplet, NameServer,
    net::{connect, listen},
    until,
};
use socket2::{Domain, Socket, Type};

/// A server that tells each client its port, which is returned.
fn server() -> u16 {
    let listener = listen();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        loop {
            // A timeout, as no client has come.
            if let Ok((mut client, _)) = listener.accept() {
                client.write_all(&port.to_be_bytes()).unwrap();
            }
        }
    });
    port
}

/// The server that a client is led to; `None` where the client is refused.
fn ask(couplet: &Couplet) -> Option<u16> {
    let mut port = [0; 2];
    let mut client = connect(couplet.address('A'));
    let read = client.read_exact(&mut port);
    read.is_ok().then(|| u16::from_be_bytes(port))
}

#[test]
fn a_service_has_the_servers_that_its_domain_names_now() {
    let refuses = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    refuses.bind(&any.into()).unwrap();
    let refused = refuses.local_addr().unwrap().as_socket().unwrap().port();
    let (one, other) = (server(), server());

    let (names, service) = (NameServer::start(), "_couplet._tcp.example.test");
    names.has_address("host.test", Ipv4Addr::LOCALHOST);
    names.has_servers(
        service,
        &[(20, 0, one, "host.test"), (10, 0, refused, "host.test")],
    );
    let side = format!("dial:srv:{service},{}", names.option());
    let couplet = Couplet::start(&["listen:127.0.0.1:0", &side]);
    couplet.find("the service is named", |line| {
        line.contains(&format!("srv:{service}")).then_some(())
    });
    assert_eq!(ask(&couplet), Some(one), "the first priority refuses");

    names.has_servers(service, &[(10, 0, other, "host.test")]);
    until("its time to live ends", || {
        (ask(&couplet)? == other).then_some(())
    });

    names.fails(true);
    let asked = names.asked();
    until("the name server fails more than once", || {
        assert_eq!(ask(&couplet), Some(other), "the last answer counts");
        (names.asked() > asked + 4).then_some(())
    });

    names.fails(false);
    names.has_servers(service, &[(0, 0, 0, ".")]);
    until("clients are refused", || {
        ask(&couplet).is_none().then_some(())
    });
    couplet.find("why", |line| {
        line.contains("the domain has no such service")
            .then_some(())
    });
}

#[test]
fn a_name_is_asked_of_the_name_server_that_is_given() {
    let (names, server) = (NameServer::start(), server());
    names.has_address("here.test", Ipv4Addr::LOCALHOST);
    let side = |name: &str| format!("dial:{name}:{server},{}", names.option());
    let couplet = Couplet::start(&["listen:127.0.0.1:0", &side("here.test")]);
    assert_eq!(ask(&couplet), Some(server));
    let unknown = Couplet::start(&["listen:127.0.0.1:0", &side("nowhere.test")]);
    assert_eq!(ask(&unknown), None);
    unknown.find("there is no such name", |line| {
        let told =
            format!("cannot dial nowhere.test:{server}, name not found: no such name (NXDOMAIN)");
        line.contains(&told).then_some(())
    });
}

#[test]
fn a_forged_answer_is_left_out_and_logged_only_where_more_is_logged() {
    let (names, server) = (NameServer::start(), server());
    names.has_address("here.test", Ipv4Addr::LOCALHOST);
    names.forges();
    let side = format!("dial:here.test:{server},{}", names.option());
    for more in [true, false] {
        let mut args = vec!["listen:127.0.0.1:0", &side];
        args.extend(more.then_some("--verbose"));
        let couplet = Couplet::start(&args);
        assert_eq!(ask(&couplet), Some(server));
        couplet.find("the pair has ended", |line| {
            line.contains("ended").then_some(())
        });
        let logged = couplet.look("its lines", |lines| {
            Some(lines.iter().any(|line| line.contains("wrong message id")))
        });
        assert_eq!(logged, more);
    }
}

#[test]
fn a_service_that_is_not_found_is_a_warning_as_a_server_that_is_not_reached() {
    let names = NameServer::start();
    let side = format!("dial:srv:_a._tcp.example.test,{}", names.option());
    let couplet = Couplet::start(&["listen:127.0.0.1:0", &side]);
    assert_eq!(ask(&couplet), None);
    let line = couplet.find("the cause", |line| {
        let is_it = line.contains("no such name (NXDOMAIN)");
        is_it.then(|| line.to_owned())
    });
    assert!(line.contains("WARN"), "{line}");
}

#[test]
fn explain_shows_where_names_are_looked_up() {
    for (side, shown) in [
        ("dial:h:1,dns", "dns system (side)"),
        ("dial:srv:_a._tcp.test", "dns system (default)"),
        (
            "dial:h:1,dns=192.0.2.53+[2001:db8::1]:5353",
            "dns 192.0.2.53:53+[2001:db8::1]:5353 (side)",
        ),
    ] {
        let explained = Couplet::run(&["explain", "listen:9000", side]).ok().log;
        assert!(explained.contains(shown), "{explained}");
        assert!(explained.contains("dial-for"), "{explained}");
    }
    for (side, told) in [
        (
            "dial:h:1,dns=ns.test",
            "`ns.test` is not the address of a name server",
        ),
        (
            "dial:h:1,dns=192.0.2.53:0",
            "is not the address of a name server",
        ),
        (
            "dial:srv:_a._tcp.test,via=socks5://h:1",
            "a proxy looks up no SRV records",
        ),
        ("dial:srv:_a._tcp.test:22", "an SRV record has the port"),
        ("dial:unix:/x,dns", "a path has no address"),
    ] {
        Couplet::run(&["listen:0", side]).with(2).said(told);
    }
}
