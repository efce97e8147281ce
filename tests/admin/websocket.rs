//! A page in Chromium that talks to a TCP server, as docs/recipes.md shows it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use couplet_tests::{
    Couplet,
    net::{accept, dial, listen},
};
use serde_json::{Value, json};

use crate::browser::Browser;

/// Talks to the server, and keeps what came and how it ended in `told`.
const PAGE: &str = r#"<!doctype html><title>page</title><script>
window.told = { length: 0, ended: false };
function talk(url, protocols) {
    const ws = new WebSocket(url, protocols)
    ws.binaryType = "arraybuffer"
    ws.onmessage = ({ data }) => data.byteLength ? told.length += data.byteLength : told.ended = true
    ws.onerror = () => told.failed = true
    ws.onclose = ({ code, wasClean }) => told.closed = [code, wasClean]
    ws.onopen = () => {
        ws.send("a page says ")
        ws.send(new Uint8Array(200000).fill(120))
        protocols ? ws.send(new Uint8Array()) : told.open = ws
    }
}
</script>"#;

/// Where pages come from. It serves one after the other, for as long as the test runs.
fn site() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{PAGE}",
                PAGE.len()
            );
        }
    });
    port
}

/// Serves one client: an answer to each byte, once all have come.
fn serve(listener: &TcpListener) -> thread::JoinHandle<Vec<u8>> {
    let listener = listener.try_clone().unwrap();
    thread::spawn(move || {
        let mut client = accept(&listener);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).unwrap();
        client.write_all(&heard).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        heard
    })
}

fn told(browser: &Browser) -> Value {
    browser.script("return window.told")
}

#[test]
fn a_page_asks_half_closes_and_hears_the_answer() {
    let (server, site) = (listen(), site());
    let signed = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("cert.pem");
    let pem = signed.cert.pem() + &signed.signing_key.serialize_pem();
    std::fs::write(&file, pem).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let browser = Browser::start();
    // As the certificate is of no CA.
    browser.devtools(
        "Security.setIgnoreCertificateErrors",
        &json!({"ignore": true}),
    );
    let tls = format!("tls={},", file.display());
    for (tls, scheme) in [("", "ws"), (tls.as_str(), "wss")] {
        let a = format!("listen:127.0.0.1:0,{tls}ws=/echo,ws.origin=http://127.0.0.1:{site}");
        let couplet = Couplet::start(&[&a, &dial(&server)]);
        let url = format!("{scheme}://127.0.0.1:{}/echo", couplet.address('A').port());
        let served = serve(&server);
        browser.open(&format!("http://127.0.0.1:{site}/"));
        browser.script(&format!("talk('{url}', 'couplet.1')"));
        browser.until("it is closed", "return told.closed !== undefined");
        let expected = json!({"length": 200_012, "ended": true, "closed": [1000, true]});
        assert_eq!(told(&browser), expected, "{scheme}");
        let heard = served.join().unwrap();
        assert!(heard.starts_with(b"a page says xxx"));
        assert_eq!(heard.len(), 200_012);
        assert_eq!(couplet.ended(1), "finished, A first");
    }
}

#[test]
fn a_page_that_knows_no_half_close_closes() {
    let (server, site) = (listen(), site());
    let a = format!("listen:127.0.0.1:0,ws=/echo,ws.origin=http://127.0.0.1:{site}");
    let couplet = Couplet::start(&[&a, &dial(&server)]);
    let url = format!("ws://127.0.0.1:{}/echo", couplet.address('A').port());
    let browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{site}/"));
    browser.script(&format!("talk('{url}')"));
    let mut client = accept(&server);
    let mut heard = vec![0; 200_012];
    client.read_exact(&mut heard).unwrap();
    client.write_all(b"answer").unwrap();
    browser.until("the answer", "return told.length === 6");
    browser.script("told.open.close()");
    couplet_tests::net::expect_end(&client);
    drop(client);
    browser.until("it is closed", "return told.closed !== undefined");
    assert_eq!(told(&browser)["closed"][1], true);
}

#[test]
fn a_browser_that_is_closed_is_a_cut() {
    let (server, site) = (listen(), site());
    let a = format!("listen:127.0.0.1:0,ws=/echo,ws.origin=http://127.0.0.1:{site}");
    let couplet = Couplet::start(&[&a, &dial(&server)]);
    let url = format!("ws://127.0.0.1:{}/echo", couplet.address('A').port());
    let browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{site}/"));
    browser.script(&format!("talk('{url}')"));
    let mut client = accept(&server);
    client.read_exact(&mut vec![0; 200_012]).unwrap();
    drop(browser);
    couplet_tests::net::expect_reset(&client);
}

#[test]
fn a_page_of_another_site_is_refused() {
    let (server, site) = (listen(), site());
    let a = format!("listen:127.0.0.1:0,ws=/echo,ws.origin=http://127.0.0.1:{site}");
    let couplet = Couplet::start(&[&a, &dial(&server)]);
    let url = format!("ws://127.0.0.1:{}/echo", couplet.address('A').port());
    let browser = Browser::start();
    // The same pages under another name are another site.
    browser.open(&format!("http://localhost:{site}/"));
    browser.script(&format!("talk('{url}', 'couplet.1')"));
    browser.until("it is closed", "return told.closed !== undefined");
    assert_eq!(told(&browser)["failed"], true);
    couplet.find("why", |line| {
        let site = format!("not allowed: http://localhost:{site}");
        line.contains(&site).then_some(())
    });
}
