//! Programs through Couplet as their proxy, and Couplet through other proxies.

use std::{
    fs::{self, File},
    net::Shutdown,
    path::Path,
    process::{Command, Stdio},
};

use couplet_tests::{
    Couplet, Process, finish,
    net::{accept, connect, free_port, listen, listens},
    pattern, program,
};
use tempfile::TempDir;

use crate::{
    sshd::Sshd,
    web::{SIZE, Web},
};

const ASKED: &str = "dial:asked,allow=127.0.0.0/8+::1";

fn write(scratch: &TempDir, name: &str, text: &str) -> String {
    let path = scratch.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// curl fetches the file through a proxy.
fn curl(web: &Web, host: &str, proxy: &[&str]) -> Command {
    let mut command = program("curl");
    command
        .args(["--fail", "--silent", "--show-error", "--max-time", "60"])
        .args(proxy)
        .arg(format!("http://{host}:{}/large", web.port))
        .arg("--output")
        .arg(web.file("copy"));
    command
}

fn fetched(web: &Web) {
    pattern::expect_all(File::open(web.file("copy")).unwrap(), 1, SIZE);
    fs::remove_file(web.file("copy")).unwrap();
}

// ===== Couplet is the proxy =====

/// The recipe of docs/recipes.md.
#[test]
fn curl_through_socks5_and_connect() {
    let web = Web::start();
    let scratch = tempfile::tempdir().unwrap();
    let users = write(&scratch, "users", "me:secret\n");
    for (option, proxy) in [
        ("socks5", "--socks5-hostname"),
        ("socks5", "--socks5"),
        ("connect", "-px"),
    ] {
        let side = format!("listen:0,{option},{option}.users=@{users}");
        let couplet = Couplet::start(&[&side, ASKED]);
        let address = couplet.address('A').to_string();
        for host in ["localhost", "127.0.0.1"] {
            let with = |user: &str| {
                let args = [proxy, &address, "--proxy-user", user];
                finish("curl", &mut curl(&web, host, &args))
            };
            with("me:secret").ok();
            fetched(&web);
            assert_ne!(with("me:wrong").status, 0);
        }
        let open = finish("curl", &mut curl(&web, "localhost", &[proxy, &address]));
        assert_ne!(open.status, 0, "a user is needed");
    }
}

/// ncat's input ends before the answer comes.
#[test]
fn ncat_through_socks5_and_connect() {
    const SIZE: usize = 4 * 1024 * 1024;

    let scratch = tempfile::tempdir().unwrap();
    let says = scratch.path().join("says");
    let hears = scratch.path().join("hears");
    fs::write(&says, pattern::bytes(1, SIZE)).unwrap();
    let target = listen();
    let port = target.local_addr().unwrap().port().to_string();
    for (option, kind) in [("socks5", "socks5"), ("connect", "http")] {
        let couplet = Couplet::start(&[&format!("listen:0,{option}"), ASKED]);
        let address = couplet.address('A').to_string();
        let mut ncat = through_a_shell("ncat", &hears);
        ncat.args([
            "--proxy",
            &address,
            "--proxy-type",
            kind,
            "127.0.0.1",
            &port,
        ]);
        ncat.stdin(Stdio::from(File::open(&says).unwrap()));
        let ncat = Process::spawn_with_input("ncat", &mut ncat);
        let server = accept(&target);
        pattern::expect_all(&server, 1, SIZE);
        pattern::send(&server, 2, SIZE);
        server.shutdown(Shutdown::Write).unwrap();
        ncat.finish().ok();
        pattern::expect_all(File::open(&hears).unwrap(), 2, SIZE);
    }
}

/// A program whose output becomes a file.
fn through_a_shell(name: &str, output: &Path) -> Command {
    let command = program(name);
    let mut shell = program("bash");
    shell
        .args(["-c", "exec \"${@:2}\" >\"$1\"", "bash"])
        .arg(output)
        .arg(command.get_program());
    shell
}

// ===== Couplet goes through a proxy =====

/// curl to a side that is dialled through this proxy.
fn curl_via(web: &Web, host: &str, via: &str) {
    let dial = format!("dial:{host}:{},{via}", web.port);
    let couplet = Couplet::start(&["listen:0", &dial]);
    let near = Couplet::start(&["listen:0,socks5", &format!("dial:asked,{via}")]);
    let mut direct = program("curl");
    direct
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ])
        .arg(format!("http://{}/large", couplet.address('A')))
        .arg("--output")
        .arg(web.file("copy"));
    finish("curl", &mut direct).ok();
    fetched(web);
    // A private target is refused before the proxy is asked.
    let address = near.address('A').to_string();
    let refused = finish(
        "curl",
        &mut curl(web, "127.0.0.1", &["--socks5-hostname", &address]),
    );
    assert_ne!(refused.status, 0);
}

