//! Names and services that a name server is asked for.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use couplet_tests::{
    Certificate, Couplet, NameServer,
    net::{accept, connect, listen},
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

/// The host of a record is what an answer says, and answers can be forged.
#[test]
fn a_service_is_asked_for_by_its_domain_in_tls_and_its_certificate_is_for_that() {
    let (names, plain) = (NameServer::start(), format!("dial:127.0.0.1:{}", server()));
    names.has_address("host.test", Ipv4Addr::LOCALHOST);
    for (certified, domain, tls, is_served) in [
        ("example.test", "example.test", "tls", true),
        ("example.test", "example.test.", "tls", true),
        ("host.test", "example.test", "tls", false),
        ("host.test", "example.test", "tls=host.test", true),
        ("example.test", "example.test", "tls=host.test", false),
    ] {
        let certificate = Certificate::of(certified);
        let (both, ca) = (certificate.file("both.pem"), certificate.file("cert.pem"));
        let secure = format!("listen:127.0.0.1:0,tls={both},tls.unknown-name=refuse");
        let secure = Couplet::start(&[&secure, &plain]);
        let port = secure.address('A').port();
        names.has_servers("_couplet._tcp.example.test", &[(0, 0, port, "host.test")]);
        let service = format!("srv:_couplet._tcp.{domain}");
        let side = format!("dial:{service},{},{tls},tls.ca={ca}", names.option());
        let couplet = Couplet::start(&["listen:127.0.0.1:0", &side]);
        let case = format!("{certified} for {domain} by {tls}");
        assert_eq!(ask(&couplet).is_some(), is_served, "{case}");
    }
}

#[test]
fn a_pool_is_of_the_servers_of_a_service() {
    let (names, service) = (NameServer::start(), "_couplet._tcp.example.test");
    let both = [listen(), listen()];
    names.has_address("host.test", Ipv4Addr::LOCALHOST);
    let servers = both
        .each_ref()
        .map(|server| (0, 1, server.local_addr().unwrap().port(), "host.test"));
    names.has_servers(service, &servers);
    let side = format!("dial:srv:{service},{},keep=2", names.option());
    let couplet = Couplet::start(&["listen:127.0.0.1:0", &side]);
    let _kept = both.each_ref().map(accept);
    drop(couplet);
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
        (
            "dial:srv:_a._tcp.test,balance=least",
            "the priorities and weights of its records",
        ),
        (
            "dial:srv:_a._tcp.test,check",
            "its servers are left out while their dials fail",
        ),
        (
            "dial:srv:_a._tcp.test,keep=2,each",
            "`dial:srv:_a._tcp.test` is none",
        ),
        ("dial:srv:_a._tcp.test:22", "an SRV record has the port"),
        ("dial:unix:/x,dns", "a path has no address"),
    ] {
        Couplet::run(&["listen:0", side]).with(2).said(told);
    }
}
