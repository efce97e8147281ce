//! Two nodes that speak by TLS: what their logs say of each other's clients, and new certificates at SIGHUP.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use couplet_tests::{Couplet, Process, net, net::free_port, program, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

struct Cluster {
    scratch: TempDir,
    nodes: Vec<Couplet>,
    clients: Vec<u16>,
    _redis: Process,
}

// ===== impl Cluster =====

impl Cluster {
    fn start(options: &[&str]) -> Self {
        let scratch = TempDir::new().unwrap();
        fs::write(scratch.path().join("secret"), "a secret of some bytes\n").unwrap();
        certificates(&scratch);
        let socket = scratch.path().join("s").display().to_string();
        let mut redis = program("redis-server");
        redis.args([
            "--port",
            "0",
            "--save",
            "",
            "--unixsocket",
            &socket,
            "--dir",
        ]);
        let redis = Process::spawn("redis-server", redis.arg(scratch.path()));
        redis.find("it is ready", |line| {
            line.contains("eady to accept connections").then_some(())
        });
        let mut cluster = Self {
            scratch,
            nodes: Vec::new(),
            clients: Vec::new(),
            _redis: redis,
        };
        for name in ["one", "two"] {
            let client = free_port();
            let [cert, key, ca] = ["cert.pem", "cert.key", "ca.pem"].map(|it| cluster.file(it));
            let mut args = vec![
                "rendezvous".to_owned(),
                format!("listen:127.0.0.1:{client}"),
                format!("--engine=redis+unix://{socket}"),
                format!("--cluster-secret=@{}", cluster.file("secret")),
                format!(
                    "--cluster=listen:127.0.0.1:{},allow=127.0.0.1,tls={cert},tls.key={key},tls.client-ca={ca}",
                    free_port()
                ),
                format!("--cluster-dial=tls=node.test,tls.ca={ca},tls.cert={cert},tls.key={key}"),
                format!("--node-name={name}"),
                format!("--access-log={}", cluster.file(name)),
                "--access-log-format=json".to_owned(),
            ];
            args.extend(options.iter().map(ToString::to_string));
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            cluster.nodes.push(Couplet::start(&args));
            cluster.clients.push(client);
        }
        cluster
    }

    fn file(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    /// A client of this key comes to a node.
    fn come(&self, node: usize, key: u32) -> TcpStream {
        let address = ([127, 0, 0, 1], self.clients[node]).into();
        let mut client = net::connect(address);
        writeln!(client, "couplet/1 {key:032x}").unwrap();
        client
    }

    /// Both meet, and each says something to the other.
    fn meet(&self, key: u32) -> [TcpStream; 2] {
        let mut clients = [self.come(0, key), self.come(1, key)];
        for client in &mut clients {
            let mut answer = [0; 3];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"ok\n");
            client.write_all(b"hello").unwrap();
        }
        for client in &mut clients {
            let mut heard = [0; 5];
            client.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello");
        }
        clients
    }

    /// The entry of the pair in a node's access log.
    fn entry(&self, node: &str) -> Value {
        until("the pair is in the log", || {
            let log = fs::read_to_string(self.file(node)).ok()?;
            let mut entries = log.lines().map(|line| serde_json::from_str(line).unwrap());
            entries.find(|entry: &Value| entry["event"] == "pair")
        })
    }
}

/// A CA, and a certificate for `node.test`; new ones each time.
fn certificates(scratch: &TempDir) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = format!("CA {:?}", &key.public_key_raw()[1..5]);
    params.distinguished_name.push(DnType::CommonName, name);
    let ca = CertifiedIssuer::self_signed(params, key).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["node.test".to_owned()]).unwrap();
    let cert = params.signed_by(&key, &ca).unwrap();
    let write = |name: &str, text: String| fs::write(scratch.path().join(name), text).unwrap();
    write("ca.pem", ca.pem());
    write("cert.pem", cert.pem());
    write("cert.key", key.serialize_pem());
}

#[test]
fn both_access_logs_have_both_clients_and_the_node_of_the_other_one() {
    let cluster = Cluster::start(&[]);
    let clients = cluster.meet(1);
    let addresses = clients
        .each_ref()
        .map(|client| client.local_addr().unwrap());
    drop(clients);
    let entries = ["one", "two"].map(|node| cluster.entry(node));
    for (here, entry) in entries.iter().enumerate() {
        let legs = [&entry["a"], &entry["b"]];
        let leg = |is_forwarded| {
            let mut legs = legs.into_iter();
            legs.find(|leg| leg.get("node").is_some() == is_forwarded)
                .unwrap()
        };
        let (own, there) = (leg(false), leg(true));
        assert_eq!(there["node"], ["two", "one"][here]);
        assert_eq!(there["peer"], addresses[1 - here].to_string());
        assert_eq!(own["peer"], addresses[here].to_string());
        assert!(there["waiting"].as_f64().unwrap() < 60.0, "{there}");
    }
}

#[test]
fn new_certificates_of_a_cluster_port_are_shown_and_trusted_from_sighup_on() {
    let cluster = Cluster::start(&["--cluster-ready=0", "--lease=1s"]);
    let live = cluster.meet(1);
    certificates(&cluster.scratch);
    // Not read again before they are told.
    drop(cluster.meet(2));
    let reload = |node: &Couplet| {
        node.signal(Signal::HUP);
        until("its certificates are read", || {
            let told = node.lines().concat();
            (told.matches("read again").count() >= 2).then_some(())
        });
    };
    reload(&cluster.nodes[0]);
    // The nodes do not know each other now, whichever dials.
    let waiting = [cluster.come(0, 3), cluster.come(1, 3)];
    until("a node is refused", || {
        let told = |node: &Couplet| node.lines().concat().contains("can't be reached");
        cluster.nodes.iter().any(told).then_some(())
    });
    reload(&cluster.nodes[1]);
    for mut client in waiting {
        let mut answer = [0; 3];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ok\n");
    }
    drop(cluster.meet(4));
    // The pair of the old certificates goes on.
    let [mut one, mut other] = live;
    one.write_all(b"still here").unwrap();
    let mut heard = [0; 10];
    other.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still here");
}
