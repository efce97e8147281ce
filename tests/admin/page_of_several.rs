//! The page of several relays and a rendezvous, in Chromium: content, updates, a failed reload, a capture,
//! accessibility by axe-core, without JavaScript, on a phone.

use std::{
    fs,
    io::{Read, Write},
    thread,
};

use couplet_tests::{
    net::{connect, expect_reset},
    python_file, until,
};
use serde_json::{Value, json};

use crate::{browser::Browser, page::keep, several::Several};

/// All that a page can show: pairs of two relays, one that stalls, a waiting client, an end, a refusal.
struct Busy {
    rig: Several,
    _pairs: Vec<(std::net::TcpStream, std::net::TcpStream)>,
    _waiting: std::net::TcpStream,
}

impl Busy {
    fn new() -> Self {
        let rig = Several::new();
        let mut pairs = vec![rig.pair("db"), rig.pair("db"), rig.pair("web")];
        // A third of one address is refused.
        let refused = connect(rig.address("db"));
        expect_reset(&refused);
        let (client, server) = rig.pair("web");
        drop(client);
        drop(server);
        // This server reads nothing more.
        let (client, server) = rig.pair("web");
        let mut writer = client.try_clone().unwrap();
        thread::spawn(move || {
            let piece = vec![0; 64 * 1024];
            while writer.write_all(&piece).is_ok() {}
        });
        pairs.push((client, server));
        let waiting = rig.waiting(0xab);
        Self {
            rig,
            _pairs: pairs,
            _waiting: waiting,
        }
    }
}

/// What axe-core finds wrong.
fn violations(browser: &Browser) -> Vec<Value> {
    let axe = python_file("axe_playwright_python/axe.min.js");
    browser.script(&fs::read_to_string(axe).unwrap());
    let found = browser.script(
        "return axe.run().then(found => found.violations.map(one => ({ id: one.id, help: one.help, nodes: \
         one.nodes.map(node => node.html.slice(0, 200) + ' ' + (node.any[0] || {}).message) })))",
    );
    found
        .as_array()
        .unwrap_or_else(|| panic!("{found}"))
        .clone()
}

#[test]
fn all_relays_are_shown_with_their_boxes_pairs_waiting_ends_and_refusals() {
    let busy = Busy::new();
    let (_socat, url) = busy.rig.forwarded();
    let browser = Browser::start();
    // axe-core is not the page's own script.
    browser.devtools("Page.setBypassCSP", &json!({"enabled": true}));
    browser.open(&url);
    let boxes = |relay: usize| {
        let script = format!(
            "return [...document.querySelectorAll('#relays article')[{relay}].querySelectorAll('li > b')]\
             .map(e => e.textContent).join(' ')"
        );
        browser.script(&script).as_str().unwrap().to_owned()
    };
    assert_eq!(
        boxes(0),
        "side A deny max-per-addr dial-for A fault bandwidth relay side B"
            .replace("deny max-per-addr", "max-per-addr deny")
    );
    assert_eq!(boxes(1), "side A attempts rendezvous by-key announce relay");
    assert_eq!(boxes(2), "side A dial-for A idle-timeout relay side B");
    let relays = browser.text("relays");
    for said in [
        "db ready",
        "meet ready",
        "web ready",
        "1 refused",
        "2 passed",
        "by splice where much moves",
    ] {
        assert!(relays.contains(said), "`{said}` is not in {relays}");
    }
    browser.until(
        "the side that holds the other up",
        "return document.getElementById('pairs').innerText.includes('by B, ')",
    );
    browser.until(
        "the client that waits",
        "return document.querySelectorAll('#waiting tbody tr').length === 1",
    );
    assert_eq!(
        browser.script("return document.querySelectorAll('#pairs tbody tr').length"),
        4
    );
    let ended = browser.text("ended");
    assert!(ended.contains("finished, A first"), "{ended}");
    let refused = browser.text("refused");
    assert!(refused.contains("limit_addr"), "{refused}");
    let tiles = browser.text("tiles");
    for tile in [
        "Live pairs",
        "Waiting",
        "Joins",
        "A to B",
        "B to A",
        "Refused",
        "Descriptors",
    ] {
        assert!(tiles.contains(tile), "`{tile}` is not in {tiles}");
    }
    for dark in [false, true] {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", &media);
        keep(&browser, &format!("several-{scheme}"));
        let wrong = violations(&browser);
        assert!(wrong.is_empty(), "{scheme}: {wrong:#?}");
    }
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
}

