//! `starttls`: psql, curl and OpenSSL, chosen by the name that they ask for, and behind it a server in the clear.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use couplet_tests::{
    Couplet, finish,
    net::{accept, connect, dial, expect_closed, listen},
    program,
};

use crate::tls::Pki;

/// A relay that goes by names, and a server of each name behind TLS of its own.
struct Rig {
    pki: Pki,
    edge: Couplet,
    _servers: Vec<Couplet>,
}

impl Rig {
    /// `serve` is a server that speaks the protocol in the clear, for one client.
    fn new(protocol: &str, serve: fn(TcpListener, &'static str)) -> Self {
        let pki = Pki::new();
        let mut servers = Vec::new();
        let mut routes = String::new();
        for name in ["one.test", "two.test"] {
            let server = listen();
            let tls = format!("tls={},tls.key={}", pki.certificate(name), pki.key(name));
            let couplet = Couplet::start(&[
                &format!("listen:0,starttls={protocol},{tls}"),
                &dial(&server),
            ]);
            routes += &format!("tls:{name} {}\n", couplet.address('A'));
            servers.push(couplet);
            thread::spawn(move || serve(server, name));
        }
        routes += "* refuse\n";
        let file = pki.key("routes");
        fs::write(&file, routes).unwrap();
        let edge = Couplet::start(&[
            &format!("listen:0,starttls={protocol},sniff"),
            &format!("dial:127.0.0.1:1,route=@{file},starttls={protocol}"),
        ]);
        Self {
            pki,
            edge,
            _servers: servers,
        }
    }

    fn ca(&self) -> String {
        self.pki.key("ca").replace("ca.key", "ca.pem")
    }

    fn port(&self) -> u16 {
        self.edge.address('A').port()
    }
}

/// A message of PostgreSQL.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &len.to_be_bytes()[..], body].concat()
}

/// A server of PostgreSQL that answers every query with its name.
fn postgres(listener: TcpListener, name: &'static str) {
    let mut client = accept(&listener);
    let body = |client: &mut TcpStream| {
        let mut len = [0; 4];
        client.read_exact(&mut len).unwrap();
        let mut body = vec![0; u32::from_be_bytes(len) as usize - 4];
        client.read_exact(&mut body).unwrap();
        body
    };
    let startup = body(&mut client);
    assert_eq!(
        startup[..4],
        [0, 3, 0, 0],
        "in the clear, and no second request for TLS"
    );
    let ready = message(b'Z', b"I");
    let welcome = [message(b'R', &[0; 4]), ready.clone()].concat();
    client.write_all(&welcome).unwrap();
    let mut kind = [0];
    while client.read_exact(&mut kind).is_ok() {
        let _ = body(&mut client);
        if kind[0] != b'Q' {
            return;
        }
        let column = [
            b"\0\x01name\0".as_slice(),
            &[0; 6],
            &25_u32.to_be_bytes(),
            &[0xff; 2],
            &[0xff; 4],
            &[0; 2],
        ];
        let value = [&[0, 1, 0, 0, 0][..], &[name.len() as u8], name.as_bytes()].concat();
        let answer = [
            message(b'T', &column.concat()),
            message(b'D', &value),
            message(b'C', b"SELECT 1\0"),
            ready.clone(),
        ];
        client.write_all(&answer.concat()).unwrap();
    }
}

/// A server of SMTP behind TLS that takes one mail.
fn smtp(listener: TcpListener, name: &'static str) {
    let mut client = accept(&listener);
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    let mut is_mail = false;
    while let Some(Ok(line)) = lines.next() {
        let answer = match (is_mail, line.split([' ', ':']).next().unwrap()) {
            (true, ".") => {
                is_mail = false;
                format!("250 taken by {name}")
            }
            (true, _) => continue,
            (false, "DATA") => {
                is_mail = true;
                "354 go on".to_owned()
            }
            (false, "QUIT") => "221 bye".to_owned(),
            (false, _) => format!("250 {name}"),
        };
        client
            .write_all(format!("{answer}\r\n").as_bytes())
            .unwrap();
    }
}

