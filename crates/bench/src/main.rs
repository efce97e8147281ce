//! The benchmarks' command: see the package's README.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    couplet_bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("couplet-bench: it reads /proc, so it needs Linux");
    ExitCode::FAILURE
}
