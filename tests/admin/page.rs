//! The page in Chromium: content, updates, cutting a pair, phones, dark mode, keyboard.

use std::{env, fs};

use couplet_tests::{
    Process,
    net::{connect, expect_reset},
};
use serde_json::json;

use crate::{Rig, browser::Browser, several};

fn forwarded(rig: &Rig) -> (Process, String) {
    several::forwarded(&rig.folder.path().join("admin.sock"))
}

/// Keeps a picture where the environment names a folder for it.
pub(crate) fn keep(browser: &Browser, name: &str) {
    if let Some(folder) = env::var_os("COUPLET_SCREENSHOTS") {
        let file = std::path::Path::new(&folder).join(format!("{name}.base64"));
        fs::write(file, browser.screenshot()).unwrap();
    }
}

#[test]
fn the_page_is_updated_and_cuts_a_pair() {
    let rig = Rig::new(
        ",max-per-addr=2,deny=203.0.113.0/24",
        &["--bandwidth=10MiB/s", "--idle-timeout=1h"],
    );
    let (_socat, url) = forwarded(&rig);
    let (client, _server) = rig.pair();
    let browser = Browser::start();
    browser.open(&url);
    assert_eq!(browser.script("return document.title"), "Couplet");
    let relays = browser.text("relays");
    for said in [
        "max-per-addr",
        "bandwidth",
        "dial-for A",
        "listen:127.0.0.1",
    ] {
        assert!(relays.contains(said), "{said} is not in {relays}");
    }
    // Live: a second pair, and a client that is refused, appear without a reload.
    browser.script("window.same = true");
    let second = rig.pair();
    browser.until(
        "the second pair",
        "return document.querySelectorAll('#pairs tbody tr').length === 2",
    );
    let third = connect(rig.couplet.address('A'));
    browser.until(
        "the refusal",
        "return document.getElementById('refused').innerText.includes('limit_addr')",
    );
    browser.until(
        "its box",
        "return document.getElementById('relays').innerText.includes('1 refused')",
    );
    assert!(
        browser.text("tiles").contains("LIVE PAIRS")
            || browser.text("tiles").contains("Live pairs")
    );
    keep(&browser, "page");
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.devtools("Emulation.setEmulatedMedia", &dark);
    keep(&browser, "page-dark");
    let background = "return getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.script(background), "rgb(16, 21, 28)");

    // With the keyboard: the focus stays on the button while the list is replaced.
    browser.script("document.querySelector('#pairs button').focus()");
    let key = browser.script("return document.activeElement.dataset.key");
    browser.until(
        "another update",
        "window.was ??= document.getElementById('pairs').innerHTML; return window.was !== \
         document.getElementById('pairs').innerHTML",
    );
    assert_eq!(
        browser.script("return document.activeElement.dataset.key"),
        key
    );
    browser.script("document.activeElement.click()");
    expect_reset(&client);
    browser.until(
        "the end in words",
        "return document.getElementById('ended').innerText.includes('OC closed')",
    );
    assert_eq!(
        browser.script("return window.same"),
        true,
        "the page was loaded again"
    );
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
    drop((second, third));
}

#[test]
fn the_page_fits_a_phone_and_says_what_it_is_to_a_screen_reader() {
    let rig = Rig::new(",max-conns=9", &[]);
    let _pair = rig.pair();
    let browser = Browser::start();
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", &phone);
    browser.open(&format!("http://{}/", rig.address()));
    keep(&browser, "page-phone");
    assert_eq!(
        browser.script("return document.documentElement.scrollWidth"),
        390
    );
    // Nothing can be changed here, so nothing offers to.
    assert_eq!(
        browser.script("return document.querySelectorAll('[data-delete],[data-post]').length"),
        0
    );
    for (what, script) in [
        ("a field without a label", "input,select"),
        ("a picture without a name", "svg"),
        ("a region without a name", "section,[role=region]"),
    ] {
        let nameless = format!(
            "return [...document.querySelectorAll('{script}')].filter(e => !e.closest('label') && \
             !e.getAttribute('aria-label') && !document.getElementById(e.getAttribute('aria-labelledby'))).length"
        );
        assert_eq!(browser.script(&nameless), 0, "{what}");
    }
    assert_eq!(
        browser.script("return document.querySelectorAll('h1').length"),
        1
    );
    assert_eq!(browser.script("return document.documentElement.lang"), "en");
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
}
