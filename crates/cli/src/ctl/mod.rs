//! `couplet ctl` and `couplet health`: asks a running Couplet over its admin endpoint.

mod client;
pub(crate) mod top;

pub(crate) use self::client::{Client, EndpointArgs};

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use couplet_admin::LogLevel;

use crate::{mistake::Mistake, units::duration};

/// Asks a running Couplet over its admin endpoint.
#[derive(Debug, clap::Args)]
pub(crate) struct CtlArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,

    #[command(subcommand)]
    action: Action,
}

/// Asks whether a running Couplet accepts connections.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,

    /// Ask for this relay alone
    #[arg(long, value_name = "NAME")]
    relay: Option<String>,

    /// Ask also for a target that is up, where a side has several or checks
    #[arg(long)]
    targets: bool,

    /// Ask also for this generation of the file, or a later one
    #[arg(long, value_name = "NUMBER")]
    generation: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the relays, with their pairs and bytes
    Status,
    /// List live pairs
    Pairs(PairsArgs),
    /// Reset pairs: by their numbers, or those that match a filter
    Cut(CutArgs),
    /// Write the bytes of a live pair to standard output, from now on, as packets for Wireshark (pcapng)
    Capture {
        #[arg(value_name = "NUMBER")]
        id: u64,
    },
    /// Accept no more connections; clients wait in the accept queue
    Pause { relay: String },
    /// Accept connections again
    Resume { relay: String },
    /// Read the configuration again: apply all of it, or change nothing and list all mistakes
    Reload,
    /// Accept no more connections, let the pairs end, and end the relay
    Drain { relay: String },
    /// Print the running configuration, without secrets
    Config {
        /// As command lines
        #[arg(long)]
        commands: bool,
    },
    /// Switch the faults of a relay on or off
    Faults {
        relay: String,
        #[arg(value_name = "on|off", action = clap::ArgAction::Set, value_parser = on_or_off())]
        on: bool,
    },
    /// Set the level of the log: error, warn, info, debug or trace
    Log {
        #[arg(value_parser = LogLevel::ALL.map(LogLevel::name))]
        level: String,
    },
    /// End the process as SIGTERM does: accept no more connections, and let the pairs end
    Stop {
        /// End the pairs at once
        #[arg(long)]
        now: bool,
    },
}

#[derive(Debug, clap::Args)]
struct PairsArgs {
    #[command(flatten)]
    filter: Filter,

    /// Sort by this, the largest first
    #[arg(long, value_name = "ORDER", value_parser = ["age", "rate", "bytes", "stall", "idle"])]
    sort: Option<String>,

    /// List at most NUMBER pairs [default: 100]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u32>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct CutArgs {
    /// The numbers of pairs
    #[arg(value_name = "NUMBER")]
    ids: Vec<u64>,

    #[command(flatten)]
    filter: Filter,

    /// Cut all pairs
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Of this relay
    #[arg(long, value_name = "NAME")]
    relay: Option<String>,

    /// With this text in an address
    #[arg(long, value_name = "TEXT")]
    addr: Option<String>,

    /// With a peer of this proven identity
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,

    /// Live for TIME or longer
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older: Option<Duration>,

    /// Idle for TIME or longer
    #[arg(long, value_name = "TIME", value_parser = duration)]
    idle: Option<Duration>,

    /// Joined since the last reload that has changed their relay, or before
    #[arg(long, value_name = "current|older", value_parser = ["current", "older"])]
    generation: Option<String>,
}

// ===== impl CtlArgs =====

impl CtlArgs {
    /// What clap does not see: words that contradict each other, or choose nothing.
    pub(crate) fn check(&self) -> Result<(), Mistake> {
        match &self.action {
            Action::Cut(cut) => cut.check(),
            _ => Ok(()),
        }
    }

