use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that tests run, and the Debian packages they are in. `tests/run` installs them.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("chromedriver", "chromium-driver"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("danted", "dante-server"),
    ("git", "git"),
    ("groff", "groff-base"),
    ("haproxy", "haproxy"),
    ("iperf3", "iperf3"),
    ("lz4", "lz4"),
    ("microsocks", "microsocks"),
    ("ncat", "ncat"),
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("psql", "postgresql-client"),
    ("python3", "python3"),
    ("redis-cli", "redis-tools"),
    ("redis-server", "redis-server"),
    ("rsync", "rsync"),
    ("scp", "openssh-client"),
    ("script", "bsdutils"),
    ("socat", "socat"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
    ("systemd-analyze", "systemd"),
    ("systemd-socket-activate", "systemd"),
    ("tinyproxy", "tinyproxy-bin"),
    ("tshark", "tshark"),
    ("unshare", "util-linux"),
    ("zstd", "zstd"),
];

/// Finds a program that this test can't do without.
///
/// # Panics
///
/// When it is not there: the message names the Debian package it is in.
#[track_caller]
pub fn need(program: &str) -> PathBuf {
    let package = PACKAGES.iter().find(|(name, _)| *name == program);
    let (_, package) = package.unwrap_or_else(|| panic!("{program} is not in the list of need.rs"));
    let path = env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps the daemons, which is not on every user's path.
    let daemons = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut places = env::split_paths(&path).chain(daemons);
    let found = places.find_map(|place| {
        let file = place.join(program);
        is_program(&file).then_some(file)
    });
    found.unwrap_or_else(|| {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("this test");
        panic!(
            "`{test}` needs `{program}`: install the Debian package `{package}`, or use tests/run"
        )
    })
}

/// The command of a program that this test can't do without.
#[track_caller]
pub fn program(name: &str) -> Command {
    Command::new(need(name))
}

/// The command of a program in Python that this test can't do without: `tests/run` installs it, into
/// the target directory.
///
/// # Panics
///
/// When it is not there.
#[track_caller]
pub fn python_program(name: &str) -> Command {
    let test = env::current_exe().expect("a test has a program");
    let target = test
        .ancestors()
        .nth(3)
        .expect("it is in `target/PROFILE/deps`");
    let file = target.join("python/bin").join(name);
    assert!(is_program(&file), "`{name}` is missing: use tests/run");
    Command::new(file)
}

/// A file of a Python package that this test can't do without: `tests/run` installs it, as a program.
///
/// # Panics
///
/// When it is not there.
#[track_caller]
pub fn python_file(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test has a program");
    let target = test
        .ancestors()
        .nth(3)
        .expect("it is in `target/PROFILE/deps`");
    // The folder depends on Python's version.
    let folders = fs::read_dir(target.join("python/lib"));
    let mut folders = folders.into_iter().flatten().flatten();
    let found = folders.find_map(|folder| {
        let file = folder.path().join("site-packages").join(name);
        file.is_file().then_some(file)
    });
    found.unwrap_or_else(|| panic!("`{name}` is missing: use tests/run"))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
