#!/usr/bin/env bash
# hickory-resolver does not find an SRV record behind an alias (CNAME), though the name server's answer has both:
# it takes the host that the record names for one more alias, and asks for SRV records of that host.
# It matters to a relay that looks services up: domains alias the name of a service to a provider's, and their
# service is "not there". The relay has to ask for the CNAME, too, and then for the SRV record of its target.
set -euo pipefail
command -v cargo >/dev/null || { echo "this needs cargo" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "alias"
version = "0.0.0"
edition = "2024"

[dependencies]
hickory-resolver = { version = "=0.26.3", default-features = false, features = ["tokio"] }
tokio = { version = "1", features = ["macros", "rt"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use std::{net::UdpSocket, thread};

use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RecordType,
};

const ALIAS: &str = "_imaps._tcp.example.test";
const SERVICE: &str = "_imaps._tcp.provider.test";
const HOST: &str = "mail.provider.test";
const TYPES: [(&str, u16); 2] = [("CNAME", 5), ("SRV", 33)];

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    [labels.collect::<Vec<_>>().concat(), vec![0]].concat()
}

fn record(owner: &str, (_, of): (&str, u16), data: &[u8]) -> Vec<u8> {
    let (fixed, len) = ([0, 1, 0, 0, 0, 60], (data.len() as u16).to_be_bytes());
    [&encoded(owner)[..], &of.to_be_bytes(), &fixed, &len, data].concat()
}

/// The answer to a query, as a name server has it that serves both domains (RFC 1034, section 4.3.2).
fn answer(query: &[u8]) -> Vec<u8> {
    let len = query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let (name, of) = (&query[12..][..len], u16::from_be_bytes([query[12 + len], query[13 + len]]));
    let [cname, srv] = TYPES;
    let is = |text: &str| name.eq_ignore_ascii_case(&encoded(text));
    let known = [ALIAS, SERVICE, HOST].into_iter().find(|known| is(known));
    let kind = TYPES.iter().find(|(_, number)| *number == of).map_or("another type", |(kind, _)| kind);
    println!("  asked for {kind} of {}", known.unwrap_or("another name"));
    let alias = record(ALIAS, cname, &encoded(SERVICE));
    let target = [&[0, 0, 0, 0, 3, 225], &encoded(HOST)[..]].concat();
    let service = record(SERVICE, srv, &target);
    let answers = match (known, of == srv.1) {
        (Some(ALIAS), true) => vec![alias, service],
        (Some(ALIAS), false) => vec![alias],
        (Some(SERVICE), true) => vec![service],
        _ => vec![],
    };
    let code = if known.is_some() { 0 } else { 3 };
    let header = [0x85, 0x80 | code, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0];
    [&query[..2], &header, &query[12..12 + len + 4], &answers.concat()].concat()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((len, from)) = server.recv_from(&mut query) {
            server.send_to(&answer(&query[..len]), from).unwrap();
        }
    });
    let mut udp = ConnectionConfig::udp();
    udp.port = addr.port();
    let server = NameServerConfig::new(addr.ip(), true, vec![udp]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    let mut found = Vec::new();
    for name in [SERVICE, ALIAS] {
        println!("SRV of {name}:");
        let lookup = resolver.lookup(format!("{name}."), RecordType::SRV).await;
        found.push(lookup.as_ref().is_ok_and(|lookup| {
            lookup.answers().iter().any(|record| record.record_type() == RecordType::SRV)
        }));
        match lookup {
            Ok(lookup) => lookup.answers().iter().for_each(|record| println!("  found {record}")),
            Err(error) => println!("  not found: {error}"),
        }
    }
    println!("expected: both are found; seen: by its own name {}, behind the alias {}", found[0], found[1]);
    std::process::exit(i32::from(found != [true, false]));
}
RUST
cd "$folder"
echo "hickory-resolver 0.26.3, $(cargo --version)"
CARGO_TARGET_DIR="$folder/target" cargo run --quiet
