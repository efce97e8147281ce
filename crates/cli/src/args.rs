//! The command line.

use std::{num::NonZeroUsize, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use couplet_connector::endpoint::{KeepAlive, Side};

use crate::{
    run::{Plan, Traffic},
    side::{EndpointSpec, SideSpec},
    units::{Limit, Threads, duration, keep_alive, limit, threads},
};

/// What stands below the help.
pub(crate) const NOTES: &str = "\
A side is where it comes from, then its options in the order a connection meets them:
  listen:[HOST:]PORT   others connect to us; without HOST from this machine alone, `*` from anywhere
  dial:HOST:PORT       we connect to it

  keep-alive=IDLE/INTERVAL/COUNT|off  user-timeout=TIME|off  token=@FILE
  listen: reuse-port                  dial: connect-timeout=TIME  source=IP
A token is a secret first line: on `listen` the peer must send it, on `dial` we do.

Examples:
  couplet listen:127.0.0.1:9000 listen:127.0.0.1:8000   join two clients, first come, first joined
  couplet listen:*:2222 dial:192.0.2.7:22               forward a port
  couplet dial:relay.example.org:9000 dial:127.0.0.1:22 --reconnect
                                                        offer ssh from behind a NAT
  couplet listen:*:9000,token=@a.secret listen:8000     who comes to 9000 must know the secret
  couplet listen:8080 dial:localhost:80 --log-traffic=hex

Times are like 500ms, 30s, 5m, 1h30m; where it makes sense, never.
Exit status: 0 done or drained, 1 could not do it, 2 wrong usage.
SIGTERM and SIGINT drain; a second one ends at once.";

/// Joins two connections into one, whichever way round each of them comes
#[derive(Debug, Parser)]
#[command(
    name = "couplet",
    version,
    about,
    long_about = None,
    after_help = NOTES,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[arg(
        value_name = "A",
        required = true,
        help = "Side A: listen:[HOST:]PORT or dial:HOST:PORT, then ,option[=value]…"
    )]
    a: Option<String>,

    /// Side B, likewise
    #[arg(value_name = "B", required = true)]
    b: Option<String>,

    /// Taken only to be refused in words that help
    #[arg(hide = true)]
    surplus: Vec<String>,

    /// Probe idle connections: IDLE/INTERVAL/COUNT or off [default: 60s/10s/5]
    #[arg(long, value_name = "PROBES", value_parser = keep_alive)]
    keep_alive: Option<Limit<KeepAlive>>,

    /// Give a peer up that takes no data for so long, or off [default: off]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    user_timeout: Option<Limit<Duration>>,

    /// How long dialling may take, look-up included [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    connect_timeout: Option<Duration>,

    /// How long a side's token may take, or never [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    handshake_timeout: Option<Limit<Duration>>,

    /// How long a connection waits for its partner, or never [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    wait_timeout: Option<Limit<Duration>>,

    /// End a pair when one side has ended and the other is idle so long, or never
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "60s")]
    half_close_timeout: Limit<Duration>,

    /// End a pair that is idle so long, or never
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "never")]
    idle_timeout: Limit<Duration>,

    /// End a pair that has lasted so long, or never
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "never")]
    max_lifetime: Limit<Duration>,

    /// When told to stop, give live pairs so long to end, or never end them
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "30s")]
    drain_timeout: Limit<Duration>,

    /// Join at most so many pairs at a time [default: any number]
    #[arg(long, value_name = "NUMBER", conflicts_with = "once")]
    max_pairs: Option<NonZeroUsize>,

    /// Join one pair, then exit
    #[arg(long)]
    once: bool,

    /// Exit once no pair has been live for so long
    #[arg(long, value_name = "TIME", value_parser = duration)]
    exit_when_idle: Option<Duration>,

    /// Dial both sides again when their pair has ended
    #[arg(long, conflicts_with = "once")]
    reconnect: bool,

    /// How many threads move bytes, or auto: one for each core
    #[arg(long, value_name = "NUMBER", value_parser = threads, default_value = "auto")]
    threads: Threads,

    /// Show what the two sides say to each other
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    log_traffic: Option<TrafficFormat>,

    /// Log more; twice, everything
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Log warnings and errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) tool: Option<Tool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Print the man page
    Man,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum TrafficFormat {
    Text,
    Hex,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

// ===== impl Args =====

impl Args {
    /// What is to be done; or what is wrong, and what would be right.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        self.refuse_surplus()?;
        let mut a = self.side(Side::A, self.a.as_deref())?;
        let mut b = self.side(Side::B, self.b.as_deref())?;
        self.refuse_idle_flags(&a, &b)?;
        for side in [&mut a, &mut b] {
            side.inherit(self.keep_alive, self.user_timeout, self.connect_timeout);
        }
        let default = |given: Option<Limit<Duration>>, default: Duration| {
            given.map_or(Some(default), Limit::get)
        };
        Ok(Plan {
            a,
            b,
            handshake_timeout: default(self.handshake_timeout, Duration::from_secs(10)),
            wait_timeout: default(self.wait_timeout, Duration::from_secs(5 * 60)),
            half_close_timeout: self.half_close_timeout.get(),
            idle_timeout: self.idle_timeout.get(),
            max_lifetime: self.max_lifetime.get(),
            drain_timeout: self.drain_timeout.get(),
            max_pairs: self.max_pairs.map(NonZeroUsize::get),
            once: self.once,
            exit_when_idle: self.exit_when_idle,
            reconnect: self.reconnect,
            threads: self.threads,
            traffic: self.log_traffic.map(|format| Traffic {
                format,
                log: self.log_format,
            }),
        })
    }

    fn side(&self, side: Side, given: Option<&str>) -> Result<SideSpec, String> {
        // Clap has seen to it that it is there.
        given
            .unwrap_or_default()
            .parse()
            .map_err(|error| format!("side {side}: {error:#}"))
    }

    fn refuse_surplus(&self) -> Result<(), String> {
        match self.surplus.first() {
            None => Ok(()),
            Some(word) if TrafficFormat::from_str(word, true).is_ok() => Err(format!(
                "a format is joined to its flag: `--log-traffic={word}`"
            )),
            Some(word) => Err(format!(
                "there are two sides, and `{}` is one too many",
                word.escape_debug()
            )),
        }
    }

    /// A flag that would do nothing here is a mistake.
    fn refuse_idle_flags(&self, a: &SideSpec, b: &SideSpec) -> Result<(), String> {
        let dialled = [a, b].map(|side| matches!(side.endpoint, EndpointSpec::Dial { .. }));
        let any_dialled = dialled.contains(&true);
        let all_dialled = dialled == [true, true];
        let both_wait = !any_dialled || (dialled == [true, false] && self.once);
        let idle_flags = [
            (
                self.connect_timeout.is_some() && !any_dialled,
                "--connect-timeout",
                "neither side is dialled",
            ),
            (
                self.handshake_timeout.is_some() && a.token.is_none() && b.token.is_none(),
                "--handshake-timeout",
                "neither side has a token",
            ),
            (
                self.wait_timeout.is_some() && !both_wait,
                "--wait-timeout",
                "no connection waits: its partner is dialled for it",
            ),
            (
                self.max_pairs.is_some() && all_dialled,
                "--max-pairs",
                "both sides are dialled, so there is one pair at a time",
            ),
            (
                self.reconnect && !all_dialled,
                "--reconnect",
                "it is for two dialled sides; a listening one goes on by itself",
            ),
        ];
        match idle_flags.iter().find(|(idle, ..)| *idle) {
            Some((_, flag, why)) => Err(format!("{flag} would do nothing here: {why}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn plan(args: &[&str]) -> Result<Plan, String> {
        Args::try_parse_from([&["couplet"], args].concat())
            .map_err(|error| error.to_string())?
            .plan()
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_flag_that_would_do_nothing_is_refused() {
        for (args, flag) in [
            (
                &["listen:1", "listen:2", "--connect-timeout=1s"][..],
                "--connect-timeout",
            ),
            (
                &["listen:1", "listen:2", "--handshake-timeout=1s"],
                "--handshake-timeout",
            ),
            (
                &["listen:1", "dial:h:2", "--wait-timeout=1s"],
                "--wait-timeout",
            ),
            (
                &["dial:h:1", "listen:2", "--wait-timeout=1s"],
                "--wait-timeout",
            ),
            (&["dial:h:1", "dial:h:2", "--max-pairs=3"], "--max-pairs"),
            (&["listen:1", "dial:h:2", "--reconnect"], "--reconnect"),
            (&["dial:h:1", "dial:h:2", "--reconnect", "--once"], "--once"),
            (
                &["listen:1", "listen:2", "--once", "--max-pairs=2"],
                "--once",
            ),
            (&["listen:1", "listen:2", "-q", "-v"], "--quiet"),
            (&["listen:1", "listen:2", "listen:3"], "`listen:3`"),
            (
                &["listen:1", "listen:2", "--log-traffic", "hex"],
                "--log-traffic=hex",
            ),
        ] {
            let error = plan(args).unwrap_err();
            assert!(error.contains(flag), "{args:?}: {error}");
        }
        assert!(plan(&["dial:h:1", "listen:2", "--once", "--wait-timeout=1s"]).is_ok());
        assert!(plan(&["dial:h:1", "dial:h:2", "--reconnect"]).is_ok());
    }

    #[test]
    fn a_sides_own_option_wins_over_the_flag() {
        let plan = plan(&[
            "listen:1,user-timeout=5s",
            "listen:2,keep-alive=off",
            "--user-timeout=7s",
            "--keep-alive=1s/2s/3",
        ])
        .unwrap();
        let probes = KeepAlive::new()
            .idle(Duration::from_secs(1))
            .interval(Duration::from_secs(2))
            .count(3);
        assert_eq!(plan.a.user_timeout, Some(Limit::At(Duration::from_secs(5))));
        assert_eq!(plan.a.keep_alive, Some(Limit::At(probes)));
        assert_eq!(plan.b.user_timeout, Some(Limit::At(Duration::from_secs(7))));
        assert_eq!(plan.b.keep_alive, Some(Limit::Off));
    }
}
