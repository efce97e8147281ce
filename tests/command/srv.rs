//! `dial:srv:` in a file, across reloads.

use std::net::Ipv4Addr;

use couplet_tests::{NameServer, until};
use rustix::process::Signal;

use super::service::{Rig, echo, greeted, server};

const SERVICE: &str = "_couplet._tcp.example.test";

#[test]
fn a_side_changes_between_a_service_and_a_server_and_cuts_no_pair() {
    let servers = [b'1', b'2', b'3'].map(server);
    let names = NameServer::start();
    names.has_address("host.test", Ipv4Addr::LOCALHOST);
    let leads_to = |at: usize| {
        let port = servers[at].rsplit(':').next().unwrap().parse().unwrap();
        names.has_servers(SERVICE, &[(0, 0, port, "host.test")]);
    };
    let text = |b: &str| format!("[relay.x]\na = 'listen:127.0.0.1:0'\nb = '{b}'\n");
    let service = format!("dial:srv:{SERVICE},{}", names.option());

    leads_to(0);
    let rig = Rig::new(&text(&service));
    let mut clients = vec![rig.connect("x")];
    assert_eq!(greeted(&clients[0]), '1');

    leads_to(1);
    rig.couplet.signal(Signal::HUP);
    rig.couplet.events("reloaded", 1);
    clients.push(until("the time of the records to live ends", || {
        let client = rig.connect("x");
        (greeted(&client) == '2').then_some(client)
    }));

    rig.reload(&text(&servers[2])).ok();
    clients.push(rig.connect("x"));
    assert_eq!(greeted(&clients[2]), '3');

    // The last answer counts in the next relay, too.
    names.fails(true);
    rig.reload(&text(&service)).ok();
    clients.push(rig.connect("x"));
    assert_eq!(greeted(&clients[3]), '2');

    let wrong = text("dial:srv:_couplet._udp.example.test");
    rig.reload(&wrong).with(1).said("`_tcp` stands behind");
    names.fails(false);
    leads_to(2);
    clients.push(until("the records have changed", || {
        let client = rig.connect("x");
        (greeted(&client) == '3').then_some(client)
    }));

    for (number, client) in clients.iter().enumerate() {
        echo(client, number);
    }
}
