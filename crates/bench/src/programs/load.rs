use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Context;

/// A load, and the programs that make and serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Load {
    /// iperf3: bytes one way, over this many connections.
    Bulk { streams: u32 },
    /// redis-benchmark: `GET` of 64 clients, over one connection each or with a connection each.
    Redis { keeps: bool },
    /// wrk: a page of nginx for 64 clients, in the same two ways.
    Web { keeps: bool },
}

/// What a program says it has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Done {
    pub(super) units: f64,
    pub(super) seconds: f64,
    /// The 99th percentile, in microseconds, if it is said.
    pub(super) p99: Option<f64>,
}

/// This many requests redis-benchmark makes for each second, over connections that stay or not: it counts
/// requests, and no time.
const KEPT_A_SECOND: u32 = 60_000;
const MADE_A_SECOND: u32 = 10_000;

// ===== impl Load =====

impl Load {
    pub(super) const ALL: [Self; 6] = [
        Self::Bulk { streams: 1 },
        Self::Bulk { streams: 8 },
        Self::Redis { keeps: true },
        Self::Redis { keeps: false },
        Self::Web { keeps: true },
        Self::Web { keeps: false },
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bulk { streams: 1 } => "iperf3-1",
            Self::Bulk { .. } => "iperf3-8",
            Self::Redis { keeps: true } => "redis",
            Self::Redis { keeps: false } => "redis-connect",
            Self::Web { keeps: true } => "wrk",
            Self::Web { keeps: false } => "wrk-connect",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Bulk { streams: 1 } => "iperf3, 1 stream",
            Self::Bulk { .. } => "iperf3, 8 streams",
            Self::Redis { keeps: true } => "redis-benchmark, GET × 64",
            Self::Redis { keeps: false } => "redis-benchmark, a connection each × 64",
            Self::Web { keeps: true } => "wrk × 64",
            Self::Web { keeps: false } => "wrk, a connection each × 64",
        }
    }

    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Bulk { .. } => &["iperf3"],
            Self::Redis { .. } => &["redis-server", "redis-benchmark"],
            Self::Web { .. } => &["nginx", "wrk"],
        }
    }

    /// What its rate is counted in.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Bulk { .. } => "GiB",
            Self::Redis { keeps: true } | Self::Web { keeps: true } => "requests",
            Self::Redis { .. } | Self::Web { .. } => "connections",
        }
    }

    pub(super) fn cpu_unit(self) -> &'static str {
        match self {
            Self::Bulk { .. } => "s/GiB",
            Self::Redis { keeps: true } | Self::Web { keeps: true } => "µs/request",
            Self::Redis { .. } | Self::Web { .. } => "µs/connection",
        }
    }

    /// The CPU time a unit, in that unit.
    pub(super) fn cpu(self, cpu: Duration, units: f64) -> f64 {
        match self {
            Self::Bulk { .. } => cpu.as_secs_f64() / units,
            Self::Redis { .. } | Self::Web { .. } => cpu.as_secs_f64() * 1e6 / units,
        }
    }

    pub(super) fn server(self, at: SocketAddr, folder: &Path) -> anyhow::Result<Command> {
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        Ok(match self {
            Self::Bulk { .. } => command("iperf3", &["-s", "-B", &ip, "-p", &port]),
            Self::Redis { .. } => command(
                "redis-server",
                &[
                    "--bind",
                    &ip,
                    "--port",
                    &port,
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--protected-mode",
                    "no",
                ],
            ),
            Self::Web { .. } => {
                let file = folder.join("web.conf");
                fs::write(&file, page(at, folder))?;
                command("nginx", &["-e", "stderr", "-c", &file.to_string_lossy()])
            }
        })
    }

    pub(super) fn client(self, at: SocketAddr, seconds: u32) -> Command {
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        match self {
            Self::Bulk { streams } => {
                let (seconds, streams) = (seconds.to_string(), streams.to_string());
                command(
                    "iperf3",
                    &[
                        "-c", &ip, "-p", &port, "-t", &seconds, "-P", &streams, "--json",
                    ],
                )
            }
            Self::Redis { keeps } => {
                let a_second = if keeps { KEPT_A_SECOND } else { MADE_A_SECOND };
                let (requests, keeps) = (
                    (seconds * a_second).to_string(),
                    u32::from(keeps).to_string(),
                );
                command(
                    "redis-benchmark",
                    &[
                        "-h", &ip, "-p", &port, "-c", "64", "-n", &requests, "-k", &keeps, "-t",
                        "get", "--csv",
                    ],
                )
            }
            Self::Web { keeps } => {
                let (url, time) = (format!("http://{at}/"), format!("{seconds}s"));
                let mut wrk = command("wrk", &["-t", "1", "-c", "64", "--latency", "-d", &time]);
                if !keeps {
                    wrk.args(["-H", "Connection: close"]);
                }
                wrk.arg(url);
                wrk
            }
        }
    }

    /// What the client says it has done.
    pub(super) fn done(self, said: &str) -> anyhow::Result<Done> {
        let done = match self {
            Self::Bulk { .. } => of_iperf3(said),
            Self::Redis { .. } => of_redis(said),
            Self::Web { .. } => of_wrk(said),
        };
        done.filter(|done| done.units > 0.0)
            .with_context(|| format!("it says: {}", said.trim()))
    }
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn of_iperf3(said: &str) -> Option<Done> {
    let said: serde_json::Value = serde_json::from_str(said).ok()?;
    let received = &said["end"]["sum_received"];
    Some(Done {
        units: received["bytes"].as_f64()? / f64::from(1 << 30),
        seconds: received["seconds"].as_f64()?,
        p99: None,
    })
}

