//! The admin endpoint is a side as any other: TLS with client certificates, tokens, lists, limits, a mode; and
//! `ctl`, `health` and curl reach it so.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf};

use couplet_tests::{Couplet, Finished, finish, program};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A CA, and what it has signed, in files.
struct Pki {
    folder: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let name = format!("CA {:?}", &key.public_key_raw()[1..5]);
        params.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(params, key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        let pki = Self { folder, ca };
        pki.sign("localhost");
        pki.sign("operator");
        pki
    }

    /// A certificate and its key in `NAME.pem`.
    fn sign(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.ca).unwrap();
        self.write(
            &format!("{name}.pem"),
            &(signed.pem() + &key.serialize_pem()),
        );
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.file(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

/// The command with these flags beside its sides.
fn start(flags: &[&str]) -> Couplet {
    let sides = ["listen:127.0.0.1:0", "dial:127.0.0.1:9"];
    Couplet::start(&[&sides, flags].concat())
}

fn address(couplet: &Couplet) -> SocketAddr {
    let event = couplet.events("admin endpoint", 1).remove(0);
    event["address"].as_str().unwrap().parse().unwrap()
}

fn curl(args: &[&str]) -> Finished {
    let args = [&["-sS", "--max-time", "20"], args].concat();
    finish("curl", program("curl").args(args))
}

const PAUSE: [&str; 6] = [
    "-X",
    "POST",
    "-H",
    "Couplet-Admin: 1",
    "-H",
    "Content-Type: application/json",
];

#[test]
fn a_certificate_lets_a_client_do_everything() {
    let pki = Pki::new();
    let admin = format!(
        "--admin=listen:127.0.0.1:0,tls={},tls.client-ca={}",
        pki.shown("localhost.pem"),
        pki.shown("ca.pem")
    );
    let couplet = start(&[&admin]);
    let port = address(&couplet).port();
    let dialled = |own: &str| {
        let ca = pki.shown("ca.pem");
        format!("--admin=dial:localhost:{port},tls,tls.ca={ca}{own}")
    };
    let own = format!(",tls.cert={}", pki.shown("operator.pem"));
    let with = dialled(&own);
    let status = Couplet::run(&["ctl", "status", &with]).ok().log;
    assert!(status.contains("ready"), "{status}");
    assert_eq!(
        Couplet::run(&["ctl", "pause", "relay", &with]).ok().log,
        "relay: paused"
    );
    assert_eq!(Couplet::run(&["health", &with]).status, 1);
    Couplet::run(&["ctl", "resume", "relay", &with]).ok();
    Couplet::run(&["health", &with]).ok();

    // A stranger is let in nowhere.
    let stranger = Couplet::run(&["ctl", "status", &dialled("")]);
    assert_eq!(stranger.status, 1, "{}", stranger.log);
    couplet.events("refused by the admin endpoint", 1);
    let (ca, operator) = (pki.shown("ca.pem"), pki.shown("operator.pem"));
    let url = format!("https://localhost:{port}/v1/relays/relay/pause");
    let with = ["--cacert", &ca, "--cert", &operator];
    let told = curl(&[&with[..], &PAUSE, &[&url]].concat()).ok().log;
    assert!(told.contains("\"paused\""), "{told}");
    assert_ne!(curl(&["--cacert", &ca, &url]).status, 0);
    assert_ne!(curl(&[&format!("http://localhost:{port}/live")]).status, 0);
}

#[test]
fn a_certificate_is_read_again_at_sighup() {
    let pki = Pki::new();
    let admin = format!(
        "--admin=listen:127.0.0.1:0,tls={}",
        pki.shown("localhost.pem")
    );
    let couplet = start(&[&admin]);
    let url = format!("https://localhost:{}/live", address(&couplet).port());
    let trusted = || curl(&["--cacert", &pki.shown("ca.pem"), &url]);
    trusted().ok();
    // Of another CA, which clients of the first do not trust.
    let other = Pki::new();
    fs::copy(other.file("localhost.pem"), pki.file("localhost.pem")).unwrap();
    couplet.signal(rustix::process::Signal::HUP);
    couplet.events("certificates read again", 1);
    assert_ne!(trusted().status, 0);
    curl(&["--cacert", &other.shown("ca.pem"), &url]).ok();
}

#[test]
fn a_token_of_the_side_is_for_ctl() {
    let pki = Pki::new();
    pki.write("token", "operator: 0123456789abcdef0123456789abcdef\n");
    pki.write("mine", "0123456789abcdef0123456789abcdef\n");
    let admin = format!("--admin=listen:127.0.0.1:0,token=@{}", pki.shown("token"));
    let couplet = start(&[&admin]);
    let at = address(&couplet);
    let mine = format!("--admin=dial:{at},token=@{}", pki.shown("mine"));
    assert_eq!(
        Couplet::run(&["ctl", "pause", "relay", &mine]).ok().log,
        "relay: paused"
    );
    let stranger = Couplet::run(&["ctl", "status", &format!("--admin={at}")]);
    assert_eq!(stranger.status, 1, "{}", stranger.log);
    couplet.events("refused by the admin endpoint", 1);
    let lines = couplet.lines().join("\n");
    assert!(
        !lines.contains("0123456789abcdef"),
        "a secret is in the log"
    );
}

#[test]
fn lists_and_limits_stand_before_the_endpoint_and_the_reach_of_an_address_is_looked_at() {
    let couplet = start(&["--admin=listen:127.0.0.1:0,deny=127.0.0.0/8"]);
    let url = format!("http://{}/live", address(&couplet));
    assert_ne!(curl(&[&url]).status, 0);
    let refused = &couplet.events("refused by the admin endpoint", 1)[0];
    assert!(refused["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    drop(couplet);

    // What others reach needs a layer that says which clients may come; they look.
    let couplet = start(&["--admin=listen:0.0.0.0:0,allow=127.0.0.0/8"]);
    let url = format!("http://127.0.0.1:{}", address(&couplet).port());
    curl(&[&format!("{url}/v1/status")]).ok();
    let pause = format!("{url}/v1/relays/relay/pause");
    let told = curl(&[&PAUSE[..], &[&pause]].concat()).ok().log;
    assert!(told.contains("only looks"), "{told}");
    drop(couplet);

    for (given, why) in [
        ("--admin=0.0.0.0:0", "shows the whole network"),
        ("--admin=listen:*:0,max-conns=4", "shows the whole network"),
        (
            "--admin=listen:*:0,sniff",
            "`sniff` is not for the admin endpoint",
        ),
        (
            "--admin=listen:0,socks5",
            "`socks5` is not for the admin endpoint",
        ),
        (
            "--admin=dial:localhost:1",
            "clients connect to the admin endpoint",
        ),
        ("--admin=stdio", "clients connect to the admin endpoint"),
        ("--admin=listen:0,max-cons=4", "max-conns"),
        ("--admin=unix:", "unix:"),
        ("--admin=99999", "99999"),
        ("--admin-host=a.example", "--admin"),
    ] {
        let refused = Couplet::run(&["listen:0", "dial:localhost:1", given]);
        assert_eq!(refused.status, 2, "{given}: {}", refused.log);
        assert!(refused.log.contains(why), "{given}: {}", refused.log);
    }
    let named = [
        "listen:0",
        "dial:localhost:1",
        "--admin=0",
        "--admin-host=https://a.example",
    ];
    assert_eq!(Couplet::run(&named).status, 2);
}

#[test]
fn a_host_name_is_taken_where_it_is_told() {
    let couplet = start(&["--admin=127.0.0.1:0", "--admin-host=Relay.example.org"]);
    let url = format!("http://{}/live", address(&couplet));
    let host = |name: &str| curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", name, &url]);
    assert_eq!(host("Host: relay.example.org:9180").ok().log, "200");
    assert_eq!(host("Host: other.example.org:9180").ok().log, "421");
}

#[test]
fn a_unix_socket_has_the_mode_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let couplet = start(&[&format!("--admin=unix:{},mode=0660", path.display())]);
    couplet.events("admin endpoint", 1);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let admin = format!("--admin=unix:{}", path.display());
    assert_eq!(
        Couplet::run(&["ctl", "pause", "relay", &admin]).ok().log,
        "relay: paused"
    );
}

#[test]
fn a_file_has_it_as_an_array_of_its_parts() {
    let pki = Pki::new();
    // A comma in a name, which a word could not have.
    fs::copy(pki.file("localhost.pem"), pki.file("a,b.pem")).unwrap();
    let file = pki.file("couplet.toml");
    let relay = "[relay.x]\na = 'listen:127.0.0.1:0'\nb = 'dial:127.0.0.1:9'\n";
    let text = "log-format = 'json'\n\
                admin = ['unix:admin.sock', 'listen:127.0.0.1:0', 'tls=a,b.pem', 'tls.client-ca=ca.pem']\n";
    fs::write(&file, format!("{text}{relay}")).unwrap();
    let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
    let events = couplet.events("admin endpoint", 2);
    let at = events[1]["address"].as_str().unwrap();
    let port = at.parse::<SocketAddr>().unwrap().port();
    let admin = format!(
        "--admin=dial:localhost:{port},tls,tls.ca={},tls.cert={}",
        pki.shown("ca.pem"),
        pki.shown("operator.pem")
    );
    assert_eq!(
        Couplet::run(&["ctl", "pause", "x", &admin]).ok().log,
        "x: paused"
    );
    let local = format!("--admin=unix:{}", pki.shown("admin.sock"));
    assert_eq!(
        Couplet::run(&["ctl", "resume", "x", &local]).ok().log,
        "x: ready"
    );
    // What it reads again, it reads at a reload of the file, too.
    Couplet::run(&["ctl", "reload", &local]).ok();
    couplet.events("certificates read again", 1);
    let explained = Couplet::run(&["explain", file.to_str().unwrap()]).ok().log;
    assert!(
        explained.contains("admin: listen:127.0.0.1:0"),
        "{explained}"
    );

    // A mistake is told where it is.
    let wrong = "admin = ['unix:admin.sock', 'listen:127.0.0.1:0', 'tls=gone.pem']\n";
    fs::write(&file, format!("{wrong}{relay}")).unwrap();
    let check = Couplet::run(&["check", file.to_str().unwrap()]);
    assert_eq!(check.status, 2);
    assert!(check.log.contains("couplet.toml:1:56"), "{}", check.log);
    assert!(check.log.contains("gone.pem"), "{}", check.log);
}

#[test]
fn systemd_passes_it_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    for (mode, expected) in [(0o600, "relay: paused"), (0o666, "only looks")] {
        let mut activate = program("systemd-socket-activate");
        activate
            .arg(format!("--listen={}", path.display()))
            .arg("--fdname=admin")
            .arg(Couplet::binary())
            .args([
                "listen:127.0.0.1:0",
                "dial:127.0.0.1:9",
                "--log-format=json",
            ])
            .arg("--admin=listen:systemd:admin");
        let process = couplet_tests::Process::spawn("systemd-socket-activate", &mut activate);
        couplet_tests::until("its socket", || path.exists().then_some(()));
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let admin = format!("--admin=unix:{}", path.display());
        let told = Couplet::run(&["ctl", "pause", "relay", &admin]).log;
        assert!(told.contains(expected), "{mode:o}: {told}");
        process.terminate();
        process.finish();
        let _ = fs::remove_file(&path);
    }
}
