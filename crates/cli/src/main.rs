//! The command `couplet`: joins two connections into one, whichever way round each of them comes.

mod args;
mod descriptors;
mod log;
mod run;
mod side;
mod stacks;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::args::{Args, Tool};

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
            return told(clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout()));
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
    told(run::run(plan))
}

fn told<E: Into<anyhow::Error>>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("couplet: {:#}", error.into());
            ExitCode::FAILURE
        }
    }
}
