//! What valgrind's tools count.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// How many instructions a program takes.
pub(super) fn instructions(program: &Command) -> anyhow::Result<u64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    number_after(&said(program, &options)?, "Collected :")
}

/// How often it allocates memory.
pub(super) fn allocations(program: &Command) -> anyhow::Result<u64> {
    let options = ["--tool=memcheck", "--undef-value-errors=no"];
    number_after(&said(program, &options)?, "total heap usage:")
}

fn said(program: &Command, options: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("valgrind")
        .args(options)
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "it failed: {}", said.trim());
    Ok(said)
}

/// Reads `==PID== WORDS 1,234 …`.
fn number_after(said: &str, words: &str) -> anyhow::Result<u64> {
    said.lines()
        .find_map(|line| line.split_once(words))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .and_then(|number| number.replace(',', "").parse().ok())
        .with_context(|| format!("valgrind did not say `{words}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_valgrind_are_found() {
        let said = "==7== A tool\n==7== \n==7== Events    : Ir\n==7== Collected : 1234567\n\
                    ==7==   total heap usage: 22,532 allocs, 22,465 frees, 3 bytes allocated\n";
        assert_eq!(number_after(said, "Collected :").unwrap(), 1_234_567);
        assert_eq!(number_after(said, "total heap usage:").unwrap(), 22_532);
        let error = number_after("==7== Collected : many", "Collected :").unwrap_err();
        assert!(error.to_string().contains("Collected"));
    }
}
