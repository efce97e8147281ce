//! The command `couplet`: joins two connections into one, and accepts or dials each of them.
//!
//! A library only so that the fuzz target of the command line can call the parser: no part of this
//! is an interface for other programs, which have `couplet-connector`.

#![doc(hidden)]

mod access_log;
#[cfg(feature = "admin")]
mod admin;
mod announce;
mod args;
mod capture;
#[cfg(feature = "meeting")]
mod cluster;
mod common;
mod config;
mod credential;
#[cfg(feature = "admin")]
mod ctl;
mod descriptors;
mod dialler;
mod exit_status;
mod explain;
mod fault_signal;
mod file_error;
mod frame;
mod hand_over;
mod handshakes;
mod incoming;
mod keygen;
mod layer_spec;
#[cfg_attr(
    not(any(feature = "admin", feature = "tls")),
    expect(
        dead_code,
        reason = "only TLS and the admin endpoint use what is known of certificates"
    )
)]
mod layer_watch;
mod listening;
mod log;
mod log_file;
mod log_writer;
mod man;
mod mistake;
mod mistyped;
#[cfg(feature = "mux")]
mod mux;
mod networks;
mod own_addresses;
mod pair;
mod passed;
mod plan;
mod proxy_sides;
#[cfg(feature = "quic")]
mod quic;
mod redial;
mod relay_name;
mod reload;
mod rendezvous;
mod routes;
mod run;
mod service;
mod side;
mod signals;
mod splice;
mod stacks;
mod stream;
mod sums;
mod targets;
mod token;
mod units;
mod via;
#[cfg(target_os = "linux")]
mod while_up;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

pub use crate::config::round_trip as file_round_trip;

use clap::{CommandFactory, Parser, error::ErrorKind};

use couplet_connector::layers::Transform;
use tracing::level_filters::LevelFilter;

use crate::{
    args::{Args, Explained, RunArgs, Tool, Written},
    config::{Config, Kind},
    handshakes::Handshakes,
    log::LogArgs,
    mistake::Mistake,
    plan::Plan,
    side::{DialledFor, SideSpec, options::secret},
};

/// Runs the command with the arguments of this process.
pub fn run_command() -> ExitCode {
    let args =
        Args::try_parse_from(words()).unwrap_or_else(|error| mistyped::explain(error).exit());
    match args.tool {
        Some(Tool::Explain(explain)) => {
            let plan = match &explain.other {
                None => or_usage_error(explain.relay.plan(), None),
                Some(Explained::Rendezvous(rendezvous)) => {
                    or_usage_error(rendezvous.plan(), Some(RENDEZVOUS))
                }
                Some(Explained::Run(file)) => {
                    return match load(&file.path) {
                        Ok((_, config)) => print(|out| Ok(explain::write_all(&config, out)?)),
                        Err(status) => status,
                    };
                }
            };
            print(|out| Ok(explain::write(&plan, out)?))
        }
        Some(Tool::Run(run)) => run_file(&run),
        Some(Tool::Check(check)) => {
            let log = log::init_for_warnings();
            secret::be_strict(check.strict);
            let loaded = log
                .map_err(|error| exit_code(Err(error)))
                .and_then(|()| load(&check.file.path));
            log::finish();
            match loaded {
                Ok((source, config)) => print(|out| {
                    let names = config.relays.iter().map(|relay| &*relay.name);
                    let names = names.collect::<Vec<_>>().join(", ");
                    Ok(writeln!(out, "{source}: fine: {names}")?)
                }),
                Err(status) => status,
            }
        }
        Some(Tool::Config(config)) => {
            match &config.other {
                None => drop(or_usage_error(config.relay.plan(), Some("config"))),
                Some(Written::Rendezvous(rendezvous)) => {
                    drop(or_usage_error(rendezvous.plan(), Some("config")));
                }
            }
            let written = or_usage_error(written(words()), Some("config"));
            print(|out| Ok(out.write_all(written.as_bytes())?))
        }
        Some(Tool::Rendezvous(rendezvous)) => {
            let plan = || {
                or_usage_error(rendezvous.common.refuse_file_flags(), Some(RENDEZVOUS));
                or_usage_error(rendezvous.plan(), Some(RENDEZVOUS))
            };
            run(plan, &rendezvous.common.log, LevelFilter::INFO)
        }
        Some(Tool::Keygen(keygen)) => print(|out| keygen.run(out)),
        Some(Tool::Token(token)) => {
            let keyring = or_usage_error(token.keyring(), Some("token"));
            print(|out| token.run(&keyring, out))
        }
        #[cfg(feature = "admin")]
        Some(Tool::Ctl(ctl)) => {
            or_usage_error(ctl.check(), Some("ctl"));
            print(|out| ctl.run(out))
        }
        #[cfg(feature = "admin")]
        Some(Tool::Health(health)) => print(|out| health.run(out)),
        #[cfg(feature = "admin")]
        Some(Tool::Top(top)) => exit_code(top.run()),
        Some(Tool::Completions { shell }) => print(|out| {
            clap_complete::generate(shell, &mut Args::command(), "couplet", out);
            Ok(())
        }),
        Some(Tool::Man) => print(|out| Ok(man::write(out)?)),
        None => {
            // What runs for another program has nothing to say when all is well.
            let level = match args.relay.has_stdio() {
                true => LevelFilter::WARN,
                false => LevelFilter::INFO,
            };
            let plan = || {
                or_usage_error(args.relay.common.refuse_file_flags(), None);
                or_usage_error(args.relay.plan(), None)
            };
            run(plan, &args.relay.common.log, level)
        }
    }
}

