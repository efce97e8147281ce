//! The command `couplet`.

use std::process::ExitCode;

/// A connection makes four allocations that are aligned to 128 bytes (tokio's), for which the C library
/// takes long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    couplet::run_command()
}
