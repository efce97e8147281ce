//! Where clients, relay and server are: all on loopback, or each in a network namespace of its own, the relay
//! between the others.

use std::{env, fs, net::IpAddr, os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, ensure};

/// Addresses for benchmarks (RFC 2544): two networks of two.
const RELAY_TO_CLIENT: &str = "198.18.0.1";
const CLIENT: &str = "198.18.0.2";
const RELAY_TO_SERVER: &str = "198.18.0.5";
const SERVER: &str = "198.18.0.6";
const LOOPBACK: &str = "127.0.0.1";

/// Set in the network namespace of this program.
const INSIDE: &str = "COUPLET_BENCH_NAMESPACE";

/// A connection that has ended occupies its port for a minute (`TIME_WAIT`). Where each request makes a connection,
/// all ports would be occupied after two seconds, and each further connection would wait for one: with 1 in this file
/// they are used again.
const REUSE: &str = "/proc/sys/net/ipv4/tcp_tw_reuse";

#[derive(Debug)]
pub(crate) struct Place {
    /// Where the relay listens.
    pub(crate) relay: IpAddr,
    pub(crate) server: IpAddr,
    /// Of the clients and of the server; none on loopback.
    namespaces: Option<[Namespace; 2]>,
}

/// A network namespace, linked to that of this process; gone when dropped.
#[derive(Debug)]
struct Namespace(String);

// ===== impl Place =====

impl Place {
    /// Loopback, or network namespaces.
    pub(crate) fn new(veth: bool) -> anyhow::Result<Self> {
        match veth {
            true => Self::namespaces(),
            false => Ok(Self::loopback()),
        }
    }

    fn loopback() -> Self {
        Self {
            relay: address(LOOPBACK),
            server: address(LOOPBACK),
            namespaces: None,
        }
    }

    fn namespaces() -> anyhow::Result<Self> {
        if env::var_os(INSIDE).is_none() {
            return Err(run_inside());
        }
        ip("link set lo up")?;
        fs::write(REUSE, "1").context(REUSE)?;
        Ok(Self {
            relay: address(RELAY_TO_CLIENT),
            server: address(SERVER),
            namespaces: Some([
                Namespace::linked("c", RELAY_TO_CLIENT, CLIENT)?,
                Namespace::linked("s", RELAY_TO_SERVER, SERVER)?,
            ]),
        })
    }

    /// The server's network namespace, as a file.
    pub(crate) fn server_namespace(&self) -> Option<PathBuf> {
        let [_, server] = self.namespaces.as_ref()?;
        Some(["/run/netns", &server.0].iter().collect())
    }

    pub(crate) fn at_client(&self, command: &Command) -> Command {
        self.within(0, command)
    }

    pub(crate) fn at_server(&self, command: &Command) -> Command {
        self.within(1, command)
    }

    fn within(&self, which: usize, command: &Command) -> Command {
        let mut within = match &self.namespaces {
            None => Command::new(command.get_program()),
            Some(namespaces) => {
                let mut within = Command::new("ip");
                within.args(["netns", "exec", &namespaces[which].0]);
                within.arg(command.get_program());
                within
            }
        };
        within.args(command.get_args());
        within
    }
}

/// Runs this program anew in a network namespace of its own, whose settings are not the machine's. Returns if it can't.
fn run_inside() -> anyhow::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    let mut inside = Command::new("unshare");
    inside.arg("--net").arg("--").arg(program);
    inside.args(env::args_os().skip(1)).env(INSIDE, "1");
    let error = inside.exec();
    anyhow::Error::new(error)
        .context("`unshare` can't be started (Debian: apt-get install util-linux)")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("it is an address")
}

// ===== impl Namespace =====

impl Namespace {
    /// Makes one with a link between these two addresses.
    fn linked(suffix: &str, here: &str, there: &str) -> anyhow::Result<Self> {
        let name = format!("cb{}{suffix}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let namespace = Self(name);
        let name = &namespace.0;
        ip(&format!(
            "link add {name}h type veth peer name {name}p netns {name}"
        ))?;
        ip(&format!("addr add {here}/30 dev {name}h"))?;
        ip(&format!("link set {name}h up"))?;
        ip(&format!("-n {name} addr add {there}/30 dev {name}p"))?;
        ip(&format!("-n {name} link set {name}p up"))?;
        ip(&format!("-n {name} route add default via {here}"))?;
        let mut set = Command::new("ip");
        set.args(["netns", "exec", name, "sh", "-c"]);
        set.arg(format!("echo 1 >{REUSE}"));
        let status = set.status().context("`ip` can't be started")?;
        ensure!(status.success(), "{REUSE} can't be written");
        Ok(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The link goes with it.
        let _ = ip(&format!("netns del {}", self.0));
    }
}

fn ip(args: &str) -> anyhow::Result<()> {
    let output = Command::new("ip").args(args.split(' ')).output();
    let output = output.context("`ip` can't be started (Debian: apt-get install iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`ip {args}` failed, as root it does not: {}",
        said.trim()
    );
    Ok(())
}
