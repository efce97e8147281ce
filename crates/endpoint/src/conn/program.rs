use std::{fmt, sync::Arc};

use tokio::sync::watch;

use super::Info;

/// The program that a connection was started with: see [`Info::program`].
#[derive(Clone, Debug)]
pub struct Program {
    name: Arc<str>,
    pid: u32,
    exit: watch::Receiver<Option<Exit>>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

// ===== impl Program =====

impl Program {
    #[cfg(unix)]
    pub(crate) fn new(name: Arc<str>, pid: u32, exit: watch::Receiver<Option<Exit>>) -> Self {
        Self { name, pid, exit }
    }

    /// The program's name or path, without arguments.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the process, and of its process group.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How the program ended; `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }
}

/// For a log line: `exec:cat`. Blanks and characters that do not show are escaped.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("exec:")?;
        self.name.chars().try_for_each(|c| match c {
            ' ' => f.write_str("\\x20"),
            c => c.escape_debug().try_for_each(|c| write!(f, "{c}")),
        })
    }
}

// ===== impl Exit =====

/// A status as its number; a signal as `signal:9`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Signal(signal) => write!(f, "signal:{signal}"),
        }
    }
}

// ===== impl Info =====

impl Info {
    /// The program whose standard input and output the connection is; `None` for any other. The
    /// endpoint has put it into the [`extensions`](Self::extensions).
    pub fn program(&self) -> Option<&Program> {
        self.extensions.get()
    }
}