/// docs/recipes.md, several databases behind one port.
#[test]
fn psql_comes_to_the_server_of_its_name() {
    let rig = Rig::new("postgres", postgres);
    for name in ["one.test", "two.test"] {
        let conn = format!(
            "host={name} hostaddr=127.0.0.1 port={} user=me dbname=me sslmode=verify-full sslrootcert={} connect_timeout=60",
            rig.port(),
            rig.ca()
        );
        let mut psql = program("psql");
        psql.env_remove("PGPASSWORD")
            .args(["--no-psqlrc", "--tuples-only", "--no-align"]);
        finish("psql", psql.args(["--command=select name", &conn]))
            .ok()
            .said(name);
    }
}

#[test]
fn psql_without_tls_is_told_that_it_is_needed() {
    let rig = Rig::new("postgres", postgres);
    let conn = format!(
        "host=127.0.0.1 port={} user=me sslmode=disable connect_timeout=60",
        rig.port()
    );
    finish(
        "psql",
        program("psql").args(["--no-psqlrc", "--command=x", &conn]),
    )
    .with(2)
    .said("this server wants TLS: sslmode=require");
    let refused = rig.edge.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(
        error.contains("client wants no TLS: it logs in in the clear"),
        "{error}"
    );
}

#[test]
fn curl_sends_mail_to_the_server_of_its_name() {
    let rig = Rig::new("smtp", smtp);
    let mail = rig.pki.key("mail");
    fs::write(&mail, "Subject: hello\r\n\r\nhello\r\n").unwrap();
    for name in ["one.test", "two.test"] {
        let mut curl = program("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--verbose",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ])
        .args(["--ssl-reqd", "--cacert", &rig.ca()])
        .args(["--resolve", &format!("{name}:{}:127.0.0.1", rig.port())])
        .args([
            "--mail-from",
            "me@here.test",
            "--mail-rcpt",
            "you@there.test",
        ])
        .args(["--upload-file", &mail])
        .arg(format!("smtp://{name}:{}", rig.port()));
        finish("curl", &mut curl)
            .ok()
            .said(&format!("250 taken by {name}"));
    }
}

#[test]
fn openssl_asks_in_both_protocols() {
    for (protocol, serve) in [
        ("postgres", postgres as fn(TcpListener, &'static str)),
        ("smtp", smtp),
    ] {
        let rig = Rig::new(protocol, serve);
        let mut command = program("openssl");
        command
            .args([
                "s_client",
                "-starttls",
                protocol,
                "-brief",
                "-verify_return_error",
            ])
            .args(["-servername", "two.test", "-verify_hostname", "two.test"])
            .args([
                "-CAfile",
                &rig.ca(),
                "-connect",
                &format!("127.0.0.1:{}", rig.port()),
            ]);
        finish("openssl", &mut command)
            .ok()
            .said("Verification: OK");
    }
}

#[test]
fn a_name_without_a_route_and_a_server_without_tls_are_refused() {
    let rig = Rig::new("smtp", smtp);
    let mut command = program("openssl");
    command
        .args(["s_client", "-starttls", "smtp", "-servername", "three.test"])
        .args(["-connect", &format!("127.0.0.1:{}", rig.port())]);
    let said = finish("openssl", &mut command).log;
    assert!(!said.contains("BEGIN CERTIFICATE"), "{said}");
    let refused = rig.edge.events("refused", 1).remove(0);
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("the routes refuse")
    );

    let server = listen();
    let couplet = Couplet::start(&["listen:0", &format!("{},starttls=postgres", dial(&server))]);
    let client = connect(couplet.address('A'));
    let mut served = accept(&server);
    served.read_exact(&mut [0; 8]).unwrap();
    served.write_all(b"N").unwrap();
    expect_closed(&client);
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("server offers no TLS"), "{error}");
}

#[test]
fn a_protocol_that_is_not_known_is_a_mistake() {
    Couplet::run(&["listen:1,starttls=postgre,sniff", "dial:h:1"])
        .with(2)
        .said("`postgre` is no protocol of `starttls`")
        .said("postgres");
}
