//! The command `couplet`: joins two connections into one, whichever way round each of them comes.

mod access_log;
#[cfg(target_os = "linux")]
mod apart;
mod args;
mod capture;
mod comes;
mod common;
mod descriptors;
mod dialler;
mod explain;
mod frame;
mod hangup;
mod keygen;
mod log;
mod log_file;
mod man;
mod pair;
mod plan;
mod rendezvous;
mod routes;
mod run;
mod side;
mod signals;
mod stacks;
mod step;
mod switch;
mod token;
mod units;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{
    args::{Args, Explained, Tool},
    log::{LogArgs, LogFormat},
    plan::Plan,
};

/// A connection makes four allocations that are aligned to 128 bytes (tokio's), for which the C library
/// takes long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let stdout = &mut io::stdout();
    match args.tool {
        Some(Tool::Explain(explain)) => {
            let plan = sound(match &explain.other {
                None => explain.relay.plan(),
                Some(Explained::Rendezvous(rendezvous)) => rendezvous.plan(),
            });
            told(explain::write(&plan, stdout), LogFormat::Text)
        }
        Some(Tool::Rendezvous(rendezvous)) => run(sound(rendezvous.plan()), &rendezvous.common.log),
        Some(Tool::Keygen(keygen)) => told(keygen.run(stdout), LogFormat::Text),
        Some(Tool::Token(token)) => told(token.run(stdout), LogFormat::Text),
        Some(Tool::Completions { shell }) => {
            clap_complete::generate(shell, &mut Args::command(), "couplet", stdout);
            ExitCode::SUCCESS
        }
        Some(Tool::Man) => told(man::write(stdout), LogFormat::Text),
        None => run(sound(args.relay.plan()), &args.relay.common.log),
    }
}

/// What is to be done; where that is wrong, says so and exits with status 2.
fn sound(plan: Result<Plan, String>) -> Plan {
    plan.unwrap_or_else(|wrong| {
        Args::command()
            .error(ErrorKind::ValueValidation, wrong)
            .exit()
    })
}

fn run(plan: Plan, log: &LogArgs) -> ExitCode {
    log.init();
    descriptors::allow_many();
    told(run::run(plan), log.log_format)
}

/// Says what went wrong, in a line like all the others on standard error.
fn told<E: Into<anyhow::Error>>(result: Result<(), E>, format: LogFormat) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let error = error.into();
    match format {
        LogFormat::Text => eprintln!("couplet: {error:#}"),
        LogFormat::Json => tracing::error!("{error:#}"),
    }
    ExitCode::FAILURE
}
