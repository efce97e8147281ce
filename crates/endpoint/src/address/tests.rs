use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn canonical(input: &str) -> String {
    let address: Address = input.parse().unwrap();
    address.to_string()
}

/// The report on a wrong address, each line after the first without its two blanks.
fn report(input: &str) -> String {
    let error = input.parse::<Address>().unwrap_err();
    format!("{error:#}").replace("\n  ", "\n")
}

#[test]
fn every_address_has_a_canonical_form() {
    for (written, expected) in [
        ("listen:9000", "listen:localhost:9000"),
        ("listen:0", "listen:localhost:0"),
        ("listen:*:9000", "listen:*:9000"),
        ("listen:0.0.0.0:80", "listen:0.0.0.0:80"),
        ("listen:localhost:080", "listen:localhost:80"),
        ("listen:[0:0::1]:9000", "listen:[::1]:9000"),
        ("listen:[fe80::1%3]:9000", "listen:[fe80::1%3]:9000"),
        ("listen:[2001:db8::1%0]:9000", "listen:[2001:db8::1]:9000"),
        ("dial:example.org:22", "dial:example.org:22"),
        ("dial:Example.Org.:22", "dial:Example.Org.:22"),
        ("dial:_ldap.3com.com:65535", "dial:_ldap.3com.com:65535"),
        ("dial:[2001:DB8::1]:22", "dial:[2001:db8::1]:22"),
        ("dial:example.org:ssh", "dial:example.org:22"),
        ("listen:*:www", "listen:*:80"),
        ("dial:a:ssh|[::1]:https", "dial:a:22|[::1]:443"),
        ("dial:listen:1", "dial:listen:1"),
        ("listen:unix:/run/a.sock", "listen:unix:/run/a.sock"),
        ("dial:unix:a", "dial:unix:a"),
        ("dial:unix:@a:b", "dial:unix:@a:b"),
        ("listen:systemd:web", "listen:systemd:web"),
        ("listen:systemd:80", "listen:systemd:80"),
        ("listen:systemd:web.socket", "listen:systemd:web.socket"),
        ("dial:systemd:80", "dial:systemd:80"),
        ("listen:quic:9000", "listen:quic:localhost:9000"),
        ("listen:quic:*:https", "listen:quic:*:443"),
        ("dial:quic:example.org:9000", "dial:quic:example.org:9000"),
        ("dial:quic:[::1]:9000", "dial:quic:[::1]:9000"),
        ("dial:quic.:9000", "dial:quic.:9000"),
        ("dial:asked", "dial:asked"),
        ("listen:routes", "listen:routes"),
        ("dial:asked:1", "dial:asked:1"),
        ("stdio", "stdio"),
    ] {
        assert_eq!(canonical(written), expected);
        assert_eq!(canonical(expected), expected);
    }
}

#[test]
fn socket_addresses_are_addresses() {
    for text in ["192.0.2.1:22", "[::1]:22", "[fe80::1%3]:22"] {
        let addr: SocketAddr = text.parse().unwrap();
        let dial = DialAddr::from(addr);
        assert_eq!(dial, text.parse().unwrap());
        assert_eq!(ListenAddr::from(addr), text.parse().unwrap());
    }
}

