#![doc = include_str!("../README.md")]
#![cfg(target_os = "linux")]

mod args;
mod built;
mod cell;
mod columns;
mod count;
mod descriptors;
mod driver;
mod generator;
mod keyed;
mod load;
mod measure;
mod metric;
mod place;
mod programs;
mod relays;
mod report;
mod scratch;
mod soak;
mod subject;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Tool};

/// The command.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.tool {
        None => driver::run(&args.table),
        Some(Tool::Count { waiting, profile }) => count::run(waiting, &profile),
        Some(Tool::Keyed { quick, profile }) => keyed::run(quick, &profile),
        Some(Tool::Programs(args)) => programs::run(&args),
        Some(Tool::Soak(soak)) => soak::run(&soak),
        Some(Tool::SoakLibrary { listen, dial }) => soak::run_library(listen, dial),
        Some(Tool::Load { setting, work }) => load::run(setting, work),
        Some(Tool::Live { case, times }) => count::live(case, times),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("couplet-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
