use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Is it there?
pub(super) fn version() -> anyhow::Result<String> {
    let output = Command::new("valgrind").arg("--version").output()?;
    ensure!(output.status.success(), "valgrind does not run");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// How many instructions a program takes.
pub(super) fn count(program: &Command) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--error-exitcode=0",
        ])
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it failed: {}", said.trim());
    collected(&said).context("callgrind did not say how many")
}

/// Reads `==PID== Collected : N`.
fn collected(said: &str) -> Option<u64> {
    said.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found() {
        let said = "==7== Callgrind, a thing\n==7== \n==7== Events    : Ir\n\
                    ==7== Collected : 1234567\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(collected(said), Some(1_234_567));
        assert_eq!(collected("==7== Collected : many"), None);
    }
}
