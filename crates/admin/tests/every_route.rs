//! Every route that there is, the newest too, asked by a foreign page or a stranger: nothing is told, nothing happens.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod helper;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use couplet_admin::{
    Access, Checked, ConfigForm, End, Faults, LogLevel, Program, Relay, ReloadRefused, Server,
    routes,
};
use couplet_connector::Handle;
use helper::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What was done.
#[derive(Clone, Debug, Default)]
struct Done(Arc<AtomicUsize>);

impl Done {
    fn one(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Program for Done {
    fn check(&self, _: String) -> Option<Checked> {
        self.one();
        let (text, mistakes) = (String::new(), Vec::new());
        Some(Checked { text, mistakes })
    }

    fn config(&self, _: ConfigForm) -> Option<String> {
        self.one();
        Some("# ssh".to_owned())
    }

    fn log(&self, _: LogLevel) -> Option<()> {
        self.one();
        Some(())
    }

    fn end(&self, _: End) -> Option<Result<(), String>> {
        self.one();
        Some(Ok(()))
    }
}

/// A program that has all there is, and a live pair.
struct All {
    rig: Rig,
    done: Done,
    faults: Arc<AtomicBool>,
    pair: [couplet_connector::endpoint::memory::MemoryStream; 2],
    id: u64,
}

impl All {
    async fn new() -> Self {
        let mut rig = Rig::new();
        let (done, faults) = (Done::default(), Arc::new(AtomicBool::new(false)));
        rig.admin.program(done.clone());
        let asked = done.clone();
        rig.admin.on_reload(move || {
            asked.one();
            async { Err(ReloadRefused::Busy("asked".to_owned())) }
        });
        let (switch, on) = (Arc::clone(&faults), Arc::clone(&faults));
        rig.admin.add(Relay::new("ssh", &rig.relay).faults(Faults {
            are_on: Box::new(move || on.load(Ordering::SeqCst)),
            set: Box::new(move |on| switch.store(on, Ordering::SeqCst)),
        }));
        let pair = rig.pair().await;
        let id = rig.relay.sessions()[0].id().get();
        Self {
            rig,
            done,
            faults,
            pair,
            id,
        }
    }

    /// Each route as a request line that would do something.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let line = |(method, path): (&'static str, &'static str)| {
            let path = path
                .replace("{name}", "ssh")
                .replace("{id}", &self.id.to_string());
            assert!(!path.contains('{'), "{path}: what stands for it?");
            let query = match (method, path.as_str()) {
                ("DELETE", "/v1/pairs") => "?all=true",
                ("POST", "/v1/log") => "?level=trace",
                ("POST", path) if path.ends_with("/faults") => "?on=true",
                _ => "",
            };
            (method, format!("{method} {path}{query}"))
        };
        routes().map(line).collect()
    }

    fn relay(&self) -> &Handle {
        &self.rig.relay
    }

    /// Nothing has happened.
    fn unchanged(&self, after: &str) {
        let session = self.relay().session(self.id.into());
        let session = session.unwrap_or_else(|| panic!("the pair is cut after {after}"));
        assert!(!session.is_tapped(), "{after}");
        assert!(session.close_requested().is_none(), "{after}");
        assert!(!self.relay().is_paused(), "{after}");
        assert!(!self.relay().is_draining(), "{after}");
        assert!(!self.faults.load(Ordering::SeqCst), "{after}");
        assert_eq!(self.done.count(), 0, "{after}");
    }
}

/// Is it more than a look?
fn is_privileged(method: &str, line: &str) -> bool {
    method != "GET" || line.ends_with("/capture")
}

const FULL: [&str; 2] = ["Couplet-Admin: 1", "Content-Type: application/json"];

/// The head of the answer, and nothing more: some answers have no end.
async fn head(server: &Server, line: &str, headers: &[&str]) -> (u16, String) {
    let (mut client, io) = tokio::io::duplex(1024 * 1024);
    let server = server.clone();
    let serving = tokio::spawn(async move { server.serve(io).await });
    let mut request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    request += "\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let n = client.read(&mut some).await.unwrap();
        assert!(n > 0, "{line}: no answer");
        answer.extend_from_slice(&some[..n]);
    }
    serving.abort();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.unwrap_or(0), answer)
}

