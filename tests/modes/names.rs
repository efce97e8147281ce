//! Names that have addresses of both families.

use std::net::TcpListener;

use couplet_tests::{
    Couplet,
    net::{accept, connect, listen},
};

#[test]
fn the_family_of_the_dialled_address_is_chosen() {
    // The same port of both loopbacks: the system may have given one of them to another test.
    let (v4, v6) = std::iter::repeat_with(listen)
        .find_map(|v4| {
            let port = v4.local_addr().unwrap().port();
            let v6 = TcpListener::bind(("::1", port)).ok()?;
            Some((v4, v6))
        })
        .unwrap();
    let port = v4.local_addr().unwrap().port();
    for (family, is_ipv4) in [
        ("4", true),
        ("6", false),
        ("prefer-4", true),
        ("prefer-6", false),
    ] {
        let couplet = Couplet::start(&[
            "listen:0",
            &format!("dial:localhost:{port},family={family}"),
        ]);
        let client = connect(couplet.address('A'));
        let server = match is_ipv4 {
            true => accept(&v4),
            false => accept(&v6),
        };
        drop((client, server));
        couplet.ended(1);
    }
    let couplet = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{port},family=6")]);
    drop(connect(couplet.address('A')));
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("has no IPv6 address"), "{error}");
}
