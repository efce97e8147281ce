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
    for (side, told) in [
        (format!("dial:{},family=6", addr(&v4)), "no address of IPv6"),
        (format!("dial:{},family=4", addr(&v6)), "no address of IPv4"),
        (
            "dial:h:1,family=4,via=socks5://[::1]:1".to_owned(),
            "no address of IPv4",
        ),
        (
            "dial:[::1]:1|[::2]:1,family=4".to_owned(),
            "`[::1]:1` is no address of IPv4",
        ),
    ] {
        Couplet::run(&["listen:0", &side]).with(2).said(told);
    }
    // A name is looked up as ever.
    let side = format!("dial:localhost:{},family=prefer-6", addr(&v4).port());
    Couplet::run(&["explain", "listen:0", &side]).ok();
}
