//! HAProxy in front of several rendezvous: it chooses the node by the key, as docs/meeting.md shows it.

use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
};

use couplet_tests::{
    Couplet, Process,
    net::{connect, free_port, listens},
    program,
};

/// Of each side there is one: with a choice that did not go by the key, half of them would not meet.
const KEYS: usize = 40;

/// The configuration of the page, for these nodes.
fn config(port: u16, nodes: &[SocketAddr]) -> String {
    let page = format!("{}/../docs/meeting.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page).unwrap();
    let (_, config) = page.split_once("```haproxy\n").unwrap();
    let (config, _) = config.split_once("```").unwrap();
    let servers = nodes.iter().enumerate();
    let servers = servers.map(|(n, node)| format!("  server n{n} {node}\n"));
    let (above, _) = config.split_once("  server ").unwrap();
    let above = above.replace("bind :4000", &format!("bind 127.0.0.1:{port}"));
    format!("{above}{}", servers.collect::<String>())
}

#[test]
fn haproxy_brings_both_clients_of_a_key_to_one_node() {
    let nodes = [0; 3].map(|_| Couplet::start(&["rendezvous", "listen:127.0.0.1:0"]));
    let scratch = tempfile::tempdir().unwrap();
    let (file, port) = (scratch.path().join("haproxy.cfg"), free_port());
    let addresses = nodes.each_ref().map(|node| node.address('A'));
    fs::write(&file, config(port, &addresses)).unwrap();
    let _haproxy = Process::spawn("haproxy", program("haproxy").args(["-db", "-f"]).arg(&file));
    listens(port);
    let come = |key: usize, side: &str| {
        let mut client = connect(([127, 0, 0, 1], port).into());
        // A word that spreads as the hash of a name does.
        let key = (key as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        client
            .write_all(format!("couplet/1 {key:032x} {side}\n").as_bytes())
            .unwrap();
        client
    };
    let first: Vec<_> = (0..KEYS).map(|key| come(key, "a")).collect();
    for (key, mut one) in first.into_iter().enumerate() {
        let mut other = come(key, "b");
        let mut answers = [[0; 3]; 2];
        one.read_exact(&mut answers[0]).unwrap();
        other.read_exact(&mut answers[1]).unwrap();
        assert_eq!(answers, [*b"ok\n"; 2], "key {key}");
    }
    // Each node has had its share.
    for node in &nodes {
        node.joined(1);
    }
}
