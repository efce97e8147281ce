//! Few local ports.

use std::{fs, net::TcpListener};

use couplet_connector::{Dial, endpoint::Chain};

use crate::{is_wanted, link::Link};

/// The ports that the system gives connections.
const RANGE: &str = "40000 40003";
const PORTS: usize = 4;

#[test]
fn connections_of_one_source_address_to_two_servers_share_its_ports() {
    if !is_wanted() {
        return;
    }
    let link = Link::new(1400, "{}");
    let servers = [7001, 7002].map(|port| {
        let listener = link.far.within(|| TcpListener::bind((link.far.ip, port)));
        listener.unwrap()
    });
    link.near.within(|| {
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", RANGE).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut open = Vec::new();
            for server in &servers {
                let dial = Dial::new(server.local_addr().unwrap()).source(link.near.ip);
                for _ in 0..PORTS {
                    open.push(dial.connect().await.unwrap());
                }
                let error = dial.connect().await.unwrap_err();
                let error = Chain(&error).to_string();
                assert!(error.contains("no free local port"), "{error}");
            }
        });
    });
}