/// The words of the command line; `explain FILE` is short for `explain run FILE`.
fn words() -> Vec<OsString> {
    let mut words: Vec<_> = std::env::args_os().collect();
    let is_file = |path: &Path| path.exists() || path.extension().is_some_and(|it| it == "toml");
    if let [_, tool, file] = &words[..]
        && tool == "explain"
        && is_file(Path::new(file))
    {
        words.insert(2, "run".into());
    }
    words
}

/// The file that describes what the words of `config` say, the program's name first.
fn written(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<String, Mistake> {
    let mut command = Args::command();
    let wrong = |error: clap::Error| Mistake::new(error.to_string(), "`couplet config A B`");
    let matches = command.try_get_matches_from_mut(words).map_err(wrong)?;
    let (mut command, mut matches, mut kind) = (&command, &matches, Kind::Relay);
    while let Some((name, of)) = matches.subcommand() {
        if name == RENDEZVOUS {
            kind = Kind::Rendezvous;
        }
        let sub = command.find_subcommand(name);
        (command, matches) = (sub.expect("it was parsed with it"), of);
    }
    config::write(command, matches, kind)
}

/// What a file describes; else what is wrong has been printed.
fn load(path: &Path) -> Result<(config::Source, Config), ExitCode> {
    let loaded = config::Source::new(path)
        .map_err(|mistake| vec![mistake])
        .and_then(|source| source.load().map(|config| (source, config)));
    loaded.map_err(|mistakes| {
        for mistake in &mistakes {
            eprintln!("error: {mistake:#}\n");
        }
        eprintln!("couplet: {}", config::count(&mistakes));
        ExitCode::from(2)
    })
}

/// Runs what a file describes.
fn run_file(run: &RunArgs) -> ExitCode {
    #[cfg(unix)]
    if let Some(started) = service::successor::detach() {
        return exit_code(started);
    }
    passed::take();
    // Reading a file may have a warning, and how it is logged stands in the file.
    #[cfg(unix)]
    let take_over = run
        .take_over
        .as_ref()
        .map(|path| service::TakeOver::new(path.as_deref()))
        .transpose();
    #[cfg(unix)]
    let take_over = or_usage_error(take_over, Some("run"));
    #[cfg(not(unix))]
    let take_over = None;
    let (source, config) = match load(&run.file.path) {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let log = config.process.common.log.clone();
    if let Err(error) = log.init(LevelFilter::INFO) {
        return exit_code(Err(error));
    }
    descriptors::allow_many();
    let result = service::run(&source, config, take_over);
    if let Err(error) = &result {
        log.failed(error);
    }
    log::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Parses a command line, the program's name first, and plans what the command would do, without
/// doing it: the text of `explain`, or the text of the error. Reads the files that options name.
///
/// # Errors
///
/// Where the command would exit with status 2.
pub fn explain(words: &[&str]) -> Result<String, String> {
    let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
    let plan = match args.tool {
        None => args.relay.plan(),
        Some(Tool::Rendezvous(rendezvous)) => rendezvous.plan(),
        Some(_) => return Ok(String::new()),
    };
    let mut out = Vec::new();
    let plan = plan.map_err(|mistake| format!("{mistake:#}"))?;
    explain::write(&plan, &mut out).map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// The transform of a side with `frame=FROM` to one with `frame=TO`; `None` where one is no form.
pub fn frames(from: &str, to: &str) -> Option<impl Transform + use<>> {
    let frame = |form: &str| {
        let side = format!("listen:1,frame={form}");
        let handshakes = Handshakes::flags(None, None);
        let side = SideSpec::read(&side.as_str().into(), handshakes, DialledFor::Other).ok()?;
        side.endpoint.frame
    };
    let (from, to) = (frame(from)?, frame(to)?);
    Some(frame::between(&from, &to))
}

/// The subcommand that makes a plan, too.
const RENDEZVOUS: &str = "rendezvous";

/// What was read of the command line. A mistake is printed with the usage of the command, or of this
/// tool, and ends the process with status 2.
fn or_usage_error<T>(result: Result<T, Mistake>, tool: Option<&str>) -> T {
    result.unwrap_or_else(|wrong| {
        let mut command = Args::command();
        command.build();
        let used = tool.and_then(|tool| command.find_subcommand(tool));
        let mut used = used.unwrap_or(&command).clone();
        used.error(ErrorKind::ValueValidation, format!("{wrong:#}"))
            .exit()
    })
}

/// Logs from before the plan on: reading a file may have a warning.
fn run(plan: impl FnOnce() -> Plan, log: &LogArgs, level: LevelFilter) -> ExitCode {
    passed::take();
    if let Err(error) = log.init(level) {
        return exit_code(Err(error));
    }
    let plan = plan();
    descriptors::allow_many();
    let result = run::run(plan);
    if let Err(error) = &result {
        log.failed(error);
    }
    log::finish();
    result.map_or(ExitCode::FAILURE, exit_status::of)
}

/// Prints all of the output, or the error.
fn print(what: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> ExitCode {
    let mut out = Vec::new();
    exit_code(what(&mut out).and_then(|()| {
        let stdout = &mut io::stdout();
        match stdout.write_all(&out).and_then(|()| stdout.flush()) {
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }))
}

/// Says what went wrong.
fn exit_code<E: Into<anyhow::Error>>(result: Result<(), E>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("couplet: {:#}", error.into());
    ExitCode::FAILURE
}
