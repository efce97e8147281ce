//! ncat and socat, at both ends, in every mode.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use couplet_tests::{
    Couplet, Mode, Process, in_every_mode,
    net::{free_port, listens},
    pattern, program,
};
use tempfile::TempDir;

in_every_mode! {
    ncat_with_ncat
    socat_with_socat
    ncat_with_socat
}

const SIZE: usize = 4 * 1024 * 1024;

/// A program that sends its input, ends its stream, and prints what it hears.
#[derive(Clone, Copy)]
enum Netcat {
    Ncat,
    Socat,
}

/// One end: what it sends is a file, what it hears becomes one.
struct End {
    process: Process,
    hears: std::path::PathBuf,
}

impl Netcat {
    fn connects(self, to: SocketAddr) -> Command {
        match self {
            Self::Ncat => with_args("ncat", &["127.0.0.1", &to.port().to_string()]),
            // `-t`: otherwise it cuts an answer half a second after it has said all it will.
            Self::Socat => with_args("socat", &["-t", "60", "-", &format!("TCP:{to}")]),
        }
    }

    fn listens(self, port: u16) -> Command {
        match self {
            Self::Ncat => with_args("ncat", &["-l", "127.0.0.1", &port.to_string()]),
            Self::Socat => {
                let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr");
                with_args("socat", &["-t", "60", "-", &listen])
            }
        }
    }
}

impl End {
    /// Runs it; output goes through a shell, because ours are read as lines.
    fn run(scratch: &Path, name: &str, number: usize, command: &Command) -> Self {
        let says = scratch.join(format!("{name}-says"));
        let hears = scratch.join(format!("{name}-hears"));
        fs::write(&says, pattern::bytes(number, SIZE)).unwrap();
        let mut shell = program("bash");
        shell
            .args(["-c", "exec \"${@:2}\" >\"$1\"", "bash"])
            .arg(&hears)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::from(File::open(says).unwrap()));
        let process = Process::spawn_with_input(name, &mut shell);
        Self { process, hears }
    }

    fn heard(self, number: usize) {
        self.process.finish().ok();
        let heard = File::open(self.hears).unwrap();
        pattern::expect_all(heard, number, SIZE);
    }
}

fn with_args(name: &str, args: &[&str]) -> Command {
    let mut command = program(name);
    command.args(args);
    command
}

fn meet(mode: Mode, a: Netcat, b: Netcat) {
    let scratch = TempDir::new().unwrap();
    let dials = match mode {
        Mode::ListenListen => [false, false],
        Mode::ListenDial => [false, true],
        Mode::DialListen => [true, false],
        Mode::DialDial => [true, true],
    };
    let netcats = [a, b];
    let names = ["a", "b"];
    let numbers = [1, 2];
    // Those that listen have to be there before they are dialled.
    let mut ends = [None, None];
    let mut sides = [const { String::new() }; 2];
    for i in 0..2 {
        sides[i] = if dials[i] {
            let port = free_port();
            let command = netcats[i].listens(port);
            ends[i] = Some(End::run(scratch.path(), names[i], numbers[i], &command));
            listens(port);
            format!("dial:127.0.0.1:{port}")
        } else {
            "listen:0".into()
        };
    }
    let mut args = vec![&*sides[0], &*sides[1]];
    // Where both are dialled there is one pair anyway.
    if dials != [true, true] {
        args.push("--once");
    }
    let couplet = Couplet::start(&args);
    for i in 0..2 {
        if !dials[i] {
            let command = netcats[i].connects(couplet.address(['A', 'B'][i]));
            ends[i] = Some(End::run(scratch.path(), names[i], numbers[i], &command));
        }
    }
    let [a, b] = ends.map(Option::unwrap);
    a.heard(numbers[1]);
    b.heard(numbers[0]);
    couplet.finish().ok();
}

fn ncat_with_ncat(mode: Mode) {
    meet(mode, Netcat::Ncat, Netcat::Ncat);
}

fn socat_with_socat(mode: Mode) {
    meet(mode, Netcat::Socat, Netcat::Socat);
}

fn ncat_with_socat(mode: Mode) {
    meet(mode, Netcat::Ncat, Netcat::Socat);
    meet(mode, Netcat::Socat, Netcat::Ncat);
}