#[test]
fn an_address_needs_its_kind() {
    let cases = [
        (
            "",
            "an address is missing: `listen:[HOST:]PORT`, `dial:HOST:PORT`, `listen:unix:PATH`, `dial:unix:PATH` or `exec:PROGRAM`\n\n^",
        ),
        (
            "9000",
            "`listen:` or `dial:` is missing: `listen:9000`\n9000\n^",
        ),
        (
            "localhost:22",
            "`listen:` or `dial:` is missing: `listen:localhost:22` or `dial:localhost:22`\n\
             localhost:22\n^",
        ),
        (
            "*:22",
            "`listen:` or `dial:` is missing: `listen:*:22`\n*:22\n^",
        ),
        (
            "[::1]:22",
            "`listen:` or `dial:` is missing: `listen:[::1]:22` or `dial:[::1]:22`\n[::1]:22\n^",
        ),
        (
            "localhost",
            "`listen:` or `dial:` is missing: `listen:[HOST:]PORT`, `dial:HOST:PORT`, `listen:unix:PATH`, `dial:unix:PATH` or `exec:PROGRAM`\n\
             localhost\n^",
        ),
        (
            "Listen:9000",
            "`Listen` is written in small letters: `listen:`\nListen:9000\n^^^^^^",
        ),
        (
            "tcp:9000",
            "`tcp` is not a kind of address: `listen:[HOST:]PORT`, `dial:HOST:PORT`, `listen:unix:PATH`, `dial:unix:PATH` or `exec:PROGRAM`\n\
             tcp:9000\n^^^",
        ),
        (
            "listens:localhost:22",
            "`listens` is not a kind of address: `listen:[HOST:]PORT`, `dial:HOST:PORT`, `listen:unix:PATH`, `dial:unix:PATH` or `exec:PROGRAM`\n\
             listens:localhost:22\n^^^^^^^",
        ),
        (
            "http://localhost:80",
            "a URL is not an address: `dial:localhost:80`\nhttp://localhost:80\n^^^^^^^",
        ),
        (
            "tcp:localhost:22",
            "`tcp` is not a kind of address: `dial:localhost:22`\ntcp:localhost:22\n^^^",
        ),
        (
            "TCP-LISTEN:9000",
            "`TCP-LISTEN` is not a kind of address: `listen:9000`\nTCP-LISTEN:9000\n^^^^^^^^^^",
        ),
        ("-", "`-` is not a kind of address: `stdio`\n-\n^"),
        (
            "unix:/run/a.sock",
            "`listen:` or `dial:` is missing: `listen:unix:/run/a.sock` or \
             `dial:unix:/run/a.sock`\nunix:/run/a.sock\n^",
        ),
        (
            "listen:/run/a.sock",
            "a Unix socket needs `unix:`: `listen:unix:/run/a.sock`\n\
             listen:/run/a.sock\n       ^^^^^^^^^^^",
        ),
        (
            "dial:unix:",
            "a Unix socket needs a name: `unix:/PATH`, or `unix:@NAME` for an abstract name\n\
             dial:unix:\n          ^",
        ),
        (
            "dial:tcp://localhost:80",
            "a URL is not an address: `dial:localhost:80`\n\
             dial:tcp://localhost:80\n     ^^^^^^",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(report(input), expected);
    }
}

#[test]
fn a_port_is_a_number() {
    let cases = [
        (
            "listen",
            "a port is missing: `listen:[HOST:]PORT`\nlisten\n      ^",
        ),
        (
            "listen:",
            "a port is missing: `listen:[HOST:]PORT`\nlisten:\n       ^",
        ),
        (
            "listen:*",
            "a port is missing: `listen:*:PORT`\nlisten:*\n        ^",
        ),
        (
            "dial:localhost",
            "a port is missing: `dial:localhost:PORT`\ndial:localhost\n              ^",
        ),
        (
            "dial:[::1]",
            "a port is missing: `dial:[::1]:PORT`\ndial:[::1]\n          ^",
        ),
        (
            "dial:10.0.0.1:",
            "a port is missing: `dial:10.0.0.1:PORT`\ndial:10.0.0.1:\n              ^",
        ),
        (
            "listen:80a",
            "`80a` is no service of /etc/services: a port is a number from 0 to 65535, or a service's name\n\
             listen:80a\n       ^^^",
        ),
        (
            "listen:-1",
            "`-1` is not a port: a port is a number from 0 to 65535\nlisten:-1\n       ^^",
        ),
        (
            "dial:h:htpps",
            "`htpps` is no service of /etc/services: did you mean `https`?\n\
             dial:h:htpps\n       ^^^^^",
        ),
        (
            "dial:h:+22",
            "`+22` is not a port: a port is a number from 1 to 65535\ndial:h:+22\n       ^^^",
        ),
        (
            "listen:65536",
            "`65536` is too big for a port: a port is a number from 0 to 65535\nlisten:65536\n       ^^^^^",
        ),
        (
            "dial:h:0",
            "port 0 can't be dialled: a port is a number from 1 to 65535\ndial:h:0\n       ^",
        ),
        (
            "dial:h:22:x",
            "nothing may follow the port: end the address after `22`\ndial:h:22:x\n         ^^",
        ),
        (
            "listen:80/",
            "nothing may follow the port: end the address after `80`\nlisten:80/\n         ^",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(report(input), expected);
    }
}

#[test]
fn a_host_is_a_name_or_an_address() {
    let long = format!("dial:{}:1", "a".repeat(64));
    let cases = [
        ("dial:", "a host and a port are missing"),
        ("dial:9000", "a dialled address needs a host"),
        ("dial:quic:9000", "a dialled address needs a host"),
        ("dial::22", "the host is empty"),
        ("listen::22", "the host is empty"),
        ("dial:*:22", "`*` can't be dialled"),
        ("dial:::1:22", "an IPv6 address goes in brackets"),
        ("dial:fe80::1%3", "an IPv6 address goes in brackets"),
        ("listen:2001:db8::1:22", "an IPv6 address goes in brackets"),
        ("dial:[::1:22", "the bracket is not closed"),
        ("dial:[::1]22", "only a port may follow the bracket"),
        ("dial:[10.0.0.1]:22", "brackets are for IPv6 addresses"),
        ("dial:[localhost]:22", "brackets are for IPv6 addresses"),
        ("dial:[::1::]:22", "`::1::` is not an IPv6 address"),
        (
            "dial:[fe80::1%no-such0]:22",
            "`no-such0` is not an interface of this machine",
        ),
        (
            "dial:[fe80::1]:22",
            "`fe80::1` needs an interface: it is a link-local address",
        ),
        (
            "dial:[fe80::1%+3]:22",
            "`+3` is not an interface of this machine",
        ),
        ("dial:256.1.1.1:22", "`256.1.1.1` is not an IPv4 address"),
        ("dial:10.1:22", "`10.1` is not an IPv4 address"),
        ("dial:010.0.0.1:22", "`010.0.0.1` is not an IPv4 address"),
        ("dial:me@host:22", "`@` can't be in a host's name"),
        ("dial:bücher.example:22", "`ü` can't be in a host's name"),
        ("dial:a..b:22", "a part of the host's name is empty"),
        ("dial:.:22", "a part of the host's name is empty"),
        (
            "dial:-a.b:22",
            "a hyphen begins or ends a part of the host's name",
        ),
        (
            "dial:a-.b:22",
            "a hyphen begins or ends a part of the host's name",
        ),
        (&long, "a part of the host's name is too long"),
    ];
    for (input, expected) in cases {
        let error = input.parse::<Address>().unwrap_err();
        assert_eq!(error.message(), expected, "{input}");
    }
}

#[test]
fn the_whole_name_is_bounded() {
    let longest = [
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(61),
    ]
    .join(".");
    HostName::new(format!("{longest}.")).unwrap();
    HostName::new(format!("{longest}e")).unwrap_err();
}

#[test]
fn invisible_characters_are_refused() {
    let report = report("dial:h\u{1b}[2J\u{202e}:22");
    let expected = "an address has no control character: leave it out\n\
                    dial:h\\u{1b}[2J\\u{202e}:22\n      ^^^^^^";
    assert_eq!(report, expected);
    let blank = " dial:h:22".parse::<Address>().unwrap_err();
    assert_eq!(
        (blank.message(), blank.span()),
        ("an address has no white space", 0..1)
    );
    let blank = "dial:h: \t22".parse::<DialAddr>().unwrap_err();
    assert_eq!(blank.span(), 7..9);
    let name = HostName::new("a\u{7}b").unwrap_err();
    assert_eq!(name.message(), "`\\u{7}` can't be in a host's name");
}

#[test]
fn without_a_kind_the_hint_has_none() {
    let error = "9000".parse::<DialAddr>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "a dialled address needs a host: `HOST:PORT`"
    );
    let error = "localhost".parse::<ListenAddr>().unwrap_err();
    assert_eq!(error.to_string(), "a port is missing: `localhost:PORT`");
}

fn host() -> impl Strategy<Value = Host> {
    let label = "[a-zA-Z_]([a-zA-Z0-9_-]{0,8}[a-zA-Z0-9_])?";
    let name = proptest::collection::vec(label, 1..5)
        .prop_map(|labels| HostName::new(labels.join(".")).unwrap().into());
    let scoped = any::<(std::net::Ipv6Addr, std::num::NonZeroU32)>()
        .prop_map(|(ip, scope)| Host::Scoped(ip, scope));
    let needs_no_scope = |ip: &std::net::IpAddr| match ip {
        std::net::IpAddr::V4(_) => true,
        std::net::IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
    let ip = any::<std::net::IpAddr>().prop_filter("no interface is needed", needs_no_scope);
    prop_oneof![name, ip.prop_map(Host::Ip), scoped]
}

fn well_placed(error: &AddressError) {
    let (input, span) = (error.input(), error.span());
    assert!(span.start <= span.end);
    assert!(input.get(span).is_some(), "{error:?}");
    let report = format!("{error:#}");
    assert!(report.chars().all(|c| c == '\n' || !c.is_control()));
}

proptest! {
    #[test]
    fn the_canonical_form_is_read_back(host in host(), port in 1..=u16::MAX) {
        let dial = Address::Dial(DialAddr::new(host.clone(), port));
        prop_assert_eq!(dial.to_string().parse(), Ok(dial));
        let listen = Address::Listen(ListenAddr::new(host, port));
        prop_assert_eq!(listen.to_string().parse(), Ok(listen));
    }

    #[test]
    fn arbitrary_input_is_an_address_or_a_well_placed_error(input in any::<String>()) {
        if let Err(error) = input.parse::<Address>() {
            well_placed(&error);
        }
    }

    #[test]
    fn so_is_input_that_looks_like_an_address(
        input in "(listen:|dial:)?[\\[*a-]?[0-9a-f:.%é\u{7}\\]/@-]{0,12}(:[0-9]{0,6})?.?"
    ) {
        match input.parse::<Address>() {
            Ok(address) => prop_assert_eq!(address.to_string().parse(), Ok(address)),
            Err(error) => well_placed(&error),
        }
        if let Err(error) = input.parse::<ListenAddr>() {
            well_placed(&error);
        }
        if let Err(error) = HostName::new(input) {
            well_placed(&error);
        }
    }
}