    pub(crate) fn run(&self, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let client = self.endpoint.client()?;
        match &self.action {
            Action::Status => out.write_all(client.get("/", "text/plain")?.as_bytes())?,
            Action::Pairs(pairs) => {
                let mut query = pairs.filter.query();
                query.add("sort", pairs.sort.as_ref());
                query.add("limit", pairs.limit.as_ref());
                let accept = if pairs.json {
                    "application/json"
                } else {
                    "text/plain"
                };
                let listed = client.get(&query.path("/v1/pairs"), accept)?;
                writeln!(out, "{}", listed.trim_end())?;
            }
            Action::Cut(cut) => writeln!(out, "{} cut", cut.run(&client)?)?,
            Action::Capture { id } => {
                let path = format!("/v1/pairs/{id}/capture");
                let mut out = std::io::stdout();
                if out.is_terminal() {
                    let right =
                        format!("`couplet ctl capture {id} | wireshark -k -i -`, or a file");
                    return Err(Mistake::new("packets are not for a terminal", right).into());
                }
                client.stream(&path, &mut out)?;
            }
            Action::Pause { relay } => tell(&client, relay, "pause", out)?,
            Action::Resume { relay } => tell(&client, relay, "resume", out)?,
            Action::Reload => {
                let answer = client.change("POST", "/v1/reload")?;
                writeln!(out, "generation {}", answer["generation"])?;
                for what in ["changed", "added", "gone", "same"] {
                    let names = answer[what].as_array().into_iter().flatten();
                    let names: Vec<_> = names.filter_map(|name| name.as_str()).collect();
                    if !names.is_empty() {
                        writeln!(out, "{what}: {}", names.join(", "))?;
                    }
                }
            }
            Action::Drain { relay } => tell(&client, relay, "drain", out)?,
            Action::Config { commands } => {
                let path = match commands {
                    true => "/v1/config?as=commands",
                    false => "/v1/config",
                };
                out.write_all(client.get(path, "*/*")?.as_bytes())?;
            }
            Action::Faults { relay, on } => {
                let path = format!("/v1/relays/{}/faults?on={on}", encoded(relay));
                client.change("POST", &path)?;
                writeln!(out, "{relay}: faults {}", if *on { "on" } else { "off" })?;
            }
            Action::Log { level } => {
                let mut query = Query::default();
                query.add("level", Some(level));
                client.change("POST", &query.path("/v1/log"))?;
                writeln!(out, "log: {level}")?;
            }
            Action::Stop { now } => {
                let path = if *now { "/v1/stop" } else { "/v1/drain" };
                let answer = client.change("POST", path)?;
                writeln!(out, "{}", answer["state"].as_str().unwrap_or("done"))?;
            }
        }
        Ok(())
    }
}

fn on_or_off() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|word| word == "on")
}

fn tell(client: &Client, relay: &str, verb: &str, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let path = format!("/v1/relays/{}/{verb}", encoded(relay));
    let answer = client.change("POST", &path)?;
    let state = answer["state"].as_str().unwrap_or("done");
    writeln!(out, "{relay}: {state}")?;
    Ok(())
}

// ===== impl CutArgs =====

impl CutArgs {
    fn check(&self) -> Result<(), Mistake> {
        let is_filtered = !self.filter.query().0.is_empty();
        match (self.ids.is_empty(), is_filtered) {
            (false, true) => Err(Mistake::new(
                "pairs are chosen by their numbers and by a filter",
                "leave one of them out",
            )),
            (true, false) if !self.all => Err(Mistake::new(
                "no pair is chosen",
                "numbers of pairs, a filter such as `--older=1h`, or `--all`",
            )),
            _ => Ok(()),
        }
    }

    fn run(&self, client: &Client) -> anyhow::Result<u64> {
        if !self.ids.is_empty() {
            for id in &self.ids {
                client.change("DELETE", &format!("/v1/pairs/{id}"))?;
            }
            return Ok(self.ids.len() as u64);
        }
        let mut query = self.filter.query();
        query.add("all", self.all.then_some("true").as_ref());
        let answer = client.change("DELETE", &query.path("/v1/pairs"))?;
        Ok(answer["cut"].as_u64().unwrap_or(0))
    }
}

// ===== impl HealthArgs =====

impl HealthArgs {
    pub(crate) fn run(&self, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut query = Query::default();
        query.add("relay", self.relay.as_ref());
        query.add("targets", self.targets.then_some(&true));
        query.add("generation", self.generation.as_ref());
        let client = self.endpoint.client()?;
        client.get(&query.path("/ready"), "application/json")?;
        writeln!(out, "ready")?;
        Ok(())
    }
}

// ===== impl Filter =====

/// The query of a path.
#[derive(Debug, Default)]
struct Query(String);

impl Filter {
    fn query(&self) -> Query {
        let mut query = Query::default();
        query.add("relay", self.relay.as_ref());
        query.add("addr", self.addr.as_ref());
        query.add("identity", self.identity.as_ref());
        let time = |time: Option<Duration>| time.map(|time| format!("{}ms", time.as_millis()));
        query.add("older", time(self.older).as_ref());
        query.add("idle", time(self.idle).as_ref());
        query.add("generation", self.generation.as_ref());
        query
    }
}

impl Query {
    fn add(&mut self, name: &str, value: Option<&impl ToString>) {
        if let Some(value) = value {
            self.0.push(if self.0.is_empty() { '?' } else { '&' });
            self.0 += &format!("{name}={}", encoded(&value.to_string()));
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{path}{}", self.0)
    }
}

/// A text as a part of a URL.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let filter = Filter {
            relay: Some("ssh".into()),
            addr: None,
            identity: Some("a b&c".into()),
            older: Some(Duration::from_secs(90)),
            idle: None,
            generation: Some("older".into()),
        };
        let path = filter.query().path("/v1/pairs");
        assert_eq!(
            path,
            "/v1/pairs?relay=ssh&identity=a%20b%26c&older=90000ms&generation=older"
        );
        assert_eq!(Query::default().path("/ready"), "/ready");
    }
}
