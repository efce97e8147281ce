//! Every route, the newest too, asked by a page of another origin and by one of another host, in Chromium, and
//! without the header, by curl: nothing happens, and nothing is told.

use couplet_tests::{finish, program};
use serde_json::{Value, json};

use crate::{browser::Browser, several::Several};

/// The relays, a pair, and how it stands.
struct Target {
    rig: Several,
    pair: (std::net::TcpStream, std::net::TcpStream),
    before: Value,
    id: u64,
}

impl Target {
    fn new() -> Self {
        let rig = Several::new();
        let pair = rig.pair("db");
        // Off, so that switching them on is seen.
        rig.ctl(&["faults", "db", "off"]).ok();
        let before = standing(&rig);
        let id = before["pairs"]["pairs"][0]["id"].as_u64().unwrap();
        Self {
            rig,
            pair,
            before,
            id,
        }
    }

    /// Each route so that it would do something: its method, and its path with the query.
    fn routes(&self) -> Vec<(&'static str, String)> {
        let route = |(method, path): (&'static str, &'static str)| {
            let path = path
                .replace("{name}", "db")
                .replace("{id}", &self.id.to_string());
            assert!(!path.contains('{'), "{path}: what stands for it?");
            let query = match (method, path.as_str()) {
                ("DELETE", "/v1/pairs") => "?all=true",
                ("POST", "/v1/log") => "?level=error",
                ("POST", path) if path.ends_with("/faults") => "?on=true",
                _ => "",
            };
            (method, format!("{}{query}", &path[1..]))
        };
        couplet_admin::routes().map(route).collect()
    }

    /// Nothing has happened, and the pair is alive.
    fn is_as_before(&self) {
        let now = standing(&self.rig);
        for same in ["pairs", "state", "generation", "config", "faults"] {
            assert_eq!(now[same], self.before[same], "{same}");
        }
        couplet_tests::pattern::send(&self.pair.0, 1, 100);
        couplet_tests::pattern::expect(&self.pair.1, 1, 100);
        let log = self.rig.couplet.lines();
        let told = log
            .iter()
            .filter(|line| line.contains("by the admin endpoint"));
        // That of the beginning alone.
        assert_eq!(told.count(), 1, "{log:#?}");
    }
}

fn standing(rig: &Several) -> Value {
    let ctl = |args: &[&str]| rig.ctl(args).ok().log;
    let json = |path: &str| -> Value {
        let mut curl = program("curl");
        curl.args(["-sS", "--max-time", "20", "--unix-socket"])
            .arg(rig.socket())
            .arg(format!("http://localhost/{path}"));
        serde_json::from_str(&finish("curl", &mut curl).ok().log).unwrap()
    };
    let pairs = json("v1/pairs");
    let status = json("v1/status");
    let pairs: Vec<_> = pairs["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| json!({"id": pair["id"], "captured": pair["captured"]}))
        .collect();
    let states: Vec<_> = status["relays"]
        .as_array()
        .unwrap()
        .iter()
        .map(|relay| json!([relay["name"], relay["state"]]))
        .collect();
    let mut curl = program("curl");
    curl.args(["-sS", "--max-time", "20", "--unix-socket"])
        .arg(rig.socket())
        .arg("http://localhost/metrics?relay=db");
    let metrics = finish("curl", &mut curl).ok().log;
    let faults = metrics
        .lines()
        .find(|line| line.starts_with("couplet_faults_on"));
    json!({
        "pairs": {"pairs": pairs},
        "state": states,
        "generation": status["generation"],
        "config": ctl(&["config"]),
        "faults": faults,
    })
}

/// What a page can try, in turn, on each route. Each answer is what it was told.
const PAGE: &str = r#"
const [base, routes] = ARGUMENTS, told = [];
const within = (promise, name) => Promise.race([promise, new Promise(r => setTimeout(() => r("nothing"), 10000))])
    .then(answer => told.push([name, answer]));
const text = async answer => answer.type === "opaque" ? "opaque" : answer.status + " " + await answer.text();
const all = [];
for (const [method, path] of routes) {
    const url = base + path, full = { "Couplet-Admin": "1", "Content-Type": "application/json" };
    for (const options of [{}, { mode: "no-cors" }, { headers: full }, { headers: full, credentials: "include" }]) {
        if (method === "DELETE" && options.mode) continue;
        const name = `${method} ${path} ${JSON.stringify(options)}`;
        all.push(within(fetch(url, { method, ...options }).then(text, () => "refused"), name));
    }
    if (method === "POST") {
        for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
            const frame = document.createElement("iframe"), form = document.createElement("form");
            frame.name = `frame${all.length}`;
            Object.assign(form, { method, action: url, target: frame.name, enctype: type });
            form.innerHTML = "<input name=x value=y>";
            document.body.append(frame, form);
            const done = new Promise(r => frame.onload = frame.onerror = () => {
                let seen = "opaque";
                try { seen = frame.contentDocument.body.innerText || "opaque" } catch {}
                r(seen);
            });
            form.submit();
            all.push(within(done, `form ${type} ${path}`));
        }
        all.push(within(Promise.resolve(navigator.sendBeacon(url, "x")).then(() => "opaque"), `beacon ${path}`));
    } else if (method === "GET") {
        const image = new Image(), script = document.createElement("script");
        all.push(within(new Promise(r => { image.onload = () => r("shown"); image.onerror = () => r("refused") }), `img ${path}`));
        image.src = url;
        all.push(within(new Promise(r => { script.onload = () => r("run"); script.onerror = () => r("refused") }), `script ${path}`));
        script.src = url;
        document.body.append(script);
        const events = new EventSource(url);
        all.push(within(new Promise(r => { events.onopen = () => r("open"); events.onerror = () => { events.close(); r("refused") } }), `events ${path}`));
    }
}
return Promise.all(all).then(() => told);
"#;

