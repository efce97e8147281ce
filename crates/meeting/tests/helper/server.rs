//! A server of the test's own: Debian's redis-server, or another program that is named.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The program: another may be named, such as valkey-server.
const PROGRAM: &str = "COUPLET_TEST_REDIS";

pub(crate) struct Server {
    folder: TempDir,
    args: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with these arguments more.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let mut server = Self {
            folder,
            args: args.iter().map(ToString::to_string).collect(),
            child: None,
        };
        server.restart().await;
        server
    }

    /// The address.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Kills the server (SIGKILL), if it runs.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it can be killed");
        }
    }

    /// Starts it again, with nothing in it.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "redis-server".into());
        let mut command = Command::new(&program);
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.args)
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{program} is needed: {error}")));
        let answers = async {
            // An error that it sends is an answer, too: it may ask for a password.
            while let Err(error) = self.try_run(&["PING"]).await
                && error.is_io_error()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(20), answers).await;
        answered.expect("the server answers");
    }

    /// Runs a command on the server.
    pub(crate) async fn run(&self, words: &[&str]) -> redis::Value {
        let answer = self.try_run(words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn try_run(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut conn = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut conn).await
    }
}
