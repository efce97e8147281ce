//! The command line.

mod cut;
mod notes;

pub(crate) use self::notes::notes;

use std::{path::PathBuf, time::Duration};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use couplet_connector::{
    endpoint::Side,
    mode::{Pairing, Way},
};

use crate::{
    common::CommonArgs,
    handshakes::Handshakes,
    keygen::KeygenArgs,
    mistake::{Mistake, Mistakes, first, nearest},
    plan::{Plan, Sides},
    proxy_sides,
    rendezvous::RendezvousArgs,
    side::{DialledFor, SideSpec, SideWords},
    token::TokenArgs,
    units::duration,
};

/// A TCP relay: joins two connections into one, and accepts or dials each of them
#[derive(Debug, Parser)]
#[command(
    name = "couplet",
    version,
    about,
    long_about = None,
    after_help = notes(),
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) relay: RelayArgs,

    #[command(subcommand)]
    pub(crate) tool: Option<Tool>,
}

/// What is to be relayed, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct RelayArgs {
    #[arg(
        value_name = "A",
        required = true,
        help = "Side A: listen:[HOST:]PORT or dial:HOST:PORT, then ,option[=value]…"
    )]
    a: Option<SideWords>,

    /// Side B, likewise
    #[arg(value_name = "B", required = true)]
    b: Option<SideWords>,

    /// Taken only to be refused with a hint
    #[arg(hide = true)]
    surplus: Vec<String>,

    /// How long a dial may take, look-up included [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    connect_timeout: Option<Duration>,

    /// Join one pair, then exit; the exit status tells how it ended
    #[arg(long, conflicts_with = "max_pairs")]
    once: bool,

    /// Dial both sides again when their pair has ended
    #[arg(long, conflicts_with = "once")]
    reconnect: bool,

    #[command(flatten)]
    pub(crate) common: CommonArgs,

    // The last: its heading is that of all behind it.
    /// Join the first client of A with the first of B, over all nodes with this queue
    #[cfg(feature = "meeting")]
    #[arg(
        long,
        value_name = "NAME",
        requires = "engine",
        conflicts_with = "once",
        help_heading = crate::cluster::HEADING
    )]
    queue: Option<String>,

    #[cfg(feature = "meeting")]
    #[command(flatten)]
    cluster: crate::cluster::ClusterArgs,
}

/// What is to be explained.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) relay: RelayArgs,

    #[command(subcommand)]
    pub(crate) other: Option<Explained>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Explained {
    /// Print the same of a rendezvous
    Rendezvous(Box<RendezvousArgs>),
    /// Print the same of each relay of a file, with its command line; `run` may be left out
    Run(FileArgs),
}

/// What is to be written as a file.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) relay: RelayArgs,

    #[command(subcommand)]
    pub(crate) other: Option<Written>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Written {
    /// Print the same of a rendezvous
    Rendezvous(Box<RendezvousArgs>),
}

/// Where relays are described.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// A TOML file, or a folder of `*.toml`
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// Take over the listening sockets of the process that runs with this flag, if any, without refusing a
    /// client, and offer them to the next process, at this Unix socket [default:
    /// $RUNTIME_DIRECTORY/take-over.sock]
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    pub(crate) take_over: Option<Option<PathBuf>>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// Report secrets that every user of this machine can read as mistakes, too
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Print the stacks of these arguments and how their bytes move, without relaying
    #[command(after_help = notes())]
    Explain(Box<ExplainArgs>),
    /// Join clients of one port that present the same key, for peers that can only dial out
    #[command(after_help = notes())]
    Rendezvous(Box<RendezvousArgs>),
    /// Run the relays that a file describes
    Run(RunArgs),
    /// Check a file of relays, and the files that it names, without running it
    Check(CheckArgs),
    /// Print these arguments as a file of relays
    Config(Box<ConfigArgs>),
    /// Write a new private key or secret to a new file, and print the public key
    Keygen(KeygenArgs),
    /// Print a signed token for a side with signed-token=@FILE, valid until it expires
    Token(TokenArgs),
    /// Query a running Couplet; cut pairs, pause and drain relays
    #[cfg(feature = "admin")]
    Ctl(crate::ctl::CtlArgs),
    /// Exit with 0 if a running Couplet accepts connections, for containers
    #[cfg(feature = "admin")]
    Health(crate::ctl::HealthArgs),
    /// Watch a running Couplet in the terminal: relays and live pairs; cut, pause
    #[cfg(feature = "admin")]
    Top(crate::ctl::top::TopArgs),
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Print the man page
    Man,
}

