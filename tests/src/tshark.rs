//! What tshark makes of a capture.

use std::path::Path;

use crate::{finish, need, program};

/// What it prints of a file.
pub fn print(file: &Path, args: &[&str]) -> String {
    // What it has to say of itself goes elsewhere.
    let mut quiet = program("bash");
    quiet
        .args(["-c", "exec \"$@\" 2>/dev/null", "bash"])
        .arg(need("tshark"))
        .arg("-nr")
        .arg(file)
        .args(args);
    finish("tshark", &mut quiet).ok().log
}

/// How many packets of a file fit a filter.
pub fn count(file: &Path, filter: &str) -> usize {
    let check = "tcp.check_checksum:TRUE";
    let args = ["-o", check, "-o", "ip.check_checksum:TRUE", "-Y", filter];
    let fields = ["-T", "fields", "-e", "frame.number"];
    print(file, &[&args[..], &fields[..]].concat())
        .lines()
        .count()
}
