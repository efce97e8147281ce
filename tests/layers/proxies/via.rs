//! `via`: through proxies that are scripted byte for byte.

use std::net::{TcpListener, TcpStream};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_reset, listen, nobody_comes},
};
use rcgen::{CertificateParams, KeyPair};

use super::{ASKED, file, half_closes, hears, named, reply, send};

/// A scripted SOCKS5 proxy that connects its one client with itself.
fn proxied(proxy: &TcpListener, request: &[u8], replies: &[u8]) -> TcpStream {
    let peer = accept(proxy);
    hears(&peer, [5, 1, 0]);
    send(&peer, [5, 0]);
    hears(&peer, request);
    send(&peer, replies);
    peer
}

#[test]
fn a_name_is_resolved_by_the_proxy_and_never_here() {
    let proxy = listen();
    let via = format!(
        "dial:no-such-host.invalid:22,via=socks5://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    // With a bound address that is a name, and bytes of the server behind it.
    let replies = b"\x05\x00\x00\x03\x05proxy\x00\x50greeting";
    let server = proxied(&proxy, &named("no-such-host.invalid", 22), replies);
    hears(&client, "greeting");
    half_closes(&client, &server);

    let proxy = listen();
    let via = format!(
        "dial:no-such-host.invalid:22,via=http://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let server = accept(&proxy);
    hears(
        &server,
        "CONNECT no-such-host.invalid:22 HTTP/1.1\r\nHost: no-such-host.invalid:22\r\n\r\n",
    );
    send(
        &server,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\nVia: x\r\n\r\ngreeting",
    );
    hears(&client, "greeting");
    half_closes(&client, &server);
}

#[test]
fn what_a_proxy_refuses_is_told_and_the_client_is_reset() {
    let proxy = listen();
    let via = format!(
        "dial:a.invalid:22,via=socks5://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let _proxy = proxied(&proxy, &named("a.invalid", 22), &reply(5));
    expect_reset(&client);
    let refused = couplet.events("refused", 1);
    let told = refused[0].to_string();
    assert!(
        told.contains("cannot dial a.invalid:22 through a proxy"),
        "{told}"
    );
    assert!(
        told.contains("connection refused by the target (SOCKS5 reply 05)"),
        "{told}"
    );
}

#[test]
fn the_deadline_of_the_dial_is_for_the_proxys_answer_too() {
    let proxy = listen();
    let via = format!(
        "dial:a.invalid:22,connect-timeout=500ms,via=socks5://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let _silent = accept(&proxy);
    expect_reset(&client);
    let told = couplet.events("refused", 1)[0].to_string();
    assert!(told.contains("no answer within 500ms"), "{told}");
}

#[test]
fn a_chain_of_proxies_and_tls_to_one_of_them() {
    let scratch = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let ca = file(&scratch, "ca.pem", &certificate);
    let both = file(&scratch, "both.pem", &(certificate + &key.serialize_pem()));
    let users = file(&scratch, "users", "me:hunter22\n");
    let password = file(&scratch, "password", "hunter22\n");
    let target = listen();
    let socks = Couplet::start(&[&format!("listen:0,socks5,socks5.users=@{users}"), ASKED]);
    let tls = format!("listen:0,tls={both},connect,connect.users=@{users}");
    let http = Couplet::start(&[&tls, ASKED]);
    let [socks_port, http_port] = [&socks, &http].map(|couplet| couplet.address('A').port());
    let via = format!(
        "{},via=socks5://me@127.0.0.1:{socks_port},via.password=@{password},\
         via=https://me@localhost:{http_port},via.password=@{password},via.ca={ca}",
        dial(&target)
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    half_closes(&client, &server);
    for (proxy, dialled) in [
        (&socks, http_port),
        (&http, target.local_addr().unwrap().port()),
    ] {
        proxy.joined(1);
        assert!(!proxy.lines().join("\n").contains("hunter22"), "{dialled}");
    }
    let explained = Couplet::run(&["explain", "listen:0", &via]).ok().log;
    assert!(
        explained.contains(&format!("via socks5://me@127.0.0.1:{socks_port} (side)")),
        "{explained}"
    );
    assert!(
        explained.contains("microsocks, tinyproxy, squid"),
        "{explained}"
    );
}

#[test]
fn a_proxy_may_have_a_proxy_itself_and_passes_its_answer_on() {
    let proxy = listen();
    let via = format!("dial:asked,via=socks5://{}", proxy.local_addr().unwrap());
    let couplet = Couplet::start(&["listen:0,connect", &via]);
    for (code, status) in [(2, "403"), (5, "502"), (6, "504")] {
        let client = connect(couplet.address('A'));
        send(&client, "CONNECT a.invalid:80 HTTP/1.1\r\n\r\n");
        let _proxy = proxied(&proxy, &named("a.invalid", 80), &reply(code));
        hears(&client, format!("HTTP/1.1 {status} "));
    }
    // Its own machine, and private addresses, are refused before the proxy is asked.
    for target in [
        "127.0.0.1:80",
        "localhost:80",
        "a.localhost.:80",
        "[::1]:80",
        "10.0.0.1:80",
    ] {
        let client = connect(couplet.address('A'));
        send(&client, format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        hears(&client, "HTTP/1.1 403 ");
    }
    nobody_comes(&proxy);
    // A list judges addresses alone.
    let couplet = Couplet::start(&["listen:0,connect", &format!("{via},deny=192.0.2.0/24")]);
    let client = connect(couplet.address('A'));
    send(&client, "CONNECT a.invalid:80 HTTP/1.1\r\n\r\n");
    hears(&client, "HTTP/1.1 403 ");
    nobody_comes(&proxy);
}

#[test]
fn a_password_is_read_again_at_a_hangup() {
    let scratch = tempfile::tempdir().unwrap();
    let users = file(&scratch, "users", "me:first\n");
    let password = file(&scratch, "password", "first\n");
    let target = listen();
    let proxy = Couplet::start(&[&format!("listen:0,socks5,socks5.users=@{users}"), ASKED]);
    let side = format!(
        "{},via=socks5://me@127.0.0.1:{},via.password=@{password}",
        dial(&target),
        proxy.address('A').port()
    );
    let couplet = Couplet::start(&["listen:0", &side]);
    let client = connect(couplet.address('A'));
    half_closes(&client, &accept(&target));
    file(&scratch, "users", "me:second\n");
    proxy.signal(rustix::process::Signal::HUP);
    proxy.events("read again", 1);
    expect_reset(&connect(couplet.address('A')));
    file(&scratch, "password", "second\n");
    couplet.signal(rustix::process::Signal::HUP);
    couplet.events("read again", 1);
    let client = connect(couplet.address('A'));
    half_closes(&client, &accept(&target));
}

#[test]
fn the_environment_names_a_proxy_and_the_hosts_without_one() {
    let target = listen();
    let users = "me:hunter%202\n";
    let scratch = tempfile::tempdir().unwrap();
    let users = file(&scratch, "users", &users.replace("%20", " "));
    let proxy = Couplet::start(&[&format!("listen:0,socks5,socks5.users=@{users}"), ASKED]);
    let port = proxy.address('A').port();
    let side = format!("{},via=env", dial(&target));
    let explain = |variables: &[(&str, &str)]| {
        let mut command = Couplet::command(&["explain", "listen:0", &side]);
        for name in [
            "all_proxy",
            "ALL_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "http_proxy",
            "no_proxy",
            "NO_PROXY",
        ] {
            command.env_remove(name);
        }
        couplet_tests::finish("couplet", command.envs(variables.iter().copied()))
            .ok()
            .log
    };
    let url = format!("socks5h://me:hunter%202@127.0.0.1:{port}/");
    let by_proxy = explain(&[("ALL_PROXY", &url)]);
    assert!(
        by_proxy.contains(&format!("via socks5://me@127.0.0.1:{port} (side)")),
        "{by_proxy}"
    );
    assert!(!by_proxy.contains("hunter"), "{by_proxy}");
    let web = explain(&[
        ("http_proxy", "proxy.example.net:3128"),
        ("HTTP_PROXY", "wrong:1"),
    ]);
    assert!(
        web.contains("via http://proxy.example.net:3128 (side)"),
        "{web}"
    );
    for variables in [
        &[("HTTP_PROXY", url.as_str())][..],
        &[("ALL_PROXY", &url), ("no_proxy", "localhost, 127.0.0.0/8")],
    ] {
        let direct = explain(variables);
        assert!(!direct.contains("via "), "{direct}");
    }
    let mut command = Couplet::command(&["stdio", &side]);
    command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .env_remove("all_proxy");
    let through = std::thread::spawn(move || {
        let served = accept(&target);
        served.shutdown(std::net::Shutdown::Both).unwrap();
    });
    let mut couplet =
        couplet_tests::Process::spawn("couplet stdio", command.env("ALL_PROXY", &url));
    through.join().unwrap();
    couplet_tests::until("it ends", || (!couplet.is_running()).then_some(()));
    proxy.joined(1);
    for (side, told) in [
        ("dial:asked,via=env", "`via=env` is for one target"),
        ("dial:a:1|b:1,via=env", "`via=env` is for one target"),
    ] {
        Couplet::run(&["listen:0,socks5", side]).with(2).said(told);
    }
}