/// What a page of another origin, a name of an attacker's, or a stranger can send, and the answer.
fn attacks(method: &str, line: &str) -> Vec<(Vec<&'static str>, &'static str, u16)> {
    let mut attacks = vec![
        (vec![], "evil.example", 421),
        (vec![], "localhost.evil.example", 421),
        (vec!["Origin: https://evil.example"], "localhost", 403),
        (vec!["Origin: null"], "localhost", 403),
        (vec!["Sec-Fetch-Site: cross-site"], "localhost", 403),
        (vec!["Sec-Fetch-Site: same-site"], "localhost", 403),
    ];
    // As if a page could send what asks for permission first.
    for attack in &mut attacks {
        attack.0.extend(FULL);
    }
    if is_privileged(method, line) {
        attacks.push((vec![FULL[1]], "localhost", 403));
        attacks.push((vec!["Couplet-Admin: yes", FULL[1]], "localhost", 403));
        attacks.push((vec![], "localhost", 403));
    }
    if method != "GET" {
        attacks.push((vec![FULL[0]], "localhost", 415));
        for form in [
            "Content-Type: text/plain",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Type: multipart/form-data; boundary=x",
        ] {
            attacks.push((vec![FULL[0], form], "localhost", 415));
        }
    }
    attacks
}

#[tokio::test]
async fn no_route_is_for_a_foreign_page_or_host_or_without_the_header() {
    let all = All::new().await;
    let server = all.rig.server(Access::Everything);
    for (method, line) in all.lines() {
        for (headers, host, expected) in attacks(method, &line) {
            let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
            for header in &headers {
                request += &format!("{header}\r\n");
            }
            let answer = send(&server, &(request.clone() + "\r\n")).await;
            assert_eq!(answer.status, expected, "{request}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
            assert!(!answer.body.contains("ssh"), "{request} is told {answer:?}");
            all.unchanged(&request);
        }
        // What a browser asks before it sends the header gets no permission.
        let path = line.split(' ').nth(1).unwrap();
        let preflight = [
            "Origin: https://evil.example",
            "Access-Control-Request-Headers: couplet-admin",
        ];
        let asked = ask(&server, &format!("OPTIONS {path}"), &preflight).await;
        assert_eq!(asked.status, 403, "{path}");
        assert!(
            !asked
                .head
                .to_ascii_lowercase()
                .contains("access-control-allow")
        );
        all.unchanged(path);
    }
    drop(all.pair);
}

#[tokio::test]
async fn no_route_is_for_strangers_where_there_is_a_token_and_none_changes_where_requests_look() {
    let all = All::new().await;
    let token = all.rig.server(Access::Token("correct horse".into()));
    let looking = all.rig.server(Access::Look);
    for (method, line) in all.lines() {
        for wrong in ["Couplet-Nothing: 1", "Authorization: Bearer guess"] {
            let answer = ask(&token, &line, &[&FULL[..], &[wrong]].concat()).await;
            let expected = if line == "GET /live" { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{line}");
            assert!(!answer.body.contains("ssh"), "{answer:?}");
        }
        if is_privileged(method, &line) {
            let answer = ask(&looking, &line, &FULL).await;
            assert_eq!(answer.status, 403, "{line}");
            let head = line.replacen(method, "HEAD", 1);
            let asked = ask(&looking, &head, &FULL).await.status;
            assert!([403, 405, 200, 404].contains(&asked), "{head}");
        }
        all.unchanged(&line);
    }
    drop(all.pair);
}

/// What the attacks above ask for is done where it may be, so they would have had an effect.
#[tokio::test]
async fn each_route_does_something_for_those_who_may() {
    let mut lines = All::new().await.lines();
    lines.sort_by_key(|(method, line)| is_privileged(method, line));
    for (method, line) in lines {
        let all = All::new().await;
        // Another rig has another number for its pair.
        let line = all
            .lines()
            .into_iter()
            .find(|(_, own)| {
                let shape = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
                shape(own) == shape(&line)
            })
            .unwrap()
            .1;
        let server = all.rig.server(Access::Everything);
        let headers = match line.ends_with("/check") {
            true => [FULL[0], "Content-Type: application/toml"],
            false => FULL,
        };
        let (status, answer) = head(&server, &line, &headers).await;
        assert!(
            ![401, 403, 404, 405, 415, 421].contains(&status),
            "{line}: {answer}"
        );
        if method != "GET" && !line.ends_with("/resume") {
            let session = all.relay().session(all.id.into());
            let is_cut = session.is_none_or(|session| session.close_requested().is_some());
            let relay = all.relay();
            until(|| {
                is_cut
                    || relay.is_paused()
                    || relay.is_draining()
                    || all.faults.load(Ordering::SeqCst)
                    || all.done.count() > 0
            })
            .await;
        }
    }
}
