//! Builds what is measured.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// The relays of this workspace, as programs.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) couplet: PathBuf,
    pub(crate) by_hand: PathBuf,
}

/// The root of this workspace.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package)
}

/// Builds the command as its users do, and then the relay written by hand: one after the other,
/// for together they would get the features that either of them asks for.
pub(crate) fn build(profile: &str) -> anyhow::Result<Built> {
    let me = env::current_exe().context("where this program is")?;
    // …/target/PROFILE/couplet-bench
    let target = me.ancestors().nth(2).context("where programs are built")?;
    for args in [
        ["--package=couplet", "--bin=couplet"],
        ["--package=couplet-bench", "--bin=relay-by-hand"],
    ] {
        let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--profile", profile, "--target-dir"])
            .arg(target)
            .args(args)
            .current_dir(root())
            .status()
            .context("cargo could not be started")?;
        ensure!(status.success(), "cargo build {} failed", args.join(" "));
    }
    let folder = target.join(match profile {
        "dev" => "debug",
        other => other,
    });
    let built = Built {
        couplet: folder.join("couplet"),
        by_hand: folder.join("relay-by-hand"),
    };
    for program in [&built.couplet, &built.by_hand] {
        ensure!(
            program.is_file(),
            "cargo did not build {}",
            program.display()
        );
    }
    Ok(built)
}

/// The commit that is measured, if this is a repository.
pub(crate) fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(root())
        .output()
        .ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    let commit = commit.trim();
    (output.status.success() && !commit.is_empty()).then(|| commit.to_owned())
}
