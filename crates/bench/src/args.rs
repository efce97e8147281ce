//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

use crate::{
    count::Case,
    load::{Setting, Work},
    subject::Subject,
};

const MORE: &str = "\
Columns: bulk-1 bulk-16 duplex-1 duplex-16 request-64b-1 request-64b-64 request-64b-512
  request-4k-64 request-32k-64 connect-32 idle stuck pairing-32 start-up size
Relays:  couplet couplet-one-thread haproxy-splice haproxy-copy haproxy-two-threads nginx
  nginx-two-workers socat by-hand

--table tls:
  up down request-64b-64 full-32 resumed-32 idle
  of couplet-tls couplet-tls-one-thread haproxy-tls nginx-tls stunnel
--table growth:
  request-100 request-1k request-9k connect-100 connect-1k connect-9k join-100 join-1k join-9k
  of couplet couplet-one-thread haproxy-splice haproxy-copy nginx
--table layers:
  bulk-1 request-64b-64 connect-32 idle of couplet-ten-layers no-layers
--table mux:
  bulk-1000 duplex-1000 request-64b-64 connect-32 idle of couplet-mux each-by-tls

A name's beginning stands for all that begin so, unless it is a name itself:
  --columns bulk,request-64b --relays couplet,haproxy";

/// Measures Couplet beside the relays that people use instead
#[derive(Debug, Parser)]
#[command(
    name = "couplet-bench",
    version,
    about,
    after_help = MORE,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) tool: Option<Tool>,

    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// What the table is made of.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TableArgs {
    /// One round of very little work: shows that it works, and no more
    #[arg(long)]
    pub(crate) quick: bool,

    /// What is measured
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Subject::Relays)]
    pub(crate) table: Subject,

    /// Clients and backend each in a network namespace of its own, the relay between them: as root
    #[arg(long)]
    pub(crate) veth: bool,

    /// Which columns [default: all of the table]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,

    /// Which relays [default: all of the table that are installed]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) relays: Vec<String>,

    /// How often each cell is measured [default: 4, or 1 if quick]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,

    /// About how long a fast relay takes for a cell's work, in seconds [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,

    /// Where to write the table and its chart [default: docs/, if the table is whole]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// The Cargo profile to measure
    #[arg(long, value_name = "NAME", default_value = "release")]
    pub(crate) profile: String,
}

/// What the check by other programs is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProgramsArgs {
    /// Which loads [default: all]: iperf3-1 iperf3-8 redis redis-connect wrk wrk-connect
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) loads: Vec<String>,

    /// Which relays [default: couplet, haproxy and nginx, in all their kinds]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) relays: Vec<String>,

    /// Clients and server each in a network namespace of its own, the relay between them: as root
    #[arg(long)]
    pub(crate) veth: bool,

    /// How often each is measured
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,

    /// How long each is measured, about, in seconds
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,

    /// The Cargo profile to measure
    #[arg(long, value_name = "NAME", default_value = "release")]
    pub(crate) profile: String,
}

/// What the soak is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SoakArgs {
    /// How long it runs, in minutes
    #[arg(long, value_name = "NUMBER", default_value_t = 10.0)]
    pub(crate) minutes: f64,

    /// End when this many connections were made, if that is before
    #[arg(long, value_name = "NUMBER")]
    pub(crate) connections: Option<u64>,

    /// How many connections of each setup are open at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    pub(crate) parallel: usize,

    /// Where to write soak.md and soak.svg [default: nowhere]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// The Cargo profile to run
    #[arg(long, value_name = "NAME", default_value = "release")]
    pub(crate) profile: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Count instructions, allocations and system calls of a connection's life, of a round trip, and
    /// of pairing
    Count {
        /// How many connections wait where the pairing is counted
        #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
        waiting: u64,

        /// The Cargo profile of the command whose system calls are counted
        #[arg(long, value_name = "NAME", default_value = "release")]
        profile: String,
    },
    /// Measure the rendezvous by key: what a waiting connection holds, and how long a join takes
    Keyed {
        /// Few connections: shows that it works, and no more
        #[arg(long)]
        quick: bool,

        /// The Cargo profile to measure
        #[arg(long, value_name = "NAME", default_value = "release")]
        profile: String,
    },
    /// Measure by programs that are not ours: iperf3, redis-benchmark and wrk through each relay
    Programs(ProgramsArgs),
    /// Run for long, through every mode and many layers: is anything lost, does anything grow?
    Soak(SoakArgs),
    /// A relay of the soak
    #[command(hide = true)]
    SoakLibrary {
        listen: SocketAddr,
        dial: SocketAddr,
    },
    /// The load generator: a process of its own, told what to do by the driver
    #[command(hide = true)]
    Load {
        #[command(flatten)]
        setting: Setting,

        #[command(subcommand)]
        work: Work,
    },
    /// What is run under callgrind
    #[command(hide = true)]
    Live { case: Case, times: u64 },
}

// ===== impl TableArgs =====

impl TableArgs {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 4 })
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 0.02 } else { 1.0 })
    }

    /// Is it all there is to measure, with the work that makes it worth keeping?
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick
            && self.columns.is_empty()
            && self.relays.is_empty()
            && self.profile == "release"
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number from 0.001 to 60".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_column_and_relay() {
        let amount = crate::columns::Amount {
            seconds: 1.0,
            quick: false,
        };
        for table in Subject::value_variants() {
            for column in table.columns(amount) {
                assert!(MORE.contains(column.name), "{}", column.name);
            }
            for name in table.relays() {
                assert!(MORE.contains(name), "{name}");
            }
        }
    }
}