/// `"GET","12345.67",…`: requests a second, then milliseconds, the last but one of which is the 99th
/// percentile.
fn of_redis(said: &str) -> Option<Done> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("\"GET\","))?;
    let mut figures = line
        .split(',')
        .map(|figure| figure.trim_matches('"').parse::<f64>());
    Some(Done {
        units: figures.next()?.ok()?,
        seconds: 1.0,
        p99: figures.nth_back(1)?.ok().map(|millis| millis * 1e3),
    })
}

/// `     99%    1.23ms` and `  12345 requests in 2.00s, 1.23MB read`
fn of_wrk(said: &str) -> Option<Done> {
    let line = said.lines().find(|line| line.contains(" requests in "))?;
    let (units, rest) = line.trim().split_once(" requests in ")?;
    let seconds = rest.split_once("s,")?.0;
    Some(Done {
        units: units.parse().ok()?,
        seconds: seconds.parse().ok()?,
        p99: said.lines().find_map(of_percentile),
    })
}

fn of_percentile(line: &str) -> Option<f64> {
    let time = line.trim().strip_prefix("99%")?.trim();
    let number = time.trim_end_matches(char::is_alphabetic);
    let micros = match &time[number.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * micros)
}

/// nginx as a web server with one short page.
fn page(at: SocketAddr, folder: &Path) -> String {
    format!(
        "daemon off;
worker_processes 1;
pid {pid};
error_log stderr emerg;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    keepalive_requests 100000000;
    server {{
        listen {at} backlog=4096;
        location / {{
            return 200 \"hello\";
        }}
    }}
}}
",
        pid = folder.join("web.pid").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_say_is_read() {
        let iperf3 = r#"{"end": {"sum_received": {"seconds": 2.0, "bytes": 2147483648}}}"#;
        let done = Load::ALL[0].done(iperf3).unwrap();
        assert_eq!((done.units, done.seconds), (2.0, 2.0));
        let redis = "\"test\",\"rps\"\n\"GET\",\"12345.50\",\"0.5\",\"2.75\",\"9.0\"\n";
        let done = Load::ALL[2].done(redis).unwrap();
        assert_eq!((done.units, done.p99), (12345.5, Some(2750.0)));
        let wrk =
            "     99%    1.25ms\n  400 requests in 2.00s, 60.00KB read\nRequests/sec:    200.00\n";
        let done = Load::ALL[4].done(wrk).unwrap();
        assert_eq!(
            (done.units, done.seconds, done.p99),
            (400.0, 2.0, Some(1250.0))
        );
    }

    #[test]
    fn a_program_that_got_nothing_through_is_an_error() {
        for load in Load::ALL {
            load.done("").unwrap_err();
        }
        let busy = r#"{"error": "the server is busy"}"#;
        let error = Load::ALL[0].done(busy).unwrap_err();
        assert!(error.to_string().contains("busy"), "{error}");
        let none = "  0 requests in 2.00s, 0.00B read\n";
        Load::ALL[4].done(none).unwrap_err();
    }
}
