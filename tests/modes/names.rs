//! Which addresses of a target are dialled.

use std::net::Ipv6Addr;

use couplet_tests::{
    Couplet,
    net::{accept, connect, listen, listen_at},
};

#[test]
fn an_address_of_the_other_family_is_not_dialled() {
    let (v4, v6) = (listen(), listen_at((Ipv6Addr::LOCALHOST, 0).into()));
    let addr = |of: &std::net::TcpListener| of.local_addr().unwrap();
    for (family, other, own) in [("4", &v6, &v4), ("6", &v4, &v6)] {
        let side = format!("dial:{}|{},family={family}", addr(other), addr(own));
        let couplet = Couplet::start(&["listen:0", &side]);
        let client = connect(couplet.address('A'));
        drop((client, accept(own)));
        couplet.ended(1);
    }
    let side = format!("dial:{},family=6", addr(&v4));
    let couplet = Couplet::start(&["listen:0", &side]);
    drop(connect(couplet.address('A')));
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("has no IPv6 address"), "{error}");
}
