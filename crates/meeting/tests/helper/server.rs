//! Servers of the test's own: Debian's redis-server, and the valkey-server that `tests/run` installs.

use std::{net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::process::{Child, Command};

/// What is run as a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    Redis,
    Valkey,
}

pub(crate) struct Server {
    folder: TempDir,
    program: Program,
    args: Vec<String>,
    port: u16,
    child: Option<Child>,
}

// ===== impl Program =====

impl Program {
    fn path(self) -> PathBuf {
        match self {
            Self::Redis => "redis-server".into(),
            Self::Valkey => {
                let test = std::env::current_exe().expect("a test has a program");
                let target = test.ancestors().nth(3).expect("in `target/PROFILE/deps`");
                target.join("python/bin/valkey-server")
            }
        }
    }
}

// ===== impl Server =====

impl Server {
    /// Starts a server at a Unix socket with these arguments more.
    pub(crate) async fn start(program: Program, args: &[&str]) -> Self {
        Self::with(program, 0, args).await
    }

    /// The same, at a port of loopback, too.
    pub(crate) async fn at_port(program: Program, args: &[&str]) -> Self {
        Self::with(program, free_port(), args).await
    }

    async fn with(program: Program, port: u16, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let mut server = Self {
            folder,
            program,
            args: args.iter().map(ToString::to_string).collect(),
            port,
            child: None,
        };
        server.restart().await;
        server
    }

    /// A sentinel that watches this server as `main`.
    pub(crate) async fn sentinel(program: Program, master: &Self) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the sentinel");
        let file = folder.path().join("sentinel.conf");
        let watched = format!(
            "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 1000\n\
             sentinel failover-timeout main 5000\n",
            master.port
        );
        std::fs::write(&file, watched).expect("the folder can be written to");
        let file = file.display().to_string();
        let mut sentinel = Self {
            folder,
            program,
            args: vec![file, "--sentinel".into()],
            port: free_port(),
            child: None,
        };
        sentinel.restart().await;
        sentinel
    }

    /// A cluster of three servers, each with a third of the keys.
    pub(crate) async fn cluster(program: Program) -> [Self; 3] {
        let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let start = || Self::at_port(program, &args);
        let servers = [start().await, start().await, start().await];
        const SLOTS: [[&str; 2]; 3] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
        for (server, [first, last]) in servers.iter().zip(SLOTS) {
            server.run(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
            let first = servers[0].port();
            server.run(&["CLUSTER", "MEET", "127.0.0.1", &first]).await;
        }
        for server in &servers {
            let is_whole = async || {
                let info = server.run(&["CLUSTER", "INFO"]).await;
                let info = redis::from_redis_value::<String>(info).expect("it is text");
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            while !is_whole().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        servers
    }

    /// One that wants certificates of its clients, and the folder with the certificates.
    #[cfg(feature = "redis-tls")]
    pub(crate) async fn by_tls() -> (Self, TempDir) {
        let folder = tempfile::tempdir().expect("a folder for the files");
        certificates(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let port = free_port();
        let [number, ca] = [port.to_string(), file("ca.pem")];
        let [certificate, key] = [file("server.pem"), file("server.key")];
        let args = [
            ["--tls-port", &number],
            ["--tls-ca-cert-file", &ca],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
        ];
        let mut server = Self::with(Program::Redis, 0, &args.concat()).await;
        server.port = port;
        (server, folder)
    }

    /// The address.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
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
        let program = self.program.path();
        let mut command = Command::new(&program);
        // A sentinel's file comes first.
        command
            .args(&self.args)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--protected-mode", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let child = command.spawn();
        let program = program.display();
        self.child =
            Some(child.unwrap_or_else(|error| {
                panic!("{program} is needed, tests/run installs it: {error}")
            }));
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

/// A port of loopback that is free now, also for what a server of a cluster adds to it.
fn free_port() -> u16 {
    loop {
        let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let port = socket.local_addr().expect("it is bound").port();
        if port < 50_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// A CA with a server and a client, and another CA.
#[cfg(feature = "redis-tls")]
fn certificates(folder: &std::path::Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let ca = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let issuer = ca();
    write("ca.pem", issuer.pem());
    write("other.pem", ca().pem());
    write("client.key.txt", "no key\n".into());
    for (name, of) in [("server", "localhost"), ("client", "node.test")] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([of.to_owned()]).unwrap();
        // Not that of its CA, as one by default.
        params.distinguished_name.push(DnType::CommonName, of);
        let signed = params.signed_by(&key, &issuer).unwrap();
        write(&format!("{name}.pem"), signed.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