/// Both ways in bulk, and the answer after the client's end.
fn half_closes_via(via: &str) {
    const SIZE: usize = 4 * 1024 * 1024;

    let target = listen();
    let port = target.local_addr().unwrap().port();
    let couplet = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{port},{via}")]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    let sending = {
        let client = client.try_clone().unwrap();
        std::thread::spawn(move || {
            pattern::send(&client, 1, SIZE);
            client.shutdown(Shutdown::Write).unwrap();
        })
    };
    pattern::expect_all(&server, 1, SIZE);
    sending.join().unwrap();
    pattern::send(&server, 2, SIZE);
    server.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(&client, 2, SIZE);
}

/// The recipe of docs/recipes.md.
#[test]
fn through_ssh_dynamic_forwarding() {
    let (_ssh, port, _sshd) = Sshd::start().socks();
    let via = format!("via=socks5://127.0.0.1:{port}");
    curl_via(&Web::start(), "localhost", &via);
    half_closes_via(&via);
    // ssh tells nothing where it does not reach the target.
    let dial = format!("dial:127.0.0.1:{},{via}", free_port());
    let couplet = Couplet::start(&["listen:0", &dial]);
    let client = connect(couplet.address('A'));
    couplet_tests::net::expect_reset(&client);
    let told = couplet.events("refused", 1)[0].to_string();
    assert!(told.contains("ssh -D does so"), "{told}");
}

#[test]
fn through_microsocks_with_a_password() {
    let scratch = tempfile::tempdir().unwrap();
    let password = write(&scratch, "password", "secret\n");
    let wrong = write(&scratch, "wrong", "other\n");
    let port = free_port();
    let mut microsocks = program("microsocks");
    microsocks.args([
        "-i",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-u",
        "me",
        "-P",
        "secret",
    ]);
    let _microsocks = Process::spawn("microsocks", &mut microsocks);
    listens(port);
    let web = Web::start();
    curl_via(
        &web,
        "localhost",
        &format!("via=socks5://me@127.0.0.1:{port},via.password=@{password}"),
    );
    for (via, why) in [
        (
            format!("via=socks5://me@127.0.0.1:{port},via.password=@{wrong}"),
            "refuses the user or the password",
        ),
        (
            format!("via=socks5://127.0.0.1:{port}"),
            "asks for a user and a password",
        ),
    ] {
        let couplet = Couplet::start(&["listen:0", &format!("dial:localhost:{},{via}", web.port)]);
        let client = connect(couplet.address('A'));
        couplet_tests::net::expect_reset(&client);
        let told = couplet.events("refused", 1)[0].to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn through_tinyproxy_with_a_password() {
    let scratch = tempfile::tempdir().unwrap();
    let password = write(&scratch, "password", "secret\n");
    let port = free_port();
    let config =
        format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth me secret\nMaxClients 10\n");
    let config = write(&scratch, "config", &config);
    let mut tinyproxy = program("tinyproxy");
    let _tinyproxy = Process::spawn("tinyproxy", tinyproxy.args(["-d", "-c", &config]));
    listens(port);
    let web = Web::start();
    curl_via(
        &web,
        "localhost",
        &format!("via=http://me@127.0.0.1:{port},via.password=@{password}"),
    );
    let dial = format!("dial:localhost:{},via=http://127.0.0.1:{port}", web.port);
    let couplet = Couplet::start(&["listen:0", &dial]);
    let client = connect(couplet.address('A'));
    couplet_tests::net::expect_reset(&client);
    let told = couplet.events("refused", 1)[0].to_string();
    assert!(told.contains("asks for a user and a password"), "{told}");
}

#[test]
fn through_dante() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!(
        "logoutput: stderr\n\
         internal: 127.0.0.1 port = {port}\n\
         external: 127.0.0.1\n\
         clientmethod: none\n\
         socksmethod: none\n\
         client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n"
    );
    let config = write(&scratch, "config", &config);
    let pid = scratch.path().join("pid").display().to_string();
    let mut danted = program("danted");
    let danted = danted.args(["-f", &config, "-p", &pid, "-N", "1"]);
    let _danted = Process::spawn("danted", danted);
    listens(port);
    let via = format!("via=socks5://127.0.0.1:{port}");
    curl_via(&Web::start(), "localhost", &via);
    half_closes_via(&via);
}

#[test]
fn through_ncat_and_from_there_through_tinyproxy() {
    let scratch = tempfile::tempdir().unwrap();
    let [first, second] = [free_port(), free_port()];
    let mut ncat = program("ncat");
    let ncat = ncat.args([
        "-lk",
        "--proxy-type",
        "http",
        "127.0.0.1",
        &first.to_string(),
    ]);
    let _ncat = Process::spawn("ncat", ncat);
    let config = write(
        &scratch,
        "config",
        &format!("Port {second}\nListen 127.0.0.1\nMaxClients 10\n"),
    );
    let mut tinyproxy = program("tinyproxy");
    let _tinyproxy = Process::spawn("tinyproxy", tinyproxy.args(["-d", "-c", &config]));
    listens(first);
    listens(second);
    let web = Web::start();
    curl_via(&web, "localhost", &format!("via=http://127.0.0.1:{first}"));
    curl_via(
        &web,
        "localhost",
        &format!("via=http://127.0.0.1:{first},via=http://127.0.0.1:{second}"),
    );
}