// ===== impl RelayArgs =====

impl RelayArgs {
    /// The plan of a relay of two sides.
    pub(crate) fn plan(&self) -> Result<Plan, Mistake> {
        self.check_words()?;
        self.plan_all()
            .map_err(|wrong| {
                let sides = [&self.a, &self.b].into_iter().flatten();
                sides.fold(first(wrong), |mistake, side| side.hide_secrets(mistake))
            })?
            .alone()
    }

    /// The same, where the words are a file's: all that is wrong.
    pub(crate) fn plan_all(&self) -> Result<Plan, Mistakes> {
        let handshakes = self.common.handshakes();
        let once = self.once || self.has_stdio();
        let mut wrong = Mistakes::new();
        // Clap has seen to it that both are there.
        let mut side = |side: Side, given: &Option<SideWords>, dialled_for: DialledFor| {
            let given = given.clone().unwrap_or_default();
            let read = SideSpec::read(&given, handshakes, dialled_for);
            let in_side = |mistake: Mistake| mistake.in_side(side);
            read.map_err(|mistakes| wrong.extend(mistakes.into_iter().map(in_side)))
        };
        let b = side(Side::B, &self.b, DialledFor::Other);
        let b_way = b.as_ref().map_or(Way::Dialled, |b| b.endpoint.way());
        let dialled_for = match Pairing::of(Way::Dialled, b_way, once) {
            Pairing::DialFor(Side::A) => DialledFor::Other,
            Pairing::Rendezvous => DialledFor::Ahead,
            _ => DialledFor::Itself,
        };
        let a = side(Side::A, &self.a, dialled_for);
        let (Ok(a), Ok(b)) = (a, b) else {
            // In the order of the sides.
            wrong.sort_by(|one, other| one.key().cmp(&other.key()));
            return Err(wrong);
        };
        let mut plan = self.common.plan(Sides::Two(a, b))?;
        plan.endpoint_flags.connect_timeout = self.connect_timeout;
        let is_incoming = plan
            .sides
            .specs()
            .any(|(_, side)| side.endpoint.is_incoming());
        // Of two sides that are dialled there is one pair without being told.
        plan.once = self.once || (once && is_incoming);
        plan.reconnect = self.reconnect;
        #[cfg(feature = "meeting")]
        {
            plan.queue = self.queue(&plan).map_err(|mistake| vec![mistake])?;
        }
        let wrong: Mistakes = [
            plan.refuse_same_address(),
            self.refuse_idle_flags(&plan),
            plan.refuse_idle_options(),
            proxy_sides::check(&plan),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect();
        match wrong.is_empty() {
            true => Ok(plan),
            false => Err(wrong),
        }
    }

    /// The queue across nodes.
    #[cfg(feature = "meeting")]
    fn queue(&self, plan: &Plan) -> Result<Option<crate::plan::Queue>, Mistake> {
        let Some(cluster) = self.cluster.spec(self.common.handshakes())? else {
            return Ok(None);
        };
        if plan.pairing() != Pairing::Rendezvous {
            return Err(Mistake::new(
                "`--engine` joins clients of several nodes, and a side is dialled for the other",
                "two sides that listen, or `couplet rendezvous`",
            )
            .about("engine"));
        }
        let Some(name) = self.queue.clone().filter(|name| !name.is_empty()) else {
            return Err(Mistake::new(
                "`--engine` joins clients of the same queue, and none is named",
                "`--queue=NAME`, the same at each node",
            )
            .about("engine"));
        };
        if cluster.public.is_some() {
            return Err(Mistake::new(
                "`--public-addr` would do nothing: only clients of a `couplet rendezvous` are sent elsewhere",
                "leave it out",
            )
            .about("public-addr"));
        }
        Ok(Some(crate::plan::Queue { name, cluster }))
    }

    /// The sides as they were given, and another in place of each.
    pub(crate) fn sides_mut(&mut self) -> [&mut Option<SideWords>; 2] {
        [&mut self.a, &mut self.b]
    }

    /// What is wrong with the words as a shell has cut them.
    fn check_words(&self) -> Result<(), Mistake> {
        // Clap takes a misspelled subcommand for side A.
        let a = self.a.as_ref().map(SideWords::text);
        if let Some(mistake) = a.and_then(misspelled_subcommand) {
            return Err(mistake);
        }
        let sides = [&self.a, &self.b].into_iter().flatten();
        let mut words: Vec<_> = sides.map(SideWords::text).collect();
        words.extend(self.surplus.iter().map(String::as_str));
        cut::refuse_cut_option(&words)?;
        let Some(word) = self.surplus.first() else {
            return Ok(());
        };
        words.truncate(words.len() - self.surplus.len() + 1);
        let mistake = cut::cut_address(&words).or_else(|| self.common.pair.joined_value(word));
        Err(mistake.unwrap_or_else(|| {
            let address = word.split(',').next().unwrap_or_default();
            Mistake::new(
                format!("there are two sides, and `{address}` is one too many"),
                "`couplet A B`; flags and their values are joined by `=`",
            )
        }))
    }

    /// Is a side standard input and output? There is one pair then.
    pub(crate) fn has_stdio(&self) -> bool {
        let mut sides = [&self.a, &self.b].into_iter().flatten();
        sides.any(|side| side.address() == "stdio")
    }

    /// A flag that would do nothing here is a mistake.
    fn refuse_idle_flags(&self, plan: &Plan) -> Result<(), Mistake> {
        let sides = [Side::A, Side::B].map(|side| plan.sides.get(side));
        let dialled = || sides.iter().filter(|side| side.endpoint.is_dialled());
        // One after the other.
        let none_comes = !sides.iter().any(|side| side.endpoint.is_incoming());
        let mut specs = sides.iter().flat_map(|side| &side.layers);
        let has_handshake = specs.any(Handshakes::bounds);
        let idle_flags = [
            (
                self.connect_timeout.is_some() && dialled().count() == 0,
                "--connect-timeout",
                "neither side is dialled",
            ),
            (
                self.connect_timeout.is_some()
                    && dialled().all(|side| side.endpoint.connect_timeout.is_some()),
                "--connect-timeout",
                "each dialled side has its own",
            ),
            (
                self.common.handshake_timeout.is_some() && !has_handshake,
                "--handshake-timeout",
                "neither side has a handshake, such as `token`",
            ),
            (
                self.common.max_handshakes.is_some() && !has_handshake,
                "--max-handshakes",
                "neither side has a handshake, such as `token`",
            ),
            (
                self.common.max_waiting.is_some() && (none_comes || plan.has_stdio()),
                "--max-waiting",
                "no connection waits: there is one pair at a time",
            ),
            (
                self.common.wait_timeout.is_some() && matches!(plan.pairing(), Pairing::DialFor(_)),
                "--wait-timeout",
                "no connection waits: its partner is dialled for it",
            ),
            (
                self.common.max_pairs.is_some() && none_comes,
                "--max-pairs",
                "both sides are dialled, so there is one pair at a time",
            ),
            (
                self.common.max_pairs.is_some() && plan.has_stdio(),
                "--max-pairs",
                "`stdio` is one connection, so there is one pair",
            ),
            (
                self.reconnect && plan.has_stdio(),
                "--reconnect",
                "`stdio` is one connection, so there is one pair",
            ),
            (
                self.once && none_comes,
                "--once",
                "both sides are dialled, so there is one pair",
            ),
            (
                self.common.wants_threads() && plan.threads().get() == 1,
                "--threads",
                "there is one pair at a time",
            ),
            (
                self.reconnect && !none_comes,
                "--reconnect",
                "it is for two dialled sides; one that listens or keeps a pool goes on by itself",
            ),
        ];
        match idle_flags.iter().find(|(idle, ..)| *idle) {
            Some((_, flag, why)) => Err(Mistake::new(
                format!("{flag} would do nothing here: {why}"),
                "leave it out",
            )
            .about(flag)),
            None => Ok(()),
        }
    }
}

/// A word where a side is expected that is a misspelled subcommand, or one that other commands have.
pub(crate) fn misspelled_subcommand(word: &str) -> Option<Mistake> {
    let command = Args::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    let meant = match word {
        "help" | "version" => format!("--{word}"),
        _ => nearest(word, names)?.to_owned(),
    };
    let message = format!("`{word}` is not a side, nor a subcommand");
    let hint = format!("did you mean `couplet {meant}`?");
    Some(Mistake::new(message, hint))
}

#[cfg(test)]
mod tests;
