//! The command `couplet`: joins two connections into one, whichever way round each of them comes.

mod args;
mod descriptors;
mod log;
mod man;
mod run;
mod side;
mod stacks;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::args::{Args, LogFormat, Tool};

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.tool {
        Some(Tool::Completions { shell }) => {
            clap_complete::generate(
                *shell,
                &mut Args::command(),
                "couplet",
                &mut std::io::stdout(),
            );
            return ExitCode::SUCCESS;
        }
        Some(Tool::Man) => {
            return told(man::write(&mut std::io::stdout()), LogFormat::Text);
        }
        None => {}
    }
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(wrong) => Args::command()
            .error(ErrorKind::ValueValidation, wrong)
            .exit(), // with status 2
    };
    log::init(&args);
    descriptors::allow_many();
    told(run::run(plan), args.log_format)
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