#[test]
fn pairs_are_chosen_and_sorted_without_javascript_and_on_a_phone() {
    let busy = Busy::new();
    let (_socat, url) = busy.rig.forwarded();
    let browser = Browser::start();
    browser.devtools(
        "Emulation.setScriptExecutionDisabled",
        &json!({"value": true}),
    );
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", &phone);
    browser.open(&format!("{url}?relay=web&sort=bytes"));
    let script = "return [...document.querySelectorAll('#pairs tbody tr')].map(e => e.children[1].textContent)";
    assert_eq!(browser.script(script), json!(["web", "web"]));
    // No button that would do nothing.
    let seen = "return [...document.querySelectorAll('button')].filter(e => e.offsetParent).map(e => e.textContent)";
    assert_eq!(browser.script(seen), json!(["Show"]));
    assert_eq!(
        browser.script("return document.documentElement.scrollWidth"),
        390
    );
    keep(&browser, "several-phone");
    assert!(browser.text("relays").contains("by-key"));
    assert!(browser.text("ended").contains("finished"));
}

#[test]
fn a_reload_that_failed_is_told_in_red_and_one_that_succeeds_takes_it_back() {
    let rig = Several::new();
    let browser = Browser::start();
    browser.open(&format!("http://{}/", rig.looking()));
    assert!(browser.text("state").contains("generation 1"));
    assert_eq!(
        rig.reload("[relay.db]\na = 'listen:1,loud'\nb = 'dial:h:1'\n")
            .status,
        1
    );
    browser.until(
        "it is told",
        "const bad = document.querySelector('#state .bad'); return !!bad && bad.innerText.includes('loud')",
    );
    let colour = "return getComputedStyle(document.querySelector('#state .bad')).color";
    assert_eq!(browser.script(colour), "rgb(179, 38, 30)");
    keep(&browser, "several-reload-failed");
    rig.reload(&rig.changed(20)).ok();
    browser.until(
        "it is taken back",
        "return document.getElementById('state').innerText.includes('generation 2')",
    );
    assert_eq!(
        browser.script("return document.querySelectorAll('#state .bad').length"),
        0
    );
}

#[test]
fn a_pair_is_captured_on_the_page_and_saved() {
    let rig = Several::new();
    let (mut client, mut server) = rig.pair("web");
    let (_socat, url) = rig.forwarded();
    let saved = tempfile::tempdir().unwrap();
    let browser = Browser::start();
    let path = json!({"behavior": "allow", "downloadPath": saved.path()});
    browser.devtools("Browser.setDownloadBehavior", &path);
    browser.open(&url);
    browser.script("document.querySelector('[data-capture]').click()");
    browser.until(
        "it is captured",
        "return !!document.querySelector('[data-capture]').textContent.match(/^Save [1-9]/)",
    );
    client.write_all(b"said on the way").unwrap();
    server.read_exact(&mut [0; 15]).unwrap();
    until("it is over and saved", || {
        browser.script(
            "const button = document.querySelector('[data-capture]'); \
             if (button.textContent !== 'Capture') button.click()",
        );
        let mut files = fs::read_dir(saved.path()).unwrap();
        let file = files.find_map(|file| {
            let path = file.unwrap().path();
            path.extension()
                .is_some_and(|end| end == "pcapng")
                .then_some(path)
        })?;
        let bytes = fs::read(file).ok()?;
        bytes
            .windows(15)
            .any(|some| some == b"said on the way")
            .then_some(())
    });
    client.write_all(b"and on").unwrap();
    server.read_exact(&mut [0; 6]).unwrap();
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
}
