//! A real browser: Chromium, driven by its own WebDriver server.

use std::{io::Write, process::Command};

use couplet_tests::{
    Process, finish, need,
    net::{free_port, listens},
    program, until,
};
use serde_json::{Value, json};

/// A page of Chromium without a window.
pub(crate) struct Browser {
    session: String,
    _driver: Process,
}

impl Browser {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments of Chromium's.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        let port = free_port();
        let mut driver = Command::new(need("chromedriver"));
        driver.arg(format!("--port={port}"));
        let driver = Process::spawn("chromedriver", &mut driver);
        let base = format!("http://127.0.0.1:{port}");
        let chromium = need("chromium");
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
            "--hide-scrollbars",
        ];
        let args = [&args[..], more].concat();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": chromium,
                "args": args,
            },
        }}});
        listens(port);
        let session = until("a session of the browser", || {
            let answer = call("POST", &format!("{base}/session"), &wanted);
            let id = answer["value"]["sessionId"].as_str()?;
            Some(format!("{base}/session/{id}"))
        });
        Self {
            session,
            _driver: driver,
        }
    }

    fn call(&self, path: &str, body: &Value) -> Value {
        let answer = call("POST", &format!("{}/{path}", self.session), body);
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }

    pub(crate) fn open(&self, url: &str) {
        self.call("url", &json!({"url": url}));
    }

    /// What a body of a function in JavaScript returns.
    pub(crate) fn script(&self, body: &str) -> Value {
        self.call("execute/sync", &json!({"script": body, "args": []}))
    }

    /// The text of the element with this id.
    pub(crate) fn text(&self, id: &str) -> String {
        let script = format!("return document.getElementById('{id}').innerText");
        self.script(&script).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn until(&self, what: &str, script: &str) {
        until(what, || (self.script(script) == true).then_some(()));
    }

    /// A command of the DevTools.
    pub(crate) fn devtools(&self, command: &str, params: &Value) -> Value {
        self.call(
            "goog/cdp/execute",
            &json!({"cmd": command, "params": params}),
        )
    }

    /// What stands in the console, errors and warnings alike.
    pub(crate) fn console(&self) -> Vec<Value> {
        let log = self.call("se/log", &json!({"type": "browser"}));
        log.as_array().cloned().unwrap_or_default()
    }

    /// A picture of the whole page, as PNG in base64.
    pub(crate) fn screenshot(&self) -> String {
        let params = json!({"captureBeyondViewport": true});
        let shot = self.devtools("Page.captureScreenshot", &params);
        shot["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        call("DELETE", &self.session, &Value::Null);
    }
}

fn call(method: &str, url: &str, body: &Value) -> Value {
    let mut curl = program("curl");
    curl.args([
        "-sS",
        "--max-time",
        "30",
        "-X",
        method,
        "-H",
        "Content-Type: application/json",
    ]);
    // A script may be longer than an argument can be.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    if !body.is_null() {
        file.write_all(body.to_string().as_bytes()).unwrap();
        curl.args(["--data-binary", &format!("@{}", file.path().display())]);
    }
    serde_json::from_str(&finish("curl", curl.arg(url)).log).unwrap_or(Value::Null)
}