fn attack(browser: &Browser, base: &str, routes: &[(&str, String)]) -> Vec<(String, String)> {
    let arguments = json!([base, routes]).to_string();
    let told = browser.script(&PAGE.replace("ARGUMENTS", &arguments));
    let told = told.as_array().unwrap_or_else(|| panic!("{told}")).clone();
    let tried = routes.len() * 3;
    assert!(told.len() >= tried, "{} of {tried}", told.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told.iter()
        .map(|told| (text(&told[0]), text(&told[1])))
        .collect()
}

/// A page of another origin: on a port of its own.
fn foreign_page() -> String {
    use std::io::{Read, Write};

    let listener = couplet_tests::net::listen();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let page = "<!doctype html><title>evil</title><body>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
    });
    format!("http://localhost:{}/", address.port())
}

#[test]
fn a_page_of_another_origin_changes_and_learns_nothing_in_a_real_browser() {
    let target = Target::new();
    let (_socat, base) = target.rig.forwarded();
    let browser = Browser::start();
    browser.open(&foreign_page());
    for (tried, told) in attack(&browser, &base, &target.routes()) {
        let is_nothing = ["refused", "opaque", "nothing"].contains(&told.as_str());
        assert!(is_nothing, "{tried}: {told}");
    }
    target.is_as_before();
}

#[test]
fn a_page_of_another_host_with_our_address_changes_and_learns_nothing() {
    let target = Target::new();
    let (_socat, base) = target.rig.forwarded();
    // DNS rebinding: the name is the attacker's, the address ours.
    let browser = Browser::start_with(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]);
    let base = base.replace("localhost", "evil.example");
    // The attacker's page came from elsewhere, under the same name, with no policy of ours.
    browser.devtools("Page.setBypassCSP", &json!({"enabled": true}));
    browser.open(&base);
    assert!(
        browser
            .script("return document.body.innerText")
            .to_string()
            .contains("421")
    );
    for (tried, told) in attack(&browser, &base, &target.routes()) {
        let is_nothing = ["refused", "opaque", "nothing"].contains(&told.as_str());
        let is_problem = told.contains("this host is not known");
        assert!(is_nothing || is_problem, "{tried}: {told}");
        assert!(!told.contains("127.0.0.1:"), "{tried}: {told}");
    }
    target.is_as_before();
}

#[test]
fn without_the_header_curl_changes_nothing() {
    let target = Target::new();
    let json = ["-H", "Content-Type: application/json"];
    let header = ["-H", "Couplet-Admin: 1"];
    let foreign = ["-H", "Origin: https://evil.example"];
    let plain = ["-H", "Content-Type: text/plain"];
    for (method, path) in target.routes() {
        let status = |args: &[&str], host: &str| {
            let mut curl = program("curl");
            curl.args([
                "-sS",
                "--max-time",
                "5",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ])
            .args(["-X", method, "--unix-socket"])
            .arg(target.rig.socket())
            .args(args)
            .arg(format!("http://{host}/{path}"));
            finish("curl", &mut curl).log
        };
        let all = [&json[..], &header].concat();
        assert_eq!(status(&all, "evil.example"), "421", "{method} {path}");
        let all = [&json[..], &header, &foreign].concat();
        assert_eq!(status(&all, "localhost"), "403", "{method} {path}");
        if method != "GET" || path.ends_with("/capture") {
            assert_eq!(status(&json, "localhost"), "403", "{method} {path}");
        }
        if method != "GET" {
            let all = [&plain[..], &header].concat();
            assert_eq!(status(&all, "localhost"), "415", "{method} {path}");
        }
    }
    target.is_as_before();
}
