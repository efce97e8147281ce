//! A name server (RFC 1035) on a port of UDP, whose records a test changes while it is asked.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const A: u16 = 1;
const SRV: u16 = 33;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// The server, until its process ends.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Zone {
    records: Vec<(String, u16, Vec<u8>)>,
    fails: bool,
    forges: bool,
}

// ===== impl NameServer =====

impl NameServer {
    /// A server that knows no name.
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            zone: Arc::default(),
            asked: Arc::default(),
        };
        let (zone, asked) = (Arc::clone(&server.zone), Arc::clone(&server.asked));
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut query) {
                asked.fetch_add(1, Ordering::Relaxed);
                let (answer, forges) = {
                    let zone = zone.lock().unwrap();
                    (zone.answer(&query[..len]), zone.forges)
                };
                if forges {
                    let other_id = [&[!answer[0]], &answer[1..]].concat();
                    socket.send_to(&other_id, from).unwrap();
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        server
    }

    /// How a side asks it: `dns=127.0.0.1:5353`.
    pub fn option(&self) -> String {
        format!("dns={}", self.address)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The name has this address from now on.
    pub fn has_address(&self, name: &str, ip: Ipv4Addr) {
        self.set(name, A, vec![ip.octets().to_vec()]);
    }

    /// The service has these servers from now on, by priority, weight, port and host.
    pub fn has_servers(&self, name: &str, servers: &[(u16, u16, u16, &str)]) {
        let data = servers.iter().map(|(priority, weight, port, host)| {
            let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
            [numbers.concat(), encoded(host)].concat()
        });
        self.set(name, SRV, data.collect());
    }

    /// It fails from now on, or no longer.
    pub fn fails(&self, fails: bool) {
        self.zone.lock().unwrap().fails = fails;
    }

    /// Before each answer comes one with another id, as of an attacker that guesses.
    pub fn forges(&self) {
        self.zone.lock().unwrap().forges = true;
    }

    fn set(&self, name: &str, kind: u16, data: Vec<Vec<u8>>) {
        let mut zone = self.zone.lock().unwrap();
        zone.records
            .retain(|(known, of, _)| (known.as_str(), *of) != (name, kind));
        let records = data.into_iter().map(|data| (name.to_owned(), kind, data));
        zone.records.extend(records);
    }
}

// ===== impl Zone =====

impl Zone {
    /// The records live for no time.
    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (name, behind) = decoded(&query[12..]);
        let kind = u16::from_be_bytes([behind[0], behind[1]]);
        let question = &query[12..query.len() - behind.len() + 4];
        let of_name = |known: &str| known.eq_ignore_ascii_case(&name);
        let is_known = self.records.iter().any(|(known, ..)| of_name(known));
        let records = self.records.iter();
        let found: Vec<_> = records
            .filter(|(known, of, _)| of_name(known) && *of == kind && !self.fails)
            .collect();
        let code = match (self.fails, is_known) {
            (true, _) => SERVFAIL,
            (false, false) => NXDOMAIN,
            (false, true) => 0,
        };
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80 | code, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
        answer.extend(question);
        for (_, of, data) in found {
            answer.extend([0xc0, 12]);
            answer.extend(of.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 0]);
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        answer
    }
}

/// A name as a message has it; `.` is the root.
fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let labels = labels.map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    [labels.collect::<Vec<_>>().concat(), vec![0]].concat()
}

/// The name of a question, and what is behind it.
fn decoded(mut question: &[u8]) -> (String, &[u8]) {
    let mut labels = Vec::new();
    while let Some((len @ 1.., rest)) = question.split_first() {
        let (label, rest) = rest.split_at(usize::from(*len));
        labels.push(String::from_utf8_lossy(label).into_owned());
        question = rest;
    }
    (labels.join("."), &question[1..])
}
